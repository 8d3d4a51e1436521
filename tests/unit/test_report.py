from __future__ import annotations

import csv
import io
import json
import re
from dataclasses import asdict, replace
from html.parser import HTMLParser
from importlib import resources
from pathlib import Path
from urllib.parse import unquote

import demo_run
import numpy as np
import pytest
from omegaconf import OmegaConf

from mint import report
from mint.config.evaluation import EvaluationConfig
from mint.evaluation.metrics.reuse import by_tactic, by_turn
from mint.evaluation.metrics.summary import summarise
from mint.evaluation.people import People
from mint.evaluation.protocols.held_out import write_comparison
from mint.evaluation.records import read_replies
from mint.evaluation.statistics.estimates import Estimate
from mint.pages import svg
from mint.pages.csv_data import csv_link
from mint.pages.histograms import histogram
from mint.pages.html import number
from mint.pages.lines import MAX_POINTS, Series, line_chart
from mint.pages.replies import tagged_reply
from mint.pages.svg import Axis
from mint.reporting.changes import Change
from mint.reporting.data import load
from mint.reporting.going_on import going_on_section
from mint.reporting.measures import MEASURES
from mint.reporting.run import render
from mint.reporting.scales import reach_beside
from mint.rundir.directory import RunDir
from mint.shell.files import read_json_if_there, read_json_lines, write_json, write_json_lines
from rewards.errors import ConfigError
from rewards.formula import RewardWeights
from rewards.graders.embedded.arrays import content_hash
from rewards.graders.embedded.heads import shipped_card
from rewards.tactics import TACTIC_NAMES

VOID = {"meta", "link", "br", "img", "hr", "input"}


