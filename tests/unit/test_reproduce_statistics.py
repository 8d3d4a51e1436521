"""Statistics of the reproduction: the jackknife of repetition, what intervals say, whose moves."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import released_files as released

from mint.evaluation.statistics.bootstrap import jackknife_interval, resample_counts
from mint.evaluation.statistics.multiple_tests import jackknife_p_value
from mint.reproduction import compare, results
from mint.reproduction.panel import build_panel
from mint.reproduction.read import find_systems, parse_name, read_system
from mint.reproduction.report import findings
from mint.reproduction.report.files import write
from mint.reproduction.settings import ReproduceSettings
from mint.reproduction.sums import sums_of

pytestmark = pytest.mark.slow


def settings(upstream: Path, output: Path) -> ReproduceSettings:
    quick = {"resamples": 300, "comparison_resamples": 300, "shuffles": 100, "equal_length": 20}
    return ReproduceSettings(upstream=str(upstream), output=str(output), **quick)


@pytest.fixture(scope="module")
def release(tmp_path_factory) -> Path:
    return released.make_release(tmp_path_factory.mktemp("release") / "upstream")


def test_pairs_of_repetition_leave_out_each_conversation_of_both(release):
    panel = build_panel([read_system(release, name) for name in find_systems(release)], "gold")
    sums = {r.name.folder: sums_of(panel, r) for r in panel.systems}
    groups = len(panel.turns.conversations)
    found = compare.compare_all(sums, resample_counts(groups, 120, seed=4), 0.95)
    for pair in found["self_stickiness"]:
        gained = []
        for left_out in range(groups):
            kept = np.array([[float(c != left_out) for c in range(groups)]])
            values = {name: one.headline(kept)["self_stickiness"][0] for name, one in sums.items()}
            gained.append(values[pair.second] - values[pair.first])
        expected = jackknife_interval(pair.difference, np.array(gained), 0.95)
        assert pair.interval == pytest.approx(expected)
        assert pair.p_value == pytest.approx(jackknife_p_value(pair.difference, np.array(gained)))


def test_what_intervals_are_over_is_said(release, tmp_path):
    write(results.reproduce(settings(release, tmp_path), lambda *_: None), tmp_path)
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert "not the spread between training runs" in metrics["intervals_are_over"]
    for file in ("report.html", "tables.md", "tables.tex"):
        said = " ".join((tmp_path / file).read_text().split())
        assert metrics["intervals_are_over"] in said, file


@pytest.mark.parametrize(
    ("lift", "self_lift", "said"),
    [
        ((-0.07, -0.1, -0.04), (0.9, 0.09, 0.95), "avoids the person's last move and repeats its"),
        (
            (0.0, -0.1, 0.1),
            (0.0, -0.1, 0.1),
            "neither clearly repeats nor avoids the person's",
        ),
        (
            (0.1, 0.05, 0.2),
            (-0.9, -0.95, -0.1),
            "repeats the person's last move and avoids its",
        ),
    ],
)
def test_whose_moves_mint_repeats_follows_from_the_numbers(
    release, tmp_path, lift, self_lift, said
):
    found = results.reproduce(settings(release, tmp_path), lambda *_: None)
    assert not list(findings._moves(found))  # no MINT among the systems
    mint, other = "ours1_q_dkl_Qwen3-4B", found.systems["baseline1_vanilla_Qwen3-1.7B"]
    one = replace(
        other,
        name=parse_name(mint),
        values={**other.values, "lift": lift[0], "self_lift": self_lift[0]},
        intervals={**other.intervals, "lift": lift[1:], "self_lift": self_lift[1:]},
    )
    with_mint = replace(found, systems={**found.systems, mint: one})
    assert not list(findings._moves(with_mint))  # other systems of its size are missing
    complete = replace(with_mint, absent=())
    (sentence,) = findings._moves(complete)
    assert f"<b>MINT Q+D_KL 4B {said}" in sentence
    assert ("the largest of 4 systems" in sentence) == (self_lift[0] > 0.8)
