"""The collapse alarm: when it comes on, when it goes off, and that it survives an interruption."""

from __future__ import annotations

import math

import pytest

from mint.config.validation import CollapseConfig
from mint.reporting.validation import alarm_spans
from mint.training.lines import alarms_on, format_alarms
from mint.validation.collapse import CollapseWatch

SETTINGS = CollapseConfig(
    max_entropy_drop=0.5, max_top_opening=0.6, max_distinct_2_drop=0.5, baseline_steps=2, window=2
)


def figures(
    entropy: float | None = 2.0, opening: float | None = 0.1, distinct: float | None = 0.4
) -> dict[str, float | None]:
    return {
        "policy/entropy": entropy,
        "reply/top_opening": opening,
        "reply/distinct_2": distinct,
    }


def names(watch: CollapseWatch, *steps: dict[str, float | None]) -> list[list[str]]:
    return [[alarm.name for alarm in watch.look(step)] for step in steps]


def test_entropy_is_compared_with_the_start() -> None:
    steps = [figures(e) for e in (2.2, 1.8, 0.99, 0.98, 1.5)]
    assert names(CollapseWatch(SETTINGS), *steps) == [[], [], [], ["entropy"], []]


def test_the_text_has_value_threshold_and_key() -> None:
    watch = CollapseWatch(SETTINGS)
    for step in (figures(2.0), figures(2.0), figures(0.5)):
        watch.look(step)
    assert [alarm.text for alarm in watch.look(figures(0.4))] == [
        "policy/entropy 0.400 is below 1.000 for 2 steps (mint.collapse.max_entropy_drop)"
    ]


def test_one_bad_step_is_no_alarm() -> None:
    steps = [figures(opening=o) for o in (0.7, 0.1, 0.7, 0.1)]
    assert names(CollapseWatch(SETTINGS), *steps) == [[], [], [], []]


def test_openings_need_no_start() -> None:
    steps = [figures(opening=o) for o in (0.7, 0.9)]
    assert names(CollapseWatch(SETTINGS), *steps) == [[], ["top_opening"]]


def test_all_three_at_once() -> None:
    steps = [figures(), figures(), figures(0.1, 0.9, 0.1), figures(0.1, 0.9, 0.1)]
    assert names(CollapseWatch(SETTINGS), *steps)[-1] == ["entropy", "top_opening", "distinct_2"]


def test_missing_figures_neither_start_nor_end_an_alarm() -> None:
    watch = CollapseWatch(SETTINGS)
    bad = figures(opening=0.9)
    steps = [bad, figures(None, None, math.nan), bad]
    assert names(watch, *steps) == [[], [], ["top_opening"]]


def test_limits_can_be_switched_off() -> None:
    off = CollapseConfig(
        max_entropy_drop=None,
        max_top_opening=None,
        max_distinct_2_drop=None,
        baseline_steps=1,
        window=1,
    )
    steps = [figures(), figures(0.0, 1.0, 0.0)]
    assert names(CollapseWatch(off), *steps) == [[], []]
    assert names(CollapseWatch(CollapseConfig(action="off", window=1)), *steps) == [[], []]


def test_a_continued_run_has_the_same_state() -> None:
    steps = [figures(e) for e in (2.0, 2.0, 0.9, 0.8, 1.9)]
    for cut in range(len(steps)):
        again = CollapseWatch(SETTINGS)
        for step in steps[:cut]:
            again.look({**step, "step": 1.0, "reward/raw/mean": 0.3})
        assert names(again, *steps[cut:]) == names(CollapseWatch(SETTINGS), *steps)[cut:]


@pytest.mark.slow
def test_the_console_tells_once_and_the_report_the_stretch() -> None:
    rows = [
        {"step": 1, "policy/entropy": 2.0, "collapse/entropy": 0.0},
        {"step": 2, "policy/entropy": 0.5, "collapse/entropy": 1.0},
        {"step": 3, "policy/entropy": 0.4, "collapse/entropy": 1.0},
        {"step": 4, "policy/entropy": 2.0, "collapse/entropy": 0.0},
        {"step": 5, "policy/entropy": 0.4, "collapse/entropy": 1.0},
    ]
    told = []
    before: frozenset[str] = frozenset()
    for row in rows:
        told += format_alarms(row, before)
        before = alarms_on(row)
    assert told == [
        "WARNING: collapse alarm at step 2: entropy (policy/entropy 0.500; see mint.collapse)",
        "WARNING: collapse alarm at step 5: entropy (policy/entropy 0.400; see mint.collapse)",
    ]
    assert alarm_spans(rows, "entropy") == [(2, 3), (5, 5)]
