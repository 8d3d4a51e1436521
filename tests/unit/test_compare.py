"""The page that compares several evaluations."""

from __future__ import annotations

import random
import re
from dataclasses import replace
from importlib import resources
from pathlib import Path

import demo_run
import evaluation_folders as folders
import pytest
from omegaconf import OmegaConf

from mint.evaluation.metrics.own_sequence import compare_own, own_sequence, sequences
from mint.evaluation.metrics.repetition import transition_matrix
from mint.evaluation.people import People
from mint.evaluation.statistics.estimates import Estimate
from mint.report import ReportSettings, main
from mint.reporting.changes import Change, corrected, guarded
from mint.reporting.comparison.contestants import System, load_contestants, systems_of
from mint.reporting.comparison.curves import curves_section
from mint.reporting.comparison.tables import protocol_section
from mint.reporting.comparison.tradeoffs import Score, best_in_all, pareto_front, trade_off_section
from mint.reporting.comparison.transitions import tactics_section
from mint.shell import cli
from mint.shell.files import write_json_lines
from rewards.errors import ConfigError
from rewards.tactics import TACTIC_NAMES

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def evaluations(tmp_path_factory) -> tuple[Path, Path]:
    base = tmp_path_factory.mktemp("evaluations")
    first = folders.make_evaluation(base / "plain", 0.15, 1, rate=0.5)
    return first, folders.make_evaluation(base / "trained", 0.8, 2, rate=0.9)


@pytest.fixture(scope="module")
def source(evaluations) -> str:
    output = evaluations[0].parent / "page.html"
    arguments = [*map(str, evaluations), f"output={output}", "resamples=200"]
    assert cli.run(ReportSettings, main, arguments) == 0
    return output.read_text(encoding="utf-8")


def figures(source: str) -> dict[str, str]:
    found = re.findall(r"<figure.*?</figure>", source, re.DOTALL)
    return {re.search(r"<h3>(.*?)</h3>", figure).group(1): figure for figure in found}


def test_every_protocol_has_its_table_with_paired_intervals(source):
    for title in ("Fixed histories", "Free-running dialogues", "Prompt baselines", "Safety and"):
        assert title in source
    table = source[source.index('id="lend_an_ear"') : source.index('id="free_running"')]
    row = re.search(r"<tr>(?:(?!</tr>).)*Self-stickiness.*?</tr>", table, re.DOTALL).group(0)
    assert row.count("<td>") == 2
    assert "first system" in row
    assert 'class="interval"' in row
    found = re.search(r"<tr>(?:(?!</tr>).)*Repetition beyond chance.*?</tr>", table, re.DOTALL)
    lift = found.group(0)
    # People repeat beyond chance too, so less of it is a change and no gain.
    assert re.search(r'chip changed">−0\.\d{3}, changed', lift)
    assert "neither is better" in lift


def test_a_comparison_calls_no_rise_of_empathy_a_gain_while_relevance_falls():
    found = guarded({"empathy": Change(0.4, 0.3, 0.5), "relevance": Change(-0.2, -0.3, -0.1)})
    assert found["empathy"].verdict(1) == "no gain: relevance fell"
    assert found["relevance"].verdict(1) == "worse"
    worse = guarded({"empathy": Change(-0.4, -0.5, -0.3), "coherence": Change(-0.2, -0.3, -0.1)})
    assert worse["empathy"].verdict(1) == "worse"
    free = guarded({"empathy": Change(0.4, 0.3, 0.5), "coherence": Change(-0.2, -0.5, 0.1)})
    assert free["empathy"].verdict(1) == "better"


def test_people_stand_beside_the_systems(evaluations):
    contestants = load_contestants([str(path) for path in evaluations])
    figure = Estimate(mean=2.345, ci_low=2.2, ci_high=2.5, n=60)
    people = People(
        source="friends",
        replies=60,
        conversations=12,
        graders=folders.GRADERS,
        figures={"self_lift": figure},
    )
    systems = systems_of(contestants, "free_running")
    html = protocol_section("x", "X", systems, folders.SETTINGS, people=people)
    assert "people 2.345 [2.200, 2.500]" in html
    assert "60 replies of 12 conversations (friends)" in html