class Page(HTMLParser):
    """Collects the page's elements, and fails on tags that do not match."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(source)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if not {"style", "script"} & set(self.open):
            self.words.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.tags if name == tag]

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> RunDir:
    return demo_run.make_run(tmp_path_factory.mktemp("report") / "run")


@pytest.fixture(scope="module")
def source(run) -> str:
    return report.write_report(run).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def page(source) -> Page:
    return Page(source)


@pytest.mark.slow
def test_summary_says_what_changed_in_words(page, run):
    comparison = read_json_if_there(run.comparison_path)
    row = comparison["composite"]
    assert f"rose from {row['before']:.3f} to {row['after']:.3f}" in page.text
    assert "excludes 0" in page.text
    assert re.search(r"Stickiness fell from \d\.\d{3} to \d\.\d{3}", page.text)
    for title in ("Empathy", "Tactics per turn", "Repetition beyond chance"):
        assert title in page.text


@pytest.mark.slow
def test_every_figure_is_drawn_and_explained(source, page):
    figures = re.findall(r"<figure.*?</figure>", source, re.DOTALL)
    assert len(figures) >= 26
    for figure in figures:
        title = re.search(r"<h3>(.*?)</h3>", figure).group(1)
        assert "<figcaption>" in figure
        assert re.search(r' d="M[^"]{8,}"', figure), title
        assert 'class="missing"' not in figure, title
        assert "<title>" in figure, title
    assert page.text.count("training step") >= 18


def test_drawings_have_text_alternatives_with_numbers(page):
    drawings = [a for a in page.all("svg") if a.get("role") == "img"]
    assert len(drawings) > 30
    for drawing in drawings:
        assert re.search(r"\d", drawing["aria-label"])
    reward = next(a["aria-label"] for a in drawings if "composite reward" in a["aria-label"])
    assert "at step 1" in reward
    assert "at step 24" in reward


def test_model_text_is_escaped(source, page):
    assert demo_run.HOSTILE not in source
    assert page.all("script") == [
        {"type": "application/json", "id": "explorer-data"},
        {},
    ]
    shipped = (resources.files("mint.pages") / "explorer.js").read_text(encoding="utf-8")
    data, program = re.findall(r"<script[^>]*>(.*?)</script>", source, re.DOTALL)
    assert program == shipped
    assert not {"<", ">", "&"} & set(data)
    assert any(demo_run.HOSTILE in row["reply"] for row in json.loads(data)["rows"])
    assert page.all("img") == []
    assert not any(name.startswith("on") for _, attrs in page.tags for name in attrs)


def test_hostile_reply_is_shown_as_text(run, tmp_path):
    data = load(run)
    hostile = next(r for r in data.before_replies if demo_run.HOSTILE in r.reply)
    shown = tagged_reply(hostile.sentences, hostile.tactics, hostile.reply)
    assert "&lt;script&gt;alert(&quot;x&quot;)&lt;/script&gt;" in shown
    assert "<script" not in shown
    assert demo_run.HOSTILE in "".join(Page(shown).words)


def test_page_needs_nothing_from_outside(source, page):
    for tag, attrs in page.tags:
        for name in ("src", "href", "action", "data", "xlink:href"):
            value = attrs.get(name)
            assert value is None or value.startswith(("#", "data:")), (tag, value)
    style = re.search(r"<style>(.*?)</style>", source, re.DOTALL).group(1)
    assert "url(" not in style
    assert "@import" not in style
    assert "prefers-color-scheme: dark" in style
    assert not re.search(r"https?://(?!example\.com)", source)


def test_sections_have_headings_and_links(page):
    anchors = {attrs["id"] for attrs in page.all("section")}
    links = {attrs["href"][1:] for attrs in page.all("a") if "download" not in attrs}
    assert links <= anchors
    assert {"outcome", "reward", "replies", "facts"} <= anchors
    ids = [attrs["id"] for _, attrs in page.tags if attrs.get("id")]
    assert len(ids) == len(set(ids))


def test_replies_show_tactics_and_facts_show_the_run(page):
    tags = [attrs for attrs in page.all("i") if "tag" in (attrs.get("class") or "")]
    assert len(tags) > 40
    for words in ("validation", "Previous supporter turn used", "Before training", "Best: reward"):
        assert words in page.text
    for words in ("mint_tiny", "python -m mint.train", "evaluation 42", "SHA-256"):
        assert words in page.text
    assert "four million parameters" in page.text
    assert "Its weight is 0: it is measured, not trained on." in page.text


def test_parts_of_ratings_and_vetoes_are_shown(page):
    assert "Relevance, coherence and harm" in page.text
    assert "Ratings held down" in page.text
    assert "held down: unrelated, copies seeker" in page.text
    assert "relevance 0.70" in page.text
    assert "Held down as unrelated" in page.text


@pytest.mark.slow
def test_a_run_without_parts_shows_none(tmp_path):
    run = demo_run.make_run(tmp_path / "run", steps=2)
    rows = [
        {
            key: value
            for key, value in row.items()
            if not key.startswith(("grader/part", "grader/h"))
        }
        for row in run.read_metrics()
    ]
    write_json_lines(run.metrics_path, rows)
    samples = [
        {key: value for key, value in row.items() if key not in ("parts", "tricks")}
        for row in run.read_samples()
    ]
    write_json_lines(run.samples_path, samples)
    text = Page(report.write_report(run).read_text(encoding="utf-8")).text
    assert "Relevance, coherence and harm" not in text
    assert "held down: unrelated, copies" not in text


def test_a_step_without_a_number_leaves_a_gap(source):
    figure = re.search(r"<h3>Size of the updates</h3>.*?</figure>", source, re.DOTALL).group(0)
    path = re.search(r'class="line c0" d="([^"]+)"', figure).group(1)
    assert path.count("M") == 2
    assert "nan" not in source.lower().replace("financ", "")


def test_report_without_evaluation_says_how_to_get_it(tmp_path):
    run = demo_run.make_run(tmp_path / "run", evaluated=False)
    page = Page(report.write_report(run).read_text(encoding="utf-8"))
    assert "has not been evaluated" in page.text
    assert "which=both" in page.text
    assert "Composite reward" in page.text


@pytest.mark.slow
def test_report_with_only_one_evaluation(tmp_path):
    run = demo_run.make_run(tmp_path / "run", steps=2)
    for name in ("after.json", "after_replies.jsonl", "comparison.json"):
        (run.evaluation_path / name).unlink()
    page = Page(report.write_report(run).read_text(encoding="utf-8"))
    assert "no evaluation after training" in page.text
    assert "which=after" in page.text
    assert "Share of replies with each tactic" in page.text


def test_report_of_a_bare_run(tmp_path):
    run = RunDir.create(tmp_path / "run")
    run.append_metrics(1, {"reward/raw/mean": 0.5})
    page = Page(report.write_report(run.path).read_text(encoding="utf-8"))
    for words in ("manifest.json is missing", "No timings", "No training replies", "Not logged"):
        assert words in page.text


def test_report_of_a_failed_run_shows_the_error(tmp_path):
    run = demo_run.make_run(tmp_path / "run", steps=1, evaluated=False)
    manifest = read_json_if_there(run.manifest_path)
    write_json(run.manifest_path, {**manifest, "status": "failed", "error": "GraderError: <b>"})
    run.metrics_path.unlink()
    page = Page(report.write_report(run).read_text(encoding="utf-8"))
    assert "The run failed: GraderError: <b>" in page.text
    assert "No training step has been logged" in page.text


def test_report_says_where_the_start_went(tmp_path):
    run = demo_run.make_run(tmp_path / "run", steps=1, evaluated=False)
    manifest = read_json_if_there(run.manifest_path)
    write_json(
        run.manifest_path, {**manifest, "status": "saved", "start_s": {"ray": 9, "step": 41}}
    )
    page = Page(report.write_report(run).read_text(encoding="utf-8"))
    assert "50 s until the first step (ray 9 s, step 41 s)" in page.text


@pytest.mark.slow
def test_warnings_for_numbers_that_flatter(tmp_path):
    run = demo_run.make_run(tmp_path / "run", steps=1)
    after = read_json_if_there(run.after_path)
    after["metrics"]["prevalence/questioning"]["mean"] = 0.97
    write_json(run.after_path, after)
    comparison = read_json_if_there(run.comparison_path)
    comparison["top_opening"]["after"] = 0.85
    comparison["lift"] |= {"difference": 0.01, "ci_low": -0.02, "ci_high": 0.05}
    write_json(run.comparison_path, comparison)
    text = Page(report.write_report(run).read_text(encoding="utf-8")).text
    assert "more than 90% of replies use questioning" in text
    assert "85% of the trained replies begin with the same four words" in text
    assert "repetition beyond chance did not" in text


ROSE = {"before": 2.7, "after": 3.1, "difference": 0.4, "ci_low": 0.3, "ci_high": 0.5}
FELL = {"before": 0.7, "after": 0.5, "difference": -0.2, "ci_low": -0.25, "ci_high": -0.15}


def changed_page(path: Path, **changes: dict) -> tuple[str, str]:
    """Text and source of a report whose comparison has other rows."""
    run = demo_run.make_run(path, steps=1)
    comparison = read_json_if_there(run.comparison_path)
    for name, row in changes.items():
        comparison[name] |= row
    write_json(run.comparison_path, comparison)
    source = report.write_report(run).read_text(encoding="utf-8")
    return Page(source).text, source


@pytest.mark.slow
@pytest.mark.parametrize("part", ["relevance", "coherence"])
def test_empathy_has_not_risen_while_its_guards_fell(tmp_path, part):
    text, source = changed_page(tmp_path / "run", empathy=ROSE, manner=ROSE, **{part: FELL})
    assert "Empathy rose" not in text
    assert f"{part.capitalize()} fell from 0.700 to 0.500 (interval" in text
    assert "3.10 for empathy, 2.70 before, is therefore no gain" in text
    row = re.search(r"<tr><td[^>]*>Empathy<.*?</tr>|<tr><th[^>]*>Empathy<.*?</tr>", source, re.S)
    assert f"no gain: {part} fell" in row.group(0)
    assert "chip better" not in row.group(0)


@pytest.mark.slow
def test_a_fall_within_its_interval_takes_nothing_away(tmp_path):
    within = {**FELL, "ci_high": 0.05}
    text, _ = changed_page(tmp_path / "run", empathy=ROSE, relevance=within)
    assert "Empathy rose from 2.70 to 3.10" in text


@pytest.mark.slow
def test_unmeasured_guards_are_a_warning(tmp_path):
    unknown = dict.fromkeys(FELL)
    text, _ = changed_page(tmp_path / "run", empathy=ROSE, relevance=unknown)
    assert "Relevance and coherence of the replies were not measured" in text


@pytest.mark.slow
def test_people_stand_beside_the_figures(tmp_path):
    run = demo_run.make_run(tmp_path / "run", steps=3)
    graders = read_json_if_there(run.manifest_path)["graders"]
    figures = {
        name: Estimate(mean=2.345, ci_low=2.2, ci_high=2.5, n=60)
        for name in ("empathy", "lift", "top_opening", "manner")
    }
    people = People(
        source="friends", replies=60, conversations=12, graders=graders, figures=figures
    )
    page = Page(report.write_report(run, people).read_text(encoding="utf-8"))
    assert page.text.count("people 2.35 [2.20, 2.50]") >= 3, "card, empathy and manner"
    assert "people 2.345 [2.200, 2.500]" in page.text
    assert "60 replies of 12 conversations (friends)" in page.text
    labels = [a["aria-label"] for a in page.all("svg") if "aria-label" in a]
    assert "people" in next(label for label in labels if "Mean manner" in label)
    stale = {role: {**one, "revision": "other"} for role, one in graders.items()}
    old = report.write_report(run, replace(people, graders=stale)).read_text(encoding="utf-8")
    assert "people 2.35 [2.20, 2.50], stale" in Page(old).text
    assert "Make them again with python -m mint.people" in Page(old).text


@pytest.mark.slow
@pytest.mark.parametrize(("end", "told"), [(0.28, True), (0.06, False)])
def test_an_opening_that_becomes_common_is_named_with_its_start(tmp_path, end, told):
    """Long before most replies share it."""
    run = demo_run.make_run(tmp_path / "run", steps=1)
    comparison = read_json_if_there(run.comparison_path)
    comparison["top_opening"] |= {"before": 0.02, "after": end, "difference": end - 0.02}
    comparison["top_opening"] |= {"ci_low": end - 0.06, "ci_high": end + 0.02}
    write_json(run.comparison_path, comparison)
    text = Page(report.write_report(run).read_text(encoding="utf-8")).text
    words = "28% of the trained replies begin with the same four words; before training it was 2%"
    assert (words in text) == told


def test_intervals_of_one_unit_share_a_scale():
    wide, narrow, nats = (Change(d, d - 0.01, d + 0.01) for d in (0.13, -0.022, 3.0))
    changes = {"stickiness": [wide], "distinct_2": [narrow], "kl": [nats]}
    assert reach_beside("distinct_2", changes) == reach_beside("stickiness", changes)
    assert reach_beside("stickiness", changes) == pytest.approx(1.15 * 0.14)
    assert reach_beside("kl", changes) == pytest.approx(1.15 * 3.01)


@pytest.mark.parametrize(
    ("values", "note"), [((0.61, 1.04), "from 0.6"), ((0.0, 1.0), ""), ((-1.0, 2.0), "")]
)
def test_an_axis_that_leaves_out_zero_says_so(values, note):
    drawn = line_chart([0, 1], [Series(name="x", values=values)], Axis(title="u"), "d")
    assert re.findall(r'class="note"[^>]*>([^<]*)<', drawn) == ([note] if note else [])
    assert drawn.count('class="cut"') == bool(note)


@pytest.mark.slow
def test_replies_of_earlier_versions_have_no_history_parts_or_vetoes(tmp_path):
    run = demo_run.make_run(tmp_path / "run", steps=1)
    for label in ("before", "after"):
        path = run.evaluation_path / f"{label}_replies.jsonl"
        rows = read_json_lines(path)
        new = ("history", "parts", "tricks")
        write_json_lines(path, [{k: v for k, v in r.items() if k not in new} for r in rows])
    source = report.write_report(run).read_text(encoding="utf-8")
    assert Page(source).text.count("Supporter") == 0
    assert "Histogram of empathy" in source
    assert "Histogram of relevance" not in source


def test_reuse_is_shown_with_its_counts_and_intervals(source, run):
    rates = by_tactic(load(run).after_replies, 0.95)
    measured = read_json_if_there(run.after_path)["metrics"]["stickiness"]["mean"]
    known = [one for one in rates if one.rate is not None]
    assert np.mean([one.rate for one in known]) == pytest.approx(measured)
    figure = re.search(r"<h3>Chance that a tactic is used again</h3>.*?</figure>", source, re.S)
    for name, one in zip(TACTIC_NAMES, rates, strict=True):
        if one.rate is not None:
            ends = f", interval {one.low:.0%} to {one.high:.0%}" if one.low is not None else ""
            words = f"{name.replace('_', ' ')}, after training: {one.rate:.0%} of {one.n} replies"
            assert f"{words}{ends}" in figure.group(0)
    assert "Reuse of tactics by turn" in source
    turns = by_turn(load(run).after_replies, 0.95)
    assert set(turns) == {1, 2, 3}
    assert all(one.low <= one.rate <= one.high for one in turns.values())


def test_held_out_figures_of_the_graders_that_were_used(tmp_path):
    run = demo_run.make_run(tmp_path / "run", steps=1, evaluated=False)
    manifest = read_json_if_there(run.manifest_path)
    card = shipped_card("tagger.json")
    manifest["graders"]["tagger"]["revision"] = card["sha256"]
    write_json(run.manifest_path, manifest)
    text = Page(report.write_report(run).read_text(encoding="utf-8")).text
    f1 = card["unseen_conversation"]["mean_macro_f1"]
    assert f"Macro-F1, mean over the tactics, on conversations it has not seen {f1:.3f}" in text
    kappa = card["unseen_system"]["mean_kappa"]
    assert f"chance-corrected (kappa), on systems it has not seen {kappa:.3f}" in text
    shown = text[text.index("Held-out figure") : text.index("No metric card")]
    assert not re.search(r"\b(f1 of|mean macro|mean kappa|unseen)\b", shown), "raw keys"
    assert "No metric card for these weights" in text


def test_shipped_cards_belong_to_the_shipped_weights():
    """The report finds a card by the hash of the weights, which is the grader's revision."""
    weights = resources.files("rewards.graders") / "weights"
    for name in ("tagger", "judge"):
        with np.load(weights / f"{name}.npz", allow_pickle=False) as file:
            revision = content_hash({key: file[key] for key in file.files})
        assert shipped_card(f"{name}.json")["sha256"] == revision


