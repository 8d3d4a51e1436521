"""The reproduction as a command: files, tables and comparisons on a small release."""

from __future__ import annotations

import csv
import importlib.util
import json
import math
import re
import shutil
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from mint import reproduce
from mint.evaluation.statistics.bootstrap import (
    percentile_interval,
    resample_counts,
)
from mint.evaluation.statistics.multiple_tests import bootstrap_p_value
from mint.reproduction import compare, published, results
from mint.reproduction.panel import build_panel
from mint.reproduction.read import find_systems, read_system
from mint.reproduction.report import findings
from mint.reproduction.report.files import write
from mint.reproduction.report.summary import as_json
from mint.reproduction.settings import ReproduceSettings
from mint.reproduction.sums import HEADLINE, sums_of
from mint.shell import cli
from rewards.errors import ConfigError
from rewards.tactics import TACTIC_NAMES
from rewards.types import DIMENSIONS

pytestmark = pytest.mark.slow

PATH = Path(__file__).resolve().parents[1] / "released_files.py"
SPEC = importlib.util.spec_from_file_location("released_files", PATH)
released = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(released)

QUICK = {"resamples": 300, "comparison_resamples": 300, "shuffles": 100, "equal_length": 20}


def settings(upstream: Path, output: Path, **values) -> ReproduceSettings:
    return ReproduceSettings(upstream=str(upstream), output=str(output), **{**QUICK, **values})


@pytest.fixture(scope="module")
def release(tmp_path_factory) -> Path:
    return released.make_release(tmp_path_factory.mktemp("release") / "upstream")