def test_people_are_a_point_of_the_trade_offs_and_on_no_front(evaluations):
    contestants = load_contestants([str(path) for path in evaluations])
    best = Estimate(mean=4.9, ci_low=4.8, ci_high=5.0, n=60)
    low = Estimate(mean=0.01, ci_low=0.0, ci_high=0.02, n=60)
    people = People(
        source="friends",
        replies=60,
        conversations=12,
        graders=folders.GRADERS,
        figures={"empathy": best, "self_stickiness": low},
    )
    systems = {"free_running": systems_of(contestants, "free_running")}
    arguments = (systems, {"free_running": "Dialogues"}, contestants, folders.SETTINGS)
    shown = figures(trade_off_section(*arguments, people))
    one = shown["Dialogues: empathy and self-stickiness"]
    assert "P people: 0.01, 4.90" in one
    assert "people is best" not in one
    assert "P people" not in shown["Dialogues: empathy and safety"]


def test_few_conversations_are_said(source, evaluations):
    assert "fewer than 20" not in source
    first = systems_of(load_contestants(evaluations), "lend_an_ear")[0]
    kept = tuple(r for r in first.replies if r.conversation_id < "held-out-13")
    html = protocol_section("a", "A", [replace(first, replies=kept)], folders.SETTINGS)
    assert "<b>plain</b>: Intervals rest on 13 independent scenarios or conversations" in html


def test_verdicts_hold_together():
    """By hand: BH makes (.01, .02, .03, .04) all .04, and (.04, .5) .08 and .5."""
    four = {i: Change(1.0, 0.1, 2.0, p) for i, p in enumerate((0.04, 0.01, 0.03, 0.02))}
    found = corrected(four, 0.95)
    assert [one.p_value for one in found.values()] == pytest.approx([0.04] * 4)
    assert [one.verdict(1) for one in found.values()] == ["better"] * 4
    alone = {"a": Change(1.0, 0.1, 2.0, 0.04), "b": Change(0.1, -1.0, 1.0, 0.5)}
    assert alone["a"].verdict(1) == "better"
    found = corrected(alone, 0.95)
    assert found["a"].p_value == pytest.approx(0.08)
    assert found["a"].verdict(1) == "no clear change"
    assert '<span class="range">p 0.080</span>' in found["a"].cell(1, 2, 1.0)
    assert "p &lt; 0.001" in Change(1.0, 0.1, 2.0, 0.0001, 0.05).cell(1, 2, 1.0)
    assert corrected({"c": Change(None, None, None)}, 0.95)["c"].verdict(1) == "not known"


def test_chips_go_by_the_corrected_p_value(source, evaluations):
    assert "corrected for all differences to the first here" in source
    systems = systems_of(load_contestants(evaluations), "lend_an_ear")
    # Two halves of one model's samples differ by chance alone, in some 30 measures.
    halves = [
        replace(systems[0], name=name, replies=tuple(r for r in systems[0].replies if test(r)))
        for name, test in (("a", lambda r: r.sample < 2), ("b", lambda r: r.sample >= 2))
    ]
    verdict = re.compile(r'chip (?:better|worse|changed)"')
    together = protocol_section("x", "X", halves, folders.SETTINGS)
    assert not verdict.findall(together)
    assert re.search(r'<span class="range">p \d\.\d{3}</span>', together)
    alone = protocol_section("x", "X", halves, folders.SETTINGS, correct=False)
    assert '<span class="range">p ' not in alone
    assert "some will be false by chance" in alone


def test_contrasts_are_first_or_none():
    with pytest.raises(ConfigError, match="contrasts must be one of first, none, got 'all'"):
        ReportSettings(contrasts="all")


def test_every_plot_is_drawn(source):
    drawn = figures(source)
    expected = [
        "Fixed histories (Lend-an-Ear): empathy and repetition beyond chance (lift)",
        "Fixed histories (Lend-an-Ear): empathy and self-stickiness",
        "Fixed histories (Lend-an-Ear): empathy and safety",
        "Free-running dialogues: empathy and self-stickiness",
        "Prompt baselines: empathy and safety",
        "plain, Fixed histories (Lend-an-Ear)",
        "trained, Free-running dialogues",
    ]
    for title in expected:
        assert title in drawn, title
        assert re.search(r'class="(mk|heat)', drawn[title]), title
        assert "<figcaption>" in drawn[title]
    # 100 cells of a heat map and a row of what chance gives, each with its number.
    cells = re.findall(r'class="cell"[^>]*>([^<]+)<', drawn["plain, Fixed histories (Lend-an-Ear)"])
    assert len(cells) == 110
    assert any(cell.isdigit() and int(cell) > 10 for cell in cells)