def test_command_writes_the_page_and_names_it(run, capsys):
    assert report.main(report.ReportSettings(run=str(run.path))) is None
    assert capsys.readouterr().out.strip() == str(run.report_path)
    with pytest.raises(ConfigError, match="does not exist"):
        report.write_report(run.path / "nothing")


@pytest.mark.parametrize(
    ("difference", "low", "high", "name", "expected"),
    [
        (0.1, 0.05, 0.2, "composite", "better"),
        (-0.1, -0.2, -0.05, "composite", "worse"),
        (-0.1, -0.2, -0.05, "stickiness", "better"),
        (0.1, 0.05, 0.2, "tactics_per_turn", "changed"),
        (0.1, -0.05, 0.2, "composite", "no clear change"),
        (0.1, None, None, "composite", "not known"),
    ],
)
def test_verdicts(difference, low, high, name, expected):
    change = Change.of({"difference": difference, "ci_low": low, "ci_high": high})
    assert change.verdict(MEASURES[name].better) == expected


def test_every_measure_is_one_that_evaluation_writes(run):
    metrics = read_json_if_there(run.after_path)["metrics"]
    assert set(MEASURES) <= set(metrics)
    assert set(metrics) - set(MEASURES) == {f"prevalence/{name}" for name in TACTIC_NAMES}


