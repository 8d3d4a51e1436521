"""The parts of the verl seam that need no verl: wire format, group step, metrics, samples."""

from __future__ import annotations

import math

import pytest

from mint.config.schema import GradingConfig
from mint.training.lines import format_alarms
from mint.verl.failure_watch import FailureWatch
from mint.verl.group_reward import Asked, step_rewards
from mint.verl.samples import sample_rows
from mint.verl.step_metrics import _VERL_KEYS, LOGGED_TWICE, translate
from mint.verl.updates import SKIPPED, UpdateWatch
from mint.verl.wire import GradedReply, pack, unpack
from rewards.formula import RewardWeights
from rewards.types import Failure, Signals, Status

pytestmark = pytest.mark.slow


def graded(quality: float | None = 0.5, kl: float = 1.0, **changes: object) -> GradedReply:
    status = changes.pop("status", Status.OK)
    reason = changes.pop("reason", "")
    if status is Status.OK:
        signals = Signals(
            status=Status.OK,
            quality=quality,
            kl=kl,
            entropy=0.7,
            bigram=1.0,
            trigram=1.0,
            num_tokens=40,
            counts=(0, 0, 0, 1, 0, 0, 0, 2, 0, 0),
        )
    else:
        failures = {}
        if ":" in str(reason):
            grader, kind, message = str(reason).split(": ")
            failures = {grader: Failure(kind, message)}
        signals = Signals(
            status=status,  # type: ignore[arg-type]
            reason=str(reason),
            failures=failures,
            num_tokens=3,
        )
    return GradedReply(
        signals=signals,
        reply="I hear you.",
        seeker="It hurts.",
        conversation_id="c1",
        turn=2,
        previous_counts=(0.0,) * 10,
        sentences=("I hear you.",),
        tactics=(("validation",),),
        dimensions={"advice_giving": 1.5},
        grade_s=0.01,
    )


def test_wire_round_trip_keeps_everything() -> None:
    row = graded()
    assert unpack(pack(row)) == row


PARTS = {"manner": 4.2, "relevance": 0.1, "coherence": 0.9, "harm": 0.02}


def test_parts_and_vetoes_travel_and_stand_in_the_samples() -> None:
    row = graded()._replace(parts=PARTS, tricks=("unrelated",))
    assert unpack(pack(row)) == row
    result = step_rewards([row, row], ["a", "a"], RewardWeights())
    sample = sample_rows(1, [row, row], ["a", "a"], result, 1)[0]
    assert sample["parts"] == PARTS
    assert sample["tricks"] == ("unrelated",)


def test_parts_are_averaged_over_the_replies_that_have_them() -> None:
    held = graded()._replace(parts=PARTS, tricks=("unrelated", "copies_seeker"))
    free = graded()._replace(parts={**PARTS, "relevance": 0.9}, tricks=())
    lost = graded(status=Status.FAILED)
    metrics = step_rewards([held, free, lost], ["a", "a", "a"], RewardWeights()).metrics
    assert metrics["grader/part/relevance/mean"] == pytest.approx(0.5)
    assert metrics["grader/held_down_frac"] == 0.5, "one of the two that were rated"
    assert metrics["grader/held_down/unrelated"] == 0.5
    assert metrics["grader/held_down/copies_seeker"] == 0.5
    assert metrics["grader/held_down/harmful"] == 0.0
    without = step_rewards([graded()], ["a"], RewardWeights()).metrics
    assert not any("held_down" in key or "/part/" in key for key in without)


def test_wire_marks_missing_numbers_as_nan_and_back_as_none() -> None:
    row = graded(status=Status.FAILED, reason="judge: timeout: 20 s")
    wire = pack(row)
    assert math.isnan(wire["quality"])  # type: ignore[arg-type]
    assert unpack(wire).signals.quality is None
    assert unpack(wire) == row


def test_wire_has_the_same_keys_for_every_status() -> None:
    keys = {frozenset(pack(graded(status=s) if s is not Status.OK else graded())) for s in Status}
    assert len(keys) == 1


def test_groups_are_keyed_by_uid_not_by_position() -> None:
    rows = [graded(0.1), graded(0.9), graded(0.3), graded(0.2)]
    weights = RewardWeights(kl=0.0)
    mixed = step_rewards(rows, ["a", "b", "a", "b"], weights)
    sorted_ = step_rewards([rows[0], rows[2], rows[1], rows[3]], ["a", "a", "b", "b"], weights)
    assert mixed.scores == (0.0, 1.0, 1.0, 0.0)
    assert sorted_.scores == (0.0, 1.0, 1.0, 0.0)
    assert mixed.groups == {"a": (0, 2), "b": (1, 3)}


def test_unequal_lengths_are_refused() -> None:
    with pytest.raises(ValueError):
        step_rewards([graded()], ["a", "b"], RewardWeights())


def test_failures_are_counted_and_never_averaged_in() -> None:
    rows = [
        graded(0.2),
        graded(0.8),
        graded(status=Status.FAILED, reason="judge: timeout: 20 s"),
        graded(status=Status.EMPTY),
        graded(status=Status.TRUNCATED_THINK),
    ]
    result = step_rewards(rows, ["a"] * 5, RewardWeights(kl=0.0, min_scored_fraction=0.2))
    assert result.metrics["reward/quality/mean"] == pytest.approx(0.5)
    assert result.metrics["grader/num_failed"] == 1
    assert result.metrics["grader/judge_failed"] == 1
    assert result.metrics["grader/tagger_failed"] == 0
    assert result.metrics["reply/empty_frac"] == pytest.approx(0.2)
    assert result.metrics["reply/truncated_think_frac"] == pytest.approx(0.2)
    assert result.metrics["group/frac_partial"] == 1.0
    others = [s for i, s in enumerate(result.scores) if i != 2]
    assert result.scores[2] == pytest.approx(sum(others) / 4)
    assert max(result.scores[3:]) < min(result.scores[:2])