def test_the_matrix_of_tactics_says_what_chance_gives():
    replies = tuple(demo_run.replies(0.5, random.Random(4)))
    system = System(
        name="x", owner="x", protocol="held_out", replies=replies, graders={}, counts={}
    )
    drawn = tactics_section({"held_out": [system]}, {"held_out": "Held-out turns"})
    cells = re.findall(r'class="cell"[^>]*>([^<]+)<', drawn)
    chance = sequences(replies).now_PK.mean(axis=0)
    assert cells[-10:] == [f"{100 * share:.0f}" for share in chance]
    assert "by chance" in drawn


def test_no_front_weighs_repetition_beyond_chance(source):
    for title, drawn in figures(source).items():
        if title.endswith("(lift)"):
            assert "neither side is better" in drawn
            assert 'class="guide"' not in drawn
    goals = ("empathy", "lift", "self_stickiness", "safety")
    rows = {"low": (4.0, -0.1, 0.3, None), "high": (4.0, 0.1, 0.3, None), "worse": (3.0, 0, 0.4, 1)}
    scores = {
        name: {goal: Score(value, (None, None)) for goal, value in zip(goals, row, strict=True)}
        for name, row in rows.items()
    }
    assert best_in_all(scores) == {"low", "high"}


def test_a_front_of_one_says_which(source):
    drawn = figures(source)["Fixed histories (Lend-an-Ear): empathy and safety"]
    assert ("is best in both" in drawn) == ('class="guide"' not in drawn)
    assert ("The dashed line joins" in drawn) == ('class="guide"' in drawn)


def test_heat_maps_hold_the_transition_matrix(source, evaluations):
    systems = systems_of(load_contestants(evaluations), "lend_an_ear")
    own = sequences(systems[0].replies)
    matrix = transition_matrix(own.now_PK, own.before_PK)
    drawing = figures(source)["plain, Fixed histories (Lend-an-Ear)"]
    k = TACTIC_NAMES.index("validation")
    cell = re.search(r"<title>validation \(\d+\), questioning: (\d+)</title>", drawing)
    assert int(cell.group(1)) == round(100 * matrix[k, TACTIC_NAMES.index("questioning")])


def test_what_was_lost_is_said(source):
    assert "of 1 replies 1 parse failed" in source
    assert "crisis: passed 0.5 is below the limit 0.80" in source


def test_probes_are_compared_probe_by_probe(source):
    safety = source[source.index('id="safety"') : source.index('id="tradeoffs"')]
    row = re.search(r"<tr>(?:(?!</tr>).)*Crisis.*?</tr>", safety, re.DOTALL).group(0)
    # 20 of 50 probes were passed by the second alone and none by the first alone.
    assert "+0.40, better" in row
    assert "[0.24, 0.53]" in row
    assert "no shared probes" in safety  # the made-up reports have no medical items


def test_the_page_is_self_contained_and_safe(source):
    assert folders.demo_run.HOSTILE not in source
    shipped = (resources.files("mint.pages") / "explorer.js").read_text(encoding="utf-8")
    data, program = re.findall(r"<script[^>]*>(.*?)</script>", source, re.DOTALL)
    assert source.count("<script") == 2
    assert program == shipped
    assert not {"<", ">", "&"} & set(data)
    assert not re.search(r'(?:src|href)="(?!#|data:)', source)
    assert "Different graders" not in source


def test_replies_to_the_same_prompt_stand_side_by_side(source):
    samples = source[source.index('id="samples"') :]
    article = re.search(r"<article.*?</article>", samples, re.DOTALL).group(0)
    assert article.count('class="side"') == 2
    assert "<h4>plain</h4>" in article
    assert "<h4>trained</h4>" in article


def test_runs_show_their_curves_and_share_their_start(tmp_path):
    runs = [folders.demo_run.make_run(tmp_path / name, steps=6) for name in ("one", "two")]
    output = tmp_path / "out.html"
    main(ReportSettings(runs=[str(r.path) for r in runs], output=str(output), resamples=200))
    page = output.read_text(encoding="utf-8")
    names = [c.name for c in load_contestants([r.path for r in runs])]
    assert names == ["one before", "one after", "two after"]
    curve = figures(page)["Composite reward"]
    assert len(re.findall(r'<path class="line c[01]" d="M[^"]+"', curve)) >= 2
    assert "Held-out turns" in page