def test_ticks_are_round_and_cover_the_data():
    assert svg.nice_ticks(0.0, 1.0) == [0.0, 0.25, 0.5, 0.75, 1.0]
    assert svg.nice_ticks(0.61, 1.04) == [0.6, 0.8, 1.0, 1.2]
    assert svg.nice_ticks(3.0, 3.0)[0] < 3.0 < svg.nice_ticks(3.0, 3.0)[-1]
    assert svg.nice_ticks(0.0, 0.0)[0] < 0.0
    ticks = svg.nice_ticks(-1e-6, 2e-6)
    assert ticks[0] <= -1e-6
    assert ticks[-1] >= 2e-6


def test_long_runs_are_thinned_and_short_ones_drawn():
    axis = Axis(title="u")
    long = line_chart(
        range(1, 5001), [Series(name="x", values=tuple(map(float, range(5000))))], axis, "d"
    )
    assert long.count("<circle") == MAX_POINTS
    assert "at step 5000" in long
    one = line_chart([7], [Series(name="x", values=(0.5,))], axis, "d")
    assert one.count("<circle") == 1
    assert "No values" in line_chart([1], [Series(name="x", values=(None,))], axis, "d")


def test_numbers_for_people():
    assert number(-0.5) == "−0.50"
    assert number(-0.0001) == "0.00"
    assert number(0.25, 1, signed=True) == "+0.2"
    assert number(None) == "–"


