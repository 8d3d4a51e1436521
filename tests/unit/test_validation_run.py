"""Validation around verl: prompts, replies to measurements, checkpoints, export and the page."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from checkpoint_files import save, saved_step
from fake_graders import FakeTagger

from mint.config.evaluation import EvaluationConfig
from mint.config.safety import OpinionConfig
from mint.config.schema import MintConfig
from mint.config.validation import (
    PROBE_SOURCE,
    CollapseConfig,
    QualityLimits,
    ValidationConfig,
)
from mint.data.dataset import read_rows
from mint.data.prompts import PromptConfig, PromptStyle
from mint.data.synthetic import build_demo_data
from mint.reporting.run import write_report
from mint.rundir.directory import RunDir
from mint.rundir.manifest import RunFacts, read_manifest, start_manifest
from mint.safety.probes import CATEGORIES
from mint.shell.files import read_json_lines
from mint.shell.processes import TrainingError
from mint.shell.statuses import COLLAPSED
from mint.training import pipeline
from mint.training.lines import format_validation
from mint.validation.choice import Validation
from mint.validation.prompts import chosen_probes, write_prompts
from mint.validation.record import Stopped, read_stopped, write_stopped
from mint.verl.checkpoint import checkpoints, export_model, prune_checkpoints
from mint.verl.validation import TrainingValidation, ValidationReply, evaluated
from mint.verl.wire import GradedReply, pack, unpack_columns
from rewards.errors import DataError
from rewards.formula import RewardWeights
from rewards.serving.settings import ServedJudgeConfig
from rewards.types import (
    DIMENSIONS,
    Signals,
    Status,
)

pytestmark = pytest.mark.slow

OFF = dict.fromkeys(CATEGORIES, 0.0)
SENTENCES = (
    "It sounds like the nights wear you out.",
    "What would help you this evening?",
    "Anyone would be tired after such a week.",
)


def graded(conversation: int, turn: int, quality: float = 0.5, **changes: object) -> GradedReply:
    counts = tuple(int(k == (conversation + turn) % 10) for k in range(10))
    signals = Signals(
        status=Status.OK,
        quality=quality,
        kl=1.0,
        entropy=0.0,
        bigram=1.0,
        trigram=1.0,
        num_tokens=9,
        counts=counts,
    )
    row = GradedReply(
        signals=signals,
        reply=f"{SENTENCES[(conversation + turn) % 3]} {conversation}",
        seeker="I am tired.",
        conversation_id=f"c{conversation}",
        turn=turn,
        previous_counts=(0.0,) * 10,
        sentences=("x",),
        tactics=(("questioning",),),
        dimensions=dict.fromkeys(DIMENSIONS, 3.0),
        grade_s=0.0,
    )
    return row._replace(**changes)  # type: ignore[arg-type]


def logits(*values: float) -> list[ValidationReply]:
    rows = []
    for turn, value in enumerate(values):
        row = graded(0, turn, value)
        signals = replace(row.signals, quality=value, quality_is_logit=True)
        row = row._replace(signals=signals, dimensions={})
        rows.append(ValidationReply("mint", f"u{turn}", row))
    return rows


def test_a_reward_models_gain_is_told_in_deviations_of_the_start(run: RunDir) -> None:
    """However large the logits are, where the composite no longer tells them apart."""
    validation = TrainingValidation(mint_config(choose={"judge_logit_gain": 1.0}), run)
    validation.begin(0)
    start = validation.validate(2, logits(38.0, 42.0), 0, 100)
    later = validation.validate(4, logits(44.0, 46.0), 0, 100)
    assert start["val/judge_logit_gain"] == 0.0
    assert later["val/judge_logit_gain"] == pytest.approx(2.5)
    assert later["val/composite"] == pytest.approx(start["val/composite"])
    assert (later["val/score"], later["val/best_step"]) == (pytest.approx(2.5), 4)
    again = TrainingValidation(mint_config(choose={"judge_logit_gain": 1.0}), run)
    again.begin(4)
    assert again.validate(6, logits(39.0, 41.0), 0, 100)["val/judge_logit_gain"] == 0.0
    plain = TrainingValidation(mint_config(), run)
    plain.begin(0)
    assert "val/judge_logit_gain" not in plain.validate(2, replies(0.5), 0, 100)


def mint_config(**validation: object) -> MintConfig:
    settings = {
        "every_steps": 2,
        "probes_per_category": 0,
        "limits": QualityLimits(max_top_opening=None),
        **validation,
    }
    return MintConfig(
        validation=ValidationConfig(**settings),  # type: ignore[arg-type]
        evaluation=EvaluationConfig(resamples=100),
    )


def replies(quality: float, probes: dict[str, str] | None = None) -> list[ValidationReply]:
    rows = [
        ValidationReply("mint", f"u{c}{t}", graded(c, t, quality))
        for c in range(3)
        for t in range(2)
    ]
    for name, said in (probes or {}).items():
        row = graded(0, 0)._replace(
            conversation_id=name, reply=said, signals=Signals(status=Status.FAILED, reason="probe")
        )
        rows.append(ValidationReply(PROBE_SOURCE, name, row))
    return rows


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    run = RunDir.create(tmp_path / "run")
    start_manifest(run, RunFacts(command=["python"]))
    return run


def test_prompts_are_whole_conversations_and_a_fixed_set_of_probes(tmp_path: Path) -> None:
    build_demo_data(tmp_path / "data", 40, 0)
    tagger = FakeTagger()
    settings = ValidationConfig(every_steps=1, max_conversations=3, probes_per_category=2)
    path = tmp_path / "run" / "validation" / "prompts.parquet"
    prompts = PromptConfig(style=PromptStyle("tactics_history"), compact=True)
    turns, probes = write_prompts(path, tmp_path / "data/val.parquet", settings, prompts, tagger)
    held_out = read_rows(tmp_path / "data/val.parquet")
    names = list(dict.fromkeys(row.conversation_id for row in held_out))[:3]
    rows = pq.read_table(path).to_pylist()
    own = [row for row in rows if row["data_source"] == "mint"]
    assert turns == len(own) == sum(row.conversation_id in names for row in held_out)
    asked = [row for row in rows if row["data_source"] == PROBE_SOURCE]
    assert probes == len(asked) == 16
    items = chosen_probes(2)
    assert [row["extra_info"]["conversation_id"] for row in asked] == [item.id for item in items]
    assert {item.category for item in items} == set(CATEGORIES)
    assert len(read_rows(path)) == len(rows)  # every row is a valid training row
    assert tagger.asked == sum(len(item.messages) // 2 for item in items)
    before = tagger.asked
    write_prompts(path, tmp_path / "data/val.parquet", settings, prompts, tagger)
    assert tagger.asked == before  # tags are kept


def test_more_probes_than_there_are_gives_all_of_them_once() -> None:
    items = chosen_probes(1000)
    assert len({item.id for item in items}) == len(items) >= 200
    assert chosen_probes(0) == []


def test_replies_come_back_from_verls_columns() -> None:
    rows = [graded(1, 0), graded(2, 1)]
    packed = [pack(row) for row in rows]
    columns = {key: [one[key] for one in packed] for key in packed[0]}
    assert unpack_columns({"reward": [1.0, 2.0], **columns}) == rows
    assert unpack_columns({"reward": []}) == []


def test_a_graded_rollout_is_an_evaluated_reply() -> None:
    row = graded(1, 2, reply="<think>hm</think>Hello there.")
    reply = evaluated(row, RewardWeights())
    assert reply.reply == "Hello there."
    assert reply.empathy == 3.0
    assert reply.composite is not None
    assert reply.has_previous
    assert reply.graded
    assert (reply.parts, reply.tricks) == ({}, None)
    logit = replace(row.signals, quality=-2.5, quality_is_logit=True)
    scored = evaluated(row._replace(signals=logit, dimensions={}), RewardWeights())
    assert (scored.empathy, scored.judge_logit) == (None, -2.5)


def test_a_rollouts_empathy_is_what_its_parts_were_joined_to() -> None:
    parts = {"manner": 4.5, "relevance": 0.05, "coherence": 0.9, "harm": 0.0}
    row = graded(1, 2, quality=0.125)._replace(
        dimensions=dict.fromkeys(DIMENSIONS, 4.0), parts=parts, tricks=("unrelated",)
    )
    reply = evaluated(row, RewardWeights())
    assert reply.empathy == 1.5, "not the mean of the dimensions"
    assert (reply.parts, reply.tricks) == (parts, ("unrelated",))


def test_a_validation_is_measured_recorded_and_kept(run: RunDir) -> None:
    training = TrainingValidation(mint_config(), run)
    training.begin(0)
    metrics = training.validate(2, replies(0.5), 0, 10)
    assert metrics["val/num_replies"] == 6
    assert metrics["val/empathy"] == 3.0
    assert 1 <= metrics["val/second_empathy"] <= 5
    assert metrics["val/judge_gap"] == pytest.approx(3.0 - metrics["val/second_empathy"])
    assert "val/learning_the_judge" not in metrics  # nothing to compare with yet
    assert metrics["val/best_step"] == 2
    assert metrics["val/score"] == metrics["val/composite"]
    assert 0 <= metrics["val/self_stickiness"] <= 1
    assert metrics["val/habit/num_words"] > 3
    assert "val/probe/all" not in metrics
    assert len(read_json_lines(run.validation_path / "step_2_replies.jsonl")) == 6
    better = training.validate(4, replies(0.51), 0, 10)
    assert (better["val/best_step"], training.best_step) == (4, 4)
    assert better["val/learning_the_judge"] == 0.0
    pleased = training.validate(6, replies(0.9), 0, 10)  # the same words, which the second knows
    assert pleased["val/learning_the_judge"] == 1.0


def test_replies_that_never_came_count_as_failed(run: RunDir) -> None:
    training = TrainingValidation(mint_config(), run)
    training.begin(0)
    metrics = training.validate(2, replies(0.5), 2, 10)
    assert metrics["val/failed"] == pytest.approx(2 / 8)
    assert training.best_step is None
    nothing = training.validate(4, [], 8, 10)
    assert nothing["val/failed"] == 1.0
    assert "val/score" not in nothing


def test_probes_are_checked_by_rules_and_limit_the_choice(run: RunDir) -> None:
    from mint.config.safety import SafetyLimits

    unsafe = {item.id: "Same here, I lost my mother too." for item in chosen_probes(1)}
    limits = SafetyLimits(**{**OFF, "crisis": 0.5})
    training = TrainingValidation(mint_config(probes_per_category=1, safety=limits), run)
    training.begin(0)
    metrics = training.validate(2, replies(0.5, unsafe), 0, 10)
    assert metrics["val/probe/crisis"] == 0.0
    assert metrics["val/num_replies"] == 6
    assert metrics["val/num_broken_limits"] == 1
    assert training.best_step is None
    kept = read_json_lines(run.validation_path / "step_2_probes.jsonl")
    assert len(kept) == 8
    assert kept[0]["reply"] == "Same here, I lost my mother too."
    assert kept[0]["outcome"] == "failed"


@pytest.mark.parametrize(("harm", "broken"), [(0.7, ["harm"]), (None, [])])
def test_the_harm_part_judges_probes_too(
    run: RunDir, harm: float | None, broken: list[str]
) -> None:
    said = (
        "No wonder nobody likes you. Please call or text 988 now. They answer at night too. "
        "Who could sit with you?"
    )
    probe = chosen_probes(1)[0].id
    config = mint_config(probes_per_category=1, opinion=OpinionConfig(harm=harm))
    training = TrainingValidation(config, run)
    training.begin(0)
    training.validate(2, replies(0.5, {probe: said}), 0, 10)
    kept = read_json_lines(run.validation_path / "step_2_probes.jsonl")
    assert kept[0]["broken"] == broken


def test_a_safety_judge_that_is_away_costs_probes_their_grade_only(run: RunDir) -> None:
    away = ServedJudgeConfig(urls=["http://127.0.0.1:1"], model="m", retries=0)
    config = mint_config(probes_per_category=1, opinion=OpinionConfig(harm=None, judge=away))
    training = TrainingValidation(config, run)
    training.begin(0)
    said = {item.id: "I'm sorry." for item in chosen_probes(1)}
    metrics = training.validate(2, replies(0.5, said), 0, 10)
    assert metrics["val/probe/not_gradable"] == 1.0
    kept = read_json_lines(run.validation_path / "step_2_probes.jsonl")
    assert kept[0]["reason"].startswith("judge: ")


def test_patience_ends_training_but_not_on_the_last_step(run: RunDir) -> None:
    training = TrainingValidation(mint_config(patience=1), run)
    training.begin(0)
    training.validate(2, replies(0.9), 0, 4)
    training.validate(4, replies(0.1), 0, 4)
    assert training.stopped is None
    again = TrainingValidation(mint_config(patience=1), run)
    again.begin(2)
    again.validate(4, replies(0.1), 0, 10)
    assert again.stopped is not None
    assert again.stopped.kind == "patience"
    assert read_stopped(run) == again.stopped


def test_when_a_step_is_due(run: RunDir) -> None:
    training = TrainingValidation(mint_config(every_steps=4), run)
    assert [s for s in range(1, 11) if training.due(s, 10)] == [4, 8, 10]
    off = TrainingValidation(mint_config(every_steps=None), run)
    assert not any(off.due(s, 10) for s in range(1, 11))


@pytest.mark.parametrize(("action", "stops"), [("warn", False), ("stop", True), ("off", False)])
def test_the_collapse_alarm_warns_or_stops(run: RunDir, action: str, stops: bool) -> None:
    config = replace(
        mint_config(), collapse=CollapseConfig(action=action, max_top_opening=0.1, window=1)
    )
    training = TrainingValidation(config, run)
    training.begin(0)
    metrics = training.look(1, [graded(c, 0, reply="I hear you now.") for c in range(4)], 2.0)
    if action == "off":
        assert metrics == {}
    else:
        assert metrics["reply/top_opening"] == 1.0
        assert metrics["collapse/top_opening"] == 1.0
        assert metrics["collapse/entropy"] == 0.0
    stopped = read_stopped(run)
    assert (stopped is not None) == stops
    if stopped is not None:
        assert "step 1: the policy is collapsing: reply/top_opening 1.000" in stopped.reason


def test_pruning_keeps_the_newest_and_the_best(run: RunDir) -> None:
    save(run, 2, 4, 6, 8)
    assert prune_checkpoints(run, None, 2) == []
    assert prune_checkpoints(run, 1, 4) == [2, 6]
    assert list(checkpoints(run)) == [4, 8]
    assert prune_checkpoints(run, 1, None) == [4]


def test_the_chosen_step_is_exported_and_said(
    run: RunDir, capsys: pytest.CaptureFixture[str]
) -> None:
    save(run, 2, 4)
    training = TrainingValidation(mint_config(), run)
    training.begin(0)
    training.validate(2, replies(0.9), 0, 4)
    training.validate(4, replies(0.1), 0, 4)
    assert pipeline.export(mint_config(), run) == 0
    assert saved_step(run.model_path) == 2
    manifest = read_manifest(run)
    assert (manifest["export"]["which"], manifest["export"]["step"]) == ("best", 2)
    assert manifest["stopped"] is None
    assert "RUN/model is step 2 (best: largest +1 × composite" in capsys.readouterr().out


def test_without_an_admissible_step_the_last_is_exported_with_a_warning(
    run: RunDir, capsys: pytest.CaptureFixture[str]
) -> None:
    save(run, 2, 4)
    config = mint_config(limits=QualityLimits(max_top_opening=0.0))
    training = TrainingValidation(config, run)
    training.begin(0)
    for step in (2, 4):
        training.validate(step, replies(0.9), 0, 4)
    write_stopped(run, Stopped(4, "collapse", "step 4: the policy is collapsing: x"))
    assert pipeline.export(config, run) == COLLAPSED
    assert saved_step(run.model_path) == 4
    said = capsys.readouterr().out
    assert "WARNING: none of 2 validated steps keeps the limits (broken: top_opening)" in said
    assert "training ended early: step 4: the policy is collapsing: x" in said
    page = write_report(run).read_text(encoding="utf-8")
    assert "none of 2 validated steps keeps the limits" in page
    assert "Training ended early: step 4" in page
    assert page.count("top_opening 0.333, max_top_opening is 0") == 2


def test_exporting_a_step_that_is_not_there_says_so(run: RunDir) -> None:
    with pytest.raises(
        TrainingError, match=r"holds no complete checkpoint; see trainer\.save_freq"
    ):
        export_model(run)
    save(run, 2)
    with pytest.raises(TrainingError, match="holds no checkpoint of step 4"):
        export_model(run, 4)


def test_the_page_marks_the_chosen_step(run: RunDir) -> None:
    training = TrainingValidation(mint_config(), run)
    training.begin(0)
    for step, quality in ((2, 0.9), (4, 0.1)):
        run.append_metrics(step, training.validate(step, replies(quality), 0, 4))
    page = write_report(run).read_text(encoding="utf-8")
    assert "chosen: step 2" in page
    assert "2 (chosen)" in page
    assert "Score of the validated steps" in page


def test_a_validation_on_the_console() -> None:
    made = Validation(
        step=12,
        metrics={"empathy": 3.456, "lift": 0.1, "top_opening": 0.25, "probe/all": None},
        score=1.0,
        broken=("top_opening 0.250, max_top_opening is 0.2",),
    )
    assert format_validation(made, None) == [
        "validation at step 12:  score 1.000  empathy 3.46  lift 0.10  own repetition -  "
        "opening 25%  probes -  best so far: none keeps the limits",
        "  limit: top_opening 0.250, max_top_opening is 0.2",
    ]
    assert format_validation(made, 6)[0].endswith("best so far: step 6")


def test_an_empty_held_out_file_is_refused(tmp_path: Path) -> None:
    from mint.data.dataset import SCHEMA

    path = tmp_path / "val.parquet"
    pq.write_table(SCHEMA.empty_table(), path)
    with pytest.raises(DataError, match="has no rows to validate on"):
        write_prompts(
            tmp_path / "out.parquet", path, ValidationConfig(), PromptConfig(), FakeTagger()
        )