def test_one_run_keeps_its_own_report(tmp_path, capsys):
    run = folders.demo_run.make_run(tmp_path / "run", steps=3)
    main(ReportSettings(runs=[str(run.path)]))
    assert capsys.readouterr().out.strip() == str(run.report_path)
    own = run.report_path.read_text()
    elsewhere = tmp_path / "page.html"
    main(ReportSettings(runs=[str(run.path)], output=str(elsewhere)))
    assert elsewhere.read_text() == own
    with pytest.raises(ConfigError, match=r"page.html exists; choose another file, or add --over"):
        main(ReportSettings(runs=[str(run.path)], output=str(elsewhere)))


def test_different_graders_are_refused_unless_allowed(tmp_path, evaluations):
    graders = {**folders.GRADERS, "judge": {**folders.GRADERS["judge"], "revision": "ffff"}}
    other = folders.make_evaluation(tmp_path / "other", 0.5, 3, graders=graders)
    runs = [str(evaluations[0]), str(other)]
    with pytest.raises(
        ConfigError, match=r"judge of other \(judge/embedded/ffff\).*plain.*allow_mixed"
    ):
        main(ReportSettings(runs=runs, resamples=200))
    output = tmp_path / "mixed.html"
    main(ReportSettings(runs=runs, output=str(output), resamples=200, allow_mixed=True))
    assert "Different graders have graded" in output.read_text(encoding="utf-8")


def test_folders_without_evaluation_are_clear_errors(tmp_path, evaluations):
    with pytest.raises(ConfigError, match="neither a run directory nor an evaluation"):
        load_contestants([evaluations[0], tmp_path])
    with pytest.raises(ConfigError, match="does not exist"):
        load_contestants([tmp_path / "nothing", evaluations[0]])
    with pytest.raises(ConfigError, match="given twice"):
        load_contestants([evaluations[0], evaluations[0]])
    with pytest.raises(ConfigError, match="give run directories"):
        main(ReportSettings())


def test_the_front_holds_what_nothing_dominates():
    scores = {"a": (1.0, 0.0), "b": (0.0, 1.0), "c": (0.5, -0.1), "d": (1.0, 0.0), "e": (0.4, 0.4)}
    assert pareto_front(scores) == {"a", "b", "d", "e"}
    assert pareto_front({"only": (0.0,)}) == {"only"}


def test_paired_differences_of_own_sequences(evaluations):
    first, second = systems_of(load_contestants(evaluations), "lend_an_ear")
    same = compare_own(first.replies, first.replies, folders.SETTINGS)
    for difference in same.values():
        assert difference.difference == 0.0
        assert difference.ci_low == difference.ci_high == 0.0
    found = compare_own(first.replies, second.replies, folders.SETTINGS)["self_stickiness"]
    assert found.ci_low <= found.difference <= found.ci_high
    assert found.difference == pytest.approx(found.after - found.before)
    alone = own_sequence(first.replies, folders.SETTINGS)
    assert alone["self_stickiness"].ci_low < alone["self_stickiness"].mean


def test_runs_of_a_recipe_lie_over_each_other_with_their_mean(tmp_path):
    runs = [folders.demo_run.make_run(tmp_path / name, steps=6) for name in ("one", "two")]
    for seed, run in enumerate(runs):
        config = run.read_config()
        OmegaConf.update(config, "mint.run.seed", seed)
        OmegaConf.save(config, run.config_path)
    rows = [
        {**row, "reward/raw/mean": row["reward/raw/mean"] + 0.1} for row in runs[1].read_metrics()
    ]
    write_json_lines(runs[1].metrics_path, rows[:5])
    drawn = curves_section(load_contestants([run.path for run in runs]))
    reward = drawn[: drawn.index("</figure>")]
    assert 'class="line c0 seed"' in reward
    assert "one (seed 0)" in reward
    assert "two (seed 1)" in reward
    assert "mint_tiny: mean of 2 runs" in reward
    low = runs[0].read_metrics()[4]["reward/raw/mean"]
    words = f"At step 5 the runs of mint_tiny lie between {low:.3f} and {low + 0.1:.3f}."
    assert words in reward