def test_points_of_a_line_sit_where_the_axis_says():
    drawn = line_chart([0, 10], [Series(name="x", values=(0.0, 1.0))], Axis(title="u"), "d")
    points = [(float(x), float(y)) for x, y in re.findall(r'cx="([\d.]+)" cy="([\d.]+)"', drawn)]
    ticks = [float(y) for y in re.findall(r'class="grid"[^>]*y1="([\d.]+)"', drawn)]
    assert points[0][1] == max(ticks)
    assert points[1][1] == min(ticks)
    assert points[1][0] == pytest.approx(svg.WIDTH - svg.RIGHT)


@pytest.mark.slow
def test_a_reward_models_score_stands_where_empathy_would(tmp_path):
    run = demo_run.make_run(tmp_path / "run")
    settings = EvaluationConfig(resamples=200)
    for label in ("before", "after"):
        path = run.evaluation_path / f"{label}_replies.jsonl"
        rows = read_json_lines(path)
        for row in rows:
            row["judge_logit"] = None if row["empathy"] is None else row["empathy"] - 8.0
            row.update(empathy=None, dimensions={}, parts={}, tricks=None)
        write_json_lines(path, rows)
        summary = read_json_if_there(run.path / f"evaluation/{label}.json")
        metrics = summarise(read_replies(path), settings)
        summary["metrics"] = {name: asdict(value) for name, value in metrics.items()}
        write_json(run.path / f"evaluation/{label}.json", summary)
    write_comparison(run.evaluation_path, settings)
    page = Page(report.write_report(run).read_text(encoding="utf-8"))
    logit = read_json_if_there(run.comparison_path)["judge_logit"]
    assert re.search(r"Reward model (rose|fell|shows|went)", page.text)
    assert number(logit["before"]) in page.text
    assert number(logit["after"]) in page.text
    assert "Empathy: not known" not in page.text
    assert "Validating emotions" not in page.text, "there are no dimensions to show"


