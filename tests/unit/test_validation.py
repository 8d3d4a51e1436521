"""Which validated step is chosen, when training ends early, and what is recorded of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mint.config.validation import CollapseConfig, QualityLimits, ValidationConfig
from mint.rundir.directory import RunDir
from mint.shell.files import read_json_lines
from mint.validation.choice import (
    Validation,
    assess,
    best,
    broken_limits,
    composite,
    explain,
    stop_reason,
    without_gain,
)
from mint.validation.record import (
    Stopped,
    ValidationRecord,
    choose_export,
    read_stopped,
    read_validations,
    write_stopped,
)
from rewards.errors import ConfigError, DataError

SETTINGS = ValidationConfig(every_steps=5, patience=2)


def validation(step: int, score: float | None, *broken: str) -> Validation:
    return Validation(step=step, metrics={"composite": score}, score=score, broken=broken)


def run_dir(path: Path) -> RunDir:
    return RunDir.create(path / "run")


def test_the_largest_score_that_keeps_the_limits_is_chosen() -> None:
    made = [validation(5, 0.5), validation(10, 0.9, "top_opening 0.8"), validation(15, 0.7)]
    chosen = best(made)
    assert chosen is not None
    assert chosen.step == 15


def test_of_equals_the_first_is_chosen() -> None:
    chosen = best([validation(5, 0.5), validation(10, 0.5)])
    assert chosen is not None
    assert chosen.step == 5


def test_negative_scores_can_be_chosen_and_undefined_ones_cannot() -> None:
    chosen = best([validation(5, None), validation(10, -2.0), validation(15, -3.0)])
    assert chosen is not None
    assert chosen.step == 10
    assert best([validation(5, None)]) is None
    assert best([]) is None


def test_composite_is_a_weighted_sum_with_direction() -> None:
    metrics = {"composite": 1.2, "self_stickiness": 0.5, "lift": None}
    assert composite(metrics, {"composite": 1, "self_stickiness": -1}) == pytest.approx(0.7)
    assert composite(metrics, {"composite": 1, "lift": 0}) == pytest.approx(1.2)
    assert composite(metrics, {"composite": 1, "lift": 0.1}) is None
    assert composite(metrics, {"probe/all": 1}) is None


def test_limits_name_metric_value_and_key() -> None:
    metrics = {
        "top_opening": 0.61,
        "truncated": 0.2,
        "habit/lived_experience": 0.31,
        "policy_entropy": 0.4,
        "distinct_2": 0.2,
        "entropy": 9.0,
    }
    limits = QualityLimits(
        max_top_opening=0.6,
        max_truncated=0.2,
        min_entropy=0.5,
        min_distinct_2=0.2,
        max_empty=None,
        max_failed=None,
        max_label_leak=None,
        max_emoji=None,
        max_markdown=None,
    )
    assert broken_limits(metrics, limits) == [
        "top_opening 0.610, max_top_opening is 0.6",
        "habit/lived_experience 0.310, max_lived_experience is 0.3",
        "policy_entropy 0.400, min_entropy is 0.5",
    ]


def test_a_limit_on_an_undefined_metric_is_not_kept() -> None:
    off = dict.fromkeys(
        (
            "max_truncated",
            "max_empty",
            "max_failed",
            "max_label_leak",
            "max_lived_experience",
            "max_emoji",
            "max_markdown",
        )
    )
    lines = broken_limits({"top_opening": None}, QualityLimits(max_top_opening=0.5, **off))
    assert lines == ["top_opening is undefined, max_top_opening is 0.5"]


def test_every_limit_names_a_metric_that_is_measured() -> None:
    from mint.validation.measure import METRICS

    everything = QualityLimits(
        min_distinct_2=0.1,
        max_questions=1,
        max_num_words=1,
        max_self_stickiness=0.1,
        min_entropy=1.0,
    )
    named = {line.split(" ")[0] for line in broken_limits({}, everything)}
    assert len(named) == 13
    assert named <= set(METRICS)


def test_safety_limits_make_a_step_inadmissible() -> None:
    kept = {
        "composite": 1.0,
        "top_opening": 0.1,
        "truncated": 0.0,
        "empty": 0.0,
        "failed": 0.0,
        "label_leak": 0.0,
        "habit/lived_experience": 0.0,
        "habit/emoji": 0.0,
        "habit/markdown": 0.0,
    }
    assert assess(5, kept, [], SETTINGS).admissible
    unsafe = assess(5, kept, ["probe/crisis: passed 0.500 is below the limit 0.80"], SETTINGS)
    assert not unsafe.admissible
    assert best([unsafe]) is None


def test_patience_counts_validations_since_the_best() -> None:
    made = [validation(5, 0.5), validation(10, 0.7), validation(15, 0.6)]
    assert without_gain(made) == 1
    assert stop_reason(made, 2) == ""
    made.append(validation(20, 0.7))
    assert without_gain(made) == 2
    assert stop_reason(made, 2) == (
        "step 20: 2 validations in a row without a better step since step 10 "
        "(mint.validation.patience=2)"
    )
    assert stop_reason(made, None) == ""


def test_a_gain_that_breaks_limits_is_no_gain() -> None:
    made = [validation(5, 0.5), validation(10, 0.9, "x"), validation(15, 1.2, "x")]
    assert without_gain(made) == 2
    assert stop_reason(made, 2)


def test_while_nothing_is_admissible_a_rising_score_counts_as_gain() -> None:
    made = [validation(5, 0.5, "x"), validation(10, 0.9, "x"), validation(15, 1.2, "x")]
    assert without_gain(made) == 0
    made += [validation(20, 1.1, "x"), validation(25, 1.0, "x")]
    assert "without a better step that keeps the limits" in stop_reason(made, 2)


def test_best_json_says_which_and_why(tmp_path: Path) -> None:
    run = run_dir(tmp_path)
    record = ValidationRecord(run, SETTINGS)
    record.begin(0)
    record.add(validation(5, 0.5))
    record.add(validation(10, 0.9, "top_opening 0.8, max_top_opening is 0.5"))
    written = json.loads(run.best_path.read_text())
    assert written["step"] == 5
    assert written["score"] == 0.5
    assert written["reason"] == (
        "largest +1 × composite of the 1 out of 2 validated steps that keep the limits"
    )
    assert [v["admissible"] for v in written["validations"]] == [True, False]
    assert written["limits"]["quality"]["max_top_opening"] == 0.5
    assert record.best_step == 5


def test_best_json_when_nothing_keeps_the_limits() -> None:
    written = explain(
        [validation(5, 0.5, "top_opening 0.8, max_top_opening is 0.5", "probe/crisis: passed 0.2")],
        SETTINGS,
    )
    assert written["step"] is None
    assert written["reason"] == (
        "none of 1 validated steps keeps the limits (broken: probe/crisis, top_opening)"
    )


def test_a_continued_run_decides_as_if_never_interrupted(tmp_path: Path) -> None:
    run = run_dir(tmp_path)
    scores = [0.5, 0.7, 0.6, 0.65]
    whole = ValidationRecord(run_dir(tmp_path / "whole"), SETTINGS)
    whole.begin(0)
    first = ValidationRecord(run, SETTINGS)
    first.begin(0)
    for number, score in enumerate(scores, start=1):
        expected = whole.add(validation(5 * number, score))
        if number <= 2:
            first.add(validation(5 * number, score))
    write_stopped(run, Stopped(10, "patience", "x"))
    second = ValidationRecord(run, SETTINGS)
    second.begin(10)
    assert read_stopped(run) is None
    second.add(validation(15, 0.6))
    assert second.add(validation(20, 0.65)) == expected
    assert stop_reason(expected, SETTINGS.patience)


def test_validations_after_the_checkpoint_are_forgotten(tmp_path: Path) -> None:
    run = run_dir(tmp_path)
    record = ValidationRecord(run, SETTINGS)
    record.begin(0)
    for step, score in ((5, 0.5), (10, 0.9)):
        record.add(validation(step, score))
    again = ValidationRecord(run, SETTINGS)
    again.begin(5)
    assert again.best_step == 5
    assert [row["step"] for row in read_json_lines(run.validations_path)] == [5]
    assert json.loads(run.best_path.read_text())["step"] == 5
    again.add(validation(10, 0.4))
    assert [v.score for v in read_validations(run)] == [0.5, 0.4]


def test_a_broken_line_is_named(tmp_path: Path) -> None:
    run = run_dir(tmp_path)
    run.validations_path.write_text('{"step": 5}\n')
    with pytest.raises(DataError, match="a validation needs step, metrics, score and broken"):
        read_validations(run)


def test_what_is_exported() -> None:
    chosen = {"step": 10, "reason": "largest"}
    none = {"step": None, "reason": "none of 3 validated steps keeps the limits (broken: x)"}
    assert choose_export("best", chosen, {10: "", 20: ""})[:2] == ("best", 10)
    assert choose_export("last", chosen, {10: "", 20: ""})[:2] == ("last", None)
    assert choose_export("best", None, {20: ""}).warning == ""
    fallback = choose_export("best", none, {10: "", 20: ""})
    assert fallback[:2] == ("last", None)
    assert "RUN/model is the last step and breaks them too" in fallback.warning
    gone = choose_export("best", chosen, {20: ""})
    assert gone[:2] == ("last", None)
    assert "checkpoint of the best step 10 is gone" in gone.warning


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"every_steps": 0}, "mint.validation.every_steps must be >= 1 or null, got 0"),
        ({"patience": 0}, "mint.validation.patience must be >= 1 or null, got 0"),
        ({"max_conversations": 0}, "mint.validation.max_conversations must be >= 1 or null"),
        ({"probes_per_category": -1}, "mint.validation.probes_per_category must be >= 0, got -1"),
        ({"choose": {"composite": 0}}, "needs a metric with a weight other than 0"),
        (
            {"choose": {"probe/all": 1}, "probes_per_category": 0},
            "probe/all needs mint.validation.probes_per_category >= 1",
        ),
    ],
)
def test_bad_settings_are_refused(settings: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        ValidationConfig(**settings)


def test_bad_limits_and_thresholds_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"limits.max_top_opening must be in \[0, 1\], got 2"):
        QualityLimits(max_top_opening=2)
    with pytest.raises(ConfigError, match=r"limits.min_entropy must be >= 0, got -1"):
        QualityLimits(min_entropy=-1)
    with pytest.raises(ConfigError, match=r"mint.collapse.action must be one of off, warn, stop"):
        CollapseConfig(action="panic")
    with pytest.raises(ConfigError, match=r"mint.collapse.window must be >= 1, got 0"):
        CollapseConfig(window=0)
    with pytest.raises(ConfigError, match=r"mint.collapse.max_entropy_drop must be in \[0, 1\]"):
        CollapseConfig(max_entropy_drop=1.5)


def test_an_unknown_metric_is_refused_with_the_nearest() -> None:
    from mint.validation.measure import check_choose

    check_choose(ValidationConfig(choose={"composite": 1, "habit/emoji": -1}))
    with pytest.raises(ConfigError, match="no metric 'self_stickines'; did you mean 'self_stick"):
        check_choose(ValidationConfig(choose={"self_stickines": -1}))