def test_all_failed_is_a_lost_group_without_numbers() -> None:
    rows = [graded(status=Status.FAILED, reason="tagger: x: y")] * 4
    result = step_rewards(rows, ["a"] * 4, RewardWeights())
    assert result.scores == (0.0,) * 4
    assert result.metrics["group/frac_lost"] == 1.0
    assert math.isnan(result.metrics["reward/quality/mean"])
    assert math.isnan(result.metrics["reward/raw/mean"])


def test_missing_replies_and_prompts_are_counted_as_failed() -> None:
    rows = [graded(0.2), graded(0.8), graded(0.3), graded(0.4)]
    result = step_rewards(rows, ["a", "a", "a", "b"], RewardWeights(), Asked(4, 4))
    assert result.metrics["reply/num"] == 4
    assert result.metrics["reply/num_missing"] == 12
    assert result.metrics["grader/num_failed"] == result.metrics["grader/failed/missing"] == 12
    assert result.metrics["grader/failed_frac"] == 0.75
    assert result.metrics["grader/judge_failed"] == 0
    assert result.metrics["group/num"] == result.metrics["group/num_missing"] == 2
    assert result.metrics["group/frac_lost"] == 0.75, "all but group a"
    assert result.metrics["group/frac_partial"] == 0.5
    assert result.trained == (True, True, True, False)
    assert result.scores[3] == 0.0
    whole = step_rewards(rows[:2], ["a", "a"], RewardWeights(), Asked(1, 2))
    assert whole.metrics["grader/num_failed"] == 0
    assert not any("missing" in key for key, value in whole.metrics.items() if value)


def test_missing_replies_end_the_run_and_the_message_says_where_to_look() -> None:
    watch = FailureWatch(GradingConfig(), "RUN/quarantine.jsonl")
    rows = [graded(0.1 * i) for i in range(6)]
    result = step_rewards(rows, ["a"] * 6, RewardWeights(), Asked(1, 8))
    assert watch.problem(1, rows, result) == ""
    result = step_rewards(rows[:5], ["a"] * 5, RewardWeights(), Asked(1, 8))
    problem = watch.problem(2, rows[:5], result)
    assert "step 2: 38% of the replies could not be graded" in problem
    assert "kinds: missing 3" in problem
    assert "the log has its traceback" in problem
    assert "quarantine" not in problem, "nothing of them is there"


def test_updates_that_are_skipped_end_the_run() -> None:
    watch = UpdateWatch(3)
    norms = [1.0, math.nan, math.inf, 0.5, math.nan, None, math.nan, math.nan]
    seen = []
    for step, norm in enumerate(norms, start=1):
        counted = watch.look(norm)[SKIPPED]
        seen.append((counted, bool(watch.problem(step))))
    assert [n for n, _ in seen] == [0, 1, 2, 0, 1, 1, 2, 3]
    assert [ends for _, ends in seen] == [False] * 7 + [True]
    assert watch.problem(8).startswith("steps 6-8: the gradient is not a finite number")
    assert "mint.run.max_skipped_updates" in watch.problem(8)


def test_a_skipped_update_is_said_on_the_console() -> None:
    assert format_alarms({"step": 4, SKIPPED: 0.0}, frozenset()) == []
    (line,) = format_alarms({"step": 4, SKIPPED: 2.0}, frozenset())
    assert line.startswith("WARNING: step 4: the gradient is not a finite number")
    assert "2 in a row" in line


def test_samples_are_best_and_worst_of_the_most_spread_groups() -> None:
    rows = [graded(0.1), graded(0.9), graded(0.5), graded(0.5)]
    result = step_rewards(rows, ["a", "a", "b", "b"], RewardWeights(kl=0.0))
    out = sample_rows(7, rows, ["a", "a", "b", "b"], result, 1)
    assert [(row["rank"], row["breakdown"]["quality"]) for row in out] == [
        ("best", 0.9),
        ("worst", 0.1),
    ]
    assert {row["uid"] for row in out} == {"a"}
    assert all(row["step"] == 7 for row in out)


def test_translation_renames_and_leaves_out_the_unmeasured() -> None:
    mine = translate(
        {
            "timing_s/gen": 2.0,
            "timing_s/step": 4.0,
            "perf/total_num_tokens": 800,
            "reward/raw/mean": 0.5,
            "critic/score/mean": 9.0,
            "reply/num": 64.0,
        }
    )
    assert mine["time/generate_s"] == 2.0
    assert mine["throughput/tokens_per_s"] == 200.0
    assert mine["throughput/replies_per_s"] == 16.0
    assert "critic/score/mean" not in mine
    assert "time/update_s" not in mine


def test_a_critics_numbers_are_told_only_where_there_is_one() -> None:
    critic = {"critic/values/mean": 0.2, "critic/returns/mean": 0.3, "critic/vf_loss": 1.5}
    assert "value/return_mean" not in translate(critic)
    mine = translate({**critic, "critic/vf_explained_var": 0.25, "timing_s/values": 2.0})
    assert mine["value/return_mean"] == 0.3
    assert mine["value/loss"] == 1.5
    assert mine["value/explained_var"] == 0.25
    assert mine["time/values_s"] == 2.0


def test_a_number_has_one_name_on_tensorboard() -> None:
    assert set(_VERL_KEYS.values()) < set(LOGGED_TWICE)
    assert not any(name in LOGGED_TWICE for name in translate(dict.fromkeys(LOGGED_TWICE, 1.0)))