def test_histograms_hold_every_rating_once():
    axis = Axis(title="rating", low=1.0, high=5.0)
    series = [Series(name="a", values=(1.0, 1.1, 4.9, 5.0, None)), Series(name="b", values=(3.0,))]
    drawn = histogram(series, axis, 4, "d")
    assert "a: mean 3.00 of 4 replies" in drawn
    assert "b: mean 3.00 of 1 replies" in drawn
    outline = re.search(r'class="line c0" d="M[\d.]+ ([\d.]+)((?:V[\d.]+H[\d.]+)+)V', drawn)
    base = float(outline.group(1))
    heights = [base - float(y) for y in re.findall(r"V([\d.]+)", outline.group(2))]
    assert heights[0] == heights[3] > 0
    assert heights[1] == heights[2] == 0
    with pytest.raises(ValueError, match="both ends"):
        histogram(series, Axis(title="rating"), 4, "d")


def test_ratings_are_shown_spread_out(page):
    for words in ("Histogram of empathy", "Histogram of manner", "Histogram of relevance"):
        assert words in page.text


def test_replies_side_by_side_have_their_history(source, run):
    part = source[source.index('id="replies"') : source.index('id="all-replies"')]
    articles = re.findall(r"<article.*?</article>", part, re.DOTALL)
    assert len(articles) == 6
    for article in articles:
        assert "<b>Supporter</b>" in article
        assert article.count("<b>Seeker</b>") >= 2
    assert "earlier messages</summary>" in part


def test_the_gain_is_told_by_component(page, run):
    from mint.evaluation.metrics.gains import gains, signals_of
    from mint.evaluation.records import read_replies, replies_path
    from rewards.formula import raw_reward

    sides = [
        read_replies(replies_path(run.evaluation_path, label)) for label in ("before", "after")
    ]
    for reply in (*sides[0], *sides[1]):
        assert raw_reward(signals_of(reply)) == pytest.approx(reply.composite)
    parts = gains(*sides, RewardWeights())
    total = read_json_if_there(run.comparison_path)["composite"]["difference"]
    assert sum(parts.values()) == pytest.approx(total)
    assert set(parts) == {"quality", "kl", "entropy", "bigram", "trigram", "length", "label_leak"}
    said = re.search(r"Composite by component: ([+−][\d.]+) = (.*?)\.(?: |$)", page.text)
    assert said[1] == f"{total:+.3f}".replace("-", "−")
    shown = dict(part.rsplit(" ", 1) for part in said[2].split(", "))
    assert shown["quality"] == f"{parts['quality']:+.3f}".replace("-", "−")
    assert shown["novelty"] == f"{parts['kl']:+.3f}".replace("-", "−")
    assert "variety" not in shown, "its weight is 0"
    assert gains(*sides, RewardWeights(mode="multiply")) == {}