@pytest.fixture(scope="module")
def output(release, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("output") / "out"
    arguments = [f"upstream={release}", f"output={path}"]
    arguments += [f"{name}={value}" for name, value in QUICK.items()]
    assert cli.run(ReproduceSettings, reproduce.main, arguments) == 0
    return path


@pytest.fixture(scope="module")
def metrics(output) -> dict:
    return json.loads((output / "metrics.json").read_text())


def test_metrics_have_the_promised_names(metrics):
    assert set(metrics["systems"]) == set(released.SYSTEMS)
    for name, values in metrics["systems"].items():
        for metric in (*DIMENSIONS, *HEADLINE):
            assert isinstance(values[metric], float), (name, metric)
        assert set(metrics["intervals"][name]) == set(values)
    assert "ours1_q_dkl_Qwen3-4B" in metrics["missing"]
    assert "baseline1_vanilla_Qwen3-1.7B" not in metrics["missing"]
    assert len(metrics["missing"]) == 21
    assert metrics["judge"] == "judge"


def test_values_by_hand(release, metrics):
    """Means over the files as they are, without any code of the reproduction."""
    name = released.SYSTEMS[1]
    entries = json.loads(released.tagged_file(release).read_text())
    with released.ratings_file(release).open() as stream:
        rows = list(csv.DictReader(stream))
    found = metrics["systems"][name]
    assert found["advice_giving"] == pytest.approx(
        np.mean([float(r["advice_giving"]) for r in rows])
    )
    sets = {
        (e["conversation_id"], len(e["conversation_history"])): {
            t for names in e["sentence_tactics"] for t in names
        }
        for e in entries
    }
    assert found["tac_per_turn"] == pytest.approx(np.mean([len(s) for s in sets.values()]))
    rates = []
    for tactic in TACTIC_NAMES:
        after = [
            tactic in now
            for (c, t), now in sets.items()
            if (c, t - 2) in sets and tactic in sets[c, t - 2]
        ]
        rates += [np.mean(after)] if after else []
    assert found["self_stickiness"] == pytest.approx(np.mean(rates))
    assert found["distinct_sets"] == len({frozenset(s) for s in sets.values()})


def test_published_cells_are_compared_not_copied(metrics):
    cells = metrics["published"]["cells"]
    assert {cell["system"] for cell in cells} == {"gold", "baseline1_vanilla_Qwen3-1.7B"}
    assert metrics["published"]["num_cells"] == len(cells) == 18
    for cell in cells:
        observed = metrics["systems"][cell["system"]][cell["metric"]]
        assert cell["observed"] == observed
        assert cell["difference"] == pytest.approx(observed - cell["published"])
        assert cell["reproduces"] == (abs(observed - cell["published"]) <= 0.011)
    assert metrics["published"]["num_reproduced"] < 9  # random ratings are not the paper's


def test_claims_need_their_systems(metrics):
    for claim in metrics["claims"].values():
        assert claim["status"] == "missing system"
        assert claim["observed"] is None
        assert claim["reproduces"] is None
        assert claim["missing"]


def test_claims_come_from_observed_values():
    facts = published.load()
    observed = {
        "baseline1_vanilla_Qwen3-1.7B": {"aggregated_empathy": 2.0},
        "ours1_q_dkl_Qwen3-1.7B": {"aggregated_empathy": 2.504},
        "baseline1_vanilla_Qwen3-4B": {"aggregated_empathy": 4.0},
    }
    claims = [c for c in facts.claims if c.metric == "aggregated_empathy"]
    both, first, second = (
        published.check_claim(claim, observed, facts.claim_tolerance) for claim in claims
    )
    assert first.observed == pytest.approx(25.2)
    assert first.from_cells == pytest.approx(25.0)
    assert first.reproduces is False
    assert both.parts == {"1.7B": pytest.approx(25.2)}
    assert both.missing == second.missing == ("ours1_q_dkl_Qwen3-4B",)
    assert both.reproduces is None


def test_facts_of_the_paper_are_complete():
    facts = published.load()
    assert len(facts.systems) == 23
    assert facts.systems["ours1_q_dkl_Qwen3-4B"]["aggregated_empathy"] == 4.67
    assert facts.systems["gold"]["stickiness"] == 0.27
    stated = sorted(abs(claim.percent) for claim in facts.claims)
    assert stated == [24.5, 25.3, 26.1, 26.3, 40.2, 44.8, 196.3, 212.3]
    assert set(facts.agreement) == set(DIMENSIONS)
    for row in facts.systems.values():
        assert set(row) == set(facts.columns)


def test_pairwise_intervals_equal_a_plain_loop(release):
    """The same resamples, but with the turns of the drawn conversations put in a list."""
    panel = build_panel([read_system(release, name) for name in find_systems(release)], "gold")
    sums = {r.name.folder: sums_of(panel, r) for r in panel.systems}
    drawn = resample_counts(len(panel.turns.conversations), 120, seed=4)
    found = compare.compare_all(sums, drawn, 0.95)
    for pair in found["aggregated_empathy"]:
        gained = []
        for row in drawn:
            turns = [
                n
                for c, times in enumerate(row.astype(int))
                for n in np.flatnonzero(panel.turns.index_N == c).tolist() * times
            ]
            first, second = (
                next(r for r in panel.systems if r.name.folder == name).aggregate_N[turns].mean()
                for name in (pair.first, pair.second)
            )
            gained.append(second - first)
        assert pair.interval == pytest.approx(percentile_interval(np.array(gained), 0.95))
        assert pair.p_value == pytest.approx(bootstrap_p_value(np.array(gained)))
        assert pair.p_value <= pair.benjamini_hochberg <= pair.holm


def test_every_pair_is_compared(metrics):
    assert set(metrics["comparisons"]) == set(HEADLINE)
    for metric, pairs in metrics["comparisons"].items():
        assert len(pairs) == 3
        for pair in pairs:
            values = [metrics["systems"][pair[side]][metric] for side in ("first", "second")]
            assert pair["difference"] == pytest.approx(values[1] - values[0])


def test_tables_say_the_same_in_every_format(output, metrics):
    with (output / "csv/main.csv").open() as stream:
        rows = {row["system"]: row for row in csv.DictReader(stream)}
    assert list(rows) == ["Human", "Vanilla 1.7B", "mine new-idea 8B"]
    value = metrics["systems"]["gold"]["lift"]
    assert float(rows["Human"]["lift"]) == value
    markdown = (output / "tables.md").read_text()
    latex = (output / "tables.tex").read_text()
    assert f"{value:.3f}" in markdown
    assert f"{value:.3f}" in latex
    assert "✗" in markdown
    assert markdown.count("\n## ") + 1 == latex.count(r"\begin{table}") == 8
    widths = [
        {line.count("|") for line in part.splitlines() if line.startswith("|")}
        for part in markdown.split("## ")[1:]
    ]
    assert all(len(width) == 1 for width in widths)
    for row in latex.splitlines():
        assert not re.search(r"(?<!\\)[%#_]", row.replace(r"\label{tab:", "")), row
    assert {p.stem for p in (output / "csv").iterdir()} >= {f"comparisons_{m}" for m in HEADLINE}


class Page(HTMLParser):
    """Collects what the tests ask about."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict]] = []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))


def test_report_is_self_contained_and_described(output):
    page = (output / "report.html").read_text()
    parser = Page()
    parser.feed(page)
    names = [tag for tag, _ in parser.tags]
    assert not {"script", "img", "iframe", "object"} & set(names)
    assert "http" not in page.replace("http-equiv", "").replace("http://www.w3.org", "")
    assert "url(" not in page
    charts = [attrs for tag, attrs in parser.tags if tag == "svg" and attrs["class"] == "chart"]
    assert len(charts) >= 18
    for attrs in charts:
        assert attrs["role"] == "img"
        assert len(attrs["aria-label"]) > 40
    targets = {
        attrs["href"][1:] for tag, attrs in parser.tags if tag == "a" and "download" not in attrs
    }
    assert targets <= {attrs["id"] for _, attrs in parser.tags if "id" in attrs}
    assert "nan" not in re.sub(r"<style>.*?</style>", "", page, flags=re.DOTALL).lower().split()
    assert "mine new-idea 8B" in page


def test_findings_follow_from_the_numbers(release, tmp_path):
    """The same pair, whichever side of it the people are on."""
    found = results.reproduce(settings(release, tmp_path), lambda *_: None)
    said = {}
    for first, second, difference in (("gold", "x", 0.5), ("x", "gold", -0.5), ("gold", "x", -0.5)):
        pair = compare.Comparison(
            metric="lift",
            first=first,
            second=second,
            difference=difference,
            interval=(0.1, 0.2),
            p_value=0.001,
            holm=0.01,
            benjamini_hochberg=0.01,
        )
        one = replace(found, comparisons={**found.comparisons, "lift": (pair,)})
        said[first, difference] = findings._differing(one, "lift")
    assert said["gold", 0.5] == said["x", -0.5] == (["x"], [])
    assert said["gold", -0.5] == ([], ["x"])
    unclear = replace(found, comparisons={**found.comparisons, "lift": (replace(pair, holm=0.2),)})
    assert findings._differing(unclear, "lift") == ([], [])
    text = " ".join(findings.findings(unclear))
    assert "no system clearly repeats more" in text
    assert f"{found.num_reproduced} of 18 published cells" in text


def test_a_second_call_replaces_the_first(release, output):
    before = json.loads((output / "metrics.json").read_text())
    found = results.reproduce(settings(release, output), lambda *_: None)
    write(found, output)
    assert json.loads((output / "metrics.json").read_text()) == before
    assert not [p for p in output.rglob("*") if p.name.endswith((".tmp", ".partial"))]


def test_text_of_a_system_cannot_break_the_page(release, tmp_path):
    hostile = tmp_path / "upstream"
    shutil.copytree(release, hostile)
    for folder in (released.tagged_file(hostile).parent, released.ratings_file(hostile).parent):
        folder.rename(folder.with_name("<b>&_$x_Qwen3-9B"))
    found = results.reproduce(settings(hostile, tmp_path), lambda *_: None)
    report = write(found, tmp_path / "out")
    assert "<b>& $x" not in report.read_text()
    assert "&lt;b&gt;&amp; $x 9B" in report.read_text()
    assert r"<b>\& \$x 9B" in (tmp_path / "out/tables.tex").read_text()


def test_reference_alone_has_a_report(release, tmp_path):
    skip = [name for name in released.SYSTEMS if name != "gold"]
    found = results.reproduce(settings(release, tmp_path, skip=skip), lambda *_: None)
    assert found.comparisons["lift"] == ()
    assert "There is only one system" in write(found, tmp_path / "out").read_text()


def test_undefined_numbers_are_null(release, tmp_path):
    """More words asked for than there are."""
    wanted = settings(release, tmp_path, equal_length=10**6)
    values = as_json(results.reproduce(wanted, lambda *_: None))["systems"]["gold"]
    assert values["distinct_2_equal_length"] is None
    assert values["distinct_2"] is not None
    json.dumps(values, allow_nan=False)
    assert not [k for k, v in values.items() if isinstance(v, float) and not math.isfinite(v)]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"resamples": 10}, "resamples must be >= 100, got 10"),
        ({"shuffles": 1}, "shuffles must be >= 100"),
        ({"confidence": 1.0}, r"confidence must be in \(0, 1\)"),
        ({"equal_length": 0}, "equal_length must be >= 1"),
        ({"seed": -1}, "seed must be >= 0"),
        ({"comparison_resamples": 5}, "comparison_resamples must be >= 100"),
    ],
)
def test_settings_that_make_no_sense(values, message):
    with pytest.raises(ConfigError, match=message):
        ReproduceSettings(upstream="a", output="b", **values)


def test_places_that_cannot_be_used(release, tmp_path):
    with pytest.raises(ConfigError, match="is not a folder"):
        reproduce.main(settings(tmp_path / "nowhere", tmp_path / "out"))
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(ConfigError, match="is a file; give a folder"):
        reproduce.main(settings(release, file))
    with pytest.raises(ConfigError, match="is not empty; choose another one, or add --overwrite"):
        reproduce.main(settings(release, tmp_path))