def test_the_data_of_every_figure_can_be_saved(source):
    figures = re.findall(r"<figure.*?</figure>", source, re.DOTALL)
    saved = [
        re.search(r'<a download="([a-z0-9-]+)\.csv" href="data:text/csv[^,]*,([^"]*)"', f)
        for f in figures
    ]
    assert all(saved)
    assert len({match[1] for match in saved}) > 20


def test_saved_data_are_what_was_logged(source, run):
    found = re.search(
        r'download="mean-composite-reward-of-each-step-s-replies\.csv" href="[^,]*,([^"]*)"', source
    )
    rows = list(csv.reader(io.StringIO(unquote(found[1]))))
    assert rows[0] == ["training step", "composite"]
    logged = run.read_metrics()
    assert len(rows) == len(logged) + 1
    assert float(rows[3][1]) == pytest.approx(logged[2]["reward/raw/mean"], rel=1e-5)


def test_saved_data_keep_text_from_being_a_formula():
    link = csv_link('A "hostile" title', ["name", "x"], [["=1+1", -2.5], ["a,b", None]])
    assert 'download="a-hostile-title.csv"' in link
    text = unquote(re.search(r'href="[^,]*,([^"]*)"', link)[1])
    assert text == 'name,x\n\'=1+1,-2.5\n"a,b",\n'


def test_commands_to_go_on_name_the_run(page, run):
    assert f"mint publish {run.path} output=DIR" in page.text
    assert f"mint train resume={run.path} trainer.total_training_steps=48" in page.text
    assert f"tensorboard --logdir {run.path}/tensorboard" in page.text


def test_a_run_that_is_not_over_goes_on(tmp_path):
    run = demo_run.make_run(tmp_path / "a run", steps=2, evaluated=False)
    manifest = read_json_if_there(run.manifest_path)
    write_json(run.manifest_path, {**manifest, "status": "running", "finished": None})
    text = Page(render(load(run))).text
    assert f"mint train resume='{run.path}'" in text
    assert "mint publish" not in text


@pytest.mark.parametrize("command", ["sft", "prefer"])
def test_a_tuned_run_goes_on_with_its_own_command(run, command):
    config = OmegaConf.create({"mint": {command: {"model": {}}}})
    data = replace(load(run), config=config)
    said = Page(going_on_section(data)).text
    assert f"mint evaluate model={run.path}/model output=DIR data=FILE" in said
    assert "mint train" not in said
    assert "mint publish" not in said
    going = {**data.manifest, "status": "failed"}
    assert (
        f"mint {command} resume={run.path}"
        in Page(going_on_section(replace(data, manifest=going))).text
    )


@pytest.mark.slow
def test_the_machine_is_among_the_facts(page, tmp_path):
    from mint.reporting.facts import machine

    assert re.search(r"Machine Linux \S+, \d+ CPU cores, .*\d+ GiB of memory", page.text)
    row = {
        "system": "Linux",
        "architecture": "x86_64",
        "cpu_cores": 16,
        "cpu": "EPYC",
        "memory_gib": 251.7,
        "disk_free_gib": 800.2,
        "gpus": ["NVIDIA H100 80 GiB"] * 2,
        "driver": "580.1",
        "cuda": "13.0",
    }
    assert machine(row) == (
        "Linux x86_64, 16 CPU cores, EPYC, 252 GiB of memory, 800 GiB of disk free at the start, "
        "2 x NVIDIA H100 80 GiB, driver 580.1, CUDA 13.0"
    )
    assert machine({k: row[k] for k in ("system", "architecture", "cpu_cores")}) == (
        "Linux x86_64, 16 CPU cores"
    )
    assert re.search(r"Took \d+ min, without what was built before", page.text)
