"""A run's own evaluation: its held-out turns, several samples each, before against after training.

Without a journal: an interrupted one begins again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from omegaconf import DictConfig

from mint.config.evaluation import EvaluationConfig, GenerationConfig
from mint.config.schema import mint_config
from mint.data.dataset import read_rows
from mint.data.rows import row_messages
from mint.evaluation.generation import Prompt
from mint.evaluation.grader_error import held_out_errors
from mint.evaluation.metrics.errors import error_lines
from mint.evaluation.metrics.parts import HELD_DOWN, PARTS
from mint.evaluation.metrics.summary import compare, summarise
from mint.evaluation.metrics.talks import MEASURES as TALK_MEASURES
from mint.evaluation.metrics.talks import SECOND
from mint.evaluation.people import read_people
from mint.evaluation.protocols import talkers
from mint.evaluation.records import (
    EvaluatedReply,
    read_replies,
    replies_path,
    scoring_request,
)
from mint.evaluation.results import changes_in_words, shown_as
from mint.evaluation.runner import ToGrade, score
from mint.evaluation.second import grade_canaries, learnt_the_judge, second_row
from mint.evaluation.silence import in_words as silence_in_words
from mint.evaluation.silence import nothing_visible, places
from mint.evaluation.sources.requests import ReplyKey
from mint.evaluation.statistics.coverage import ONE_RUN
from mint.evaluation.statistics.estimates import Difference, Estimate, clusters_of, few_clusters
from mint.evaluation.trained_run import LABELS, labels_of, model_path, rows_path
from mint.rundir.directory import RunDir
from mint.rundir.manifest import identities, identity_rows, require_same_graders
from mint.rundir.quarantine import Quarantined
from mint.shell.files import write_json, write_json_lines
from rewards.build import Graders, build_second_judge, ready_graders
from rewards.errors import DataError
from rewards.formula import RewardWeights
from rewards.protocols import EmpathyJudge
from rewards.scorer import ReplyScorer
from rewards.types import Signals, Status

_SCORING_BATCH = 256
_SHOWN = (
    *TALK_MEASURES,
    f"{SECOND}emotion",
    f"{SECOND}emotion_gain",
    "self_stickiness",
    "self_lift",
    "composite",
    "empathy",
    "second_empathy",
    "empathy_with_silence",
    *PARTS,
    HELD_DOWN,
    "kl",
    "tactics_per_turn",
    "stickiness",
    "lift",
    "distinct_2",
)


class EvaluationResult(NamedTuple):
    """What one evaluation has found."""

    label: str
    replies: list[EvaluatedReply]
    metrics: dict[str, Estimate]
    graders: dict[str, dict[str, Any]]
    """"tagger" and "judge" -> identity."""
    differences: Mapping[str, Difference] = MappingProxyType({})
    """Of after against before, where both are known and this is the last of them."""
    warning: str = ""
    """Of the comparison with the start; "" when there is nothing to warn of."""
    gap: str = ""
    """What was gained with a second seeker; "" without one."""


def evaluate_run(run_dir: str | Path, which: str = "after") -> list[EvaluationResult]:
    """Evaluate the starting policy ("before"), the trained one ("after") or "both" of a run.

    Raises ConfigError when the graders are not those the run was trained with.
    """
    labels = labels_of(which)
    run = RunDir.open(run_dir)
    config = run.read_config()
    mint = mint_config(config)
    graders = ready_graders(mint.encoder, mint.tagger, mint.judge)
    require_same_graders(run, identities(graders))
    second = build_second_judge(mint.second_judge)
    settings = GenerationConfig(
        **asdict(mint.evaluation), enable_thinking=mint.data.enable_thinking
    )
    models = {label: model_path(run, config, label) for label in labels}
    more: dict[str, Any] = {"graders": graders, "out_dir": run.evaluation_path, "second": second}
    rows = rows_path(config, mint)
    if mint.task == "dialogues":
        results = [
            evaluate_talker(path, rows, config, label=label, **more)
            for label, path in models.items()
        ]
    else:
        results = [
            evaluate_model(path, rows, weights=mint.reward, settings=settings, label=label, **more)
            for label, path in models.items()
        ]
    grade_canaries(graders, second, run.evaluation_path)
    differences = write_comparison(run.evaluation_path, mint.evaluation) or {}
    warning = learnt_the_judge(differences, mint.second_judge.max_gap_gain)
    gap = talkers.gap_in_words(talkers.gap(run.evaluation_path, mint.evaluation))
    last = results[-1]._replace(warning=warning, differences=differences, gap=gap)
    return [*results[:-1], last]


def evaluate_model(
    model_path: str | Path,
    rows_path: str | Path,
    *,
    graders: Graders,
    weights: RewardWeights,
    settings: GenerationConfig,
    label: str,
    out_dir: str | Path,
    second: EmpathyJudge | None = None,
) -> EvaluationResult:
    """Generate, grade and summarise replies of one model to the rows of a Parquet file.

    Writes OUT_DIR/<label>.json and OUT_DIR/<label>_replies.jsonl, and the replies that could not
    be graded to OUT_DIR/<label>_quarantine.jsonl.
    """
    rows = read_rows(rows_path)[: settings.max_prompts]
    if not rows:
        raise DataError(f"{rows_path} has no rows to evaluate on")
    # Imported here: torch and transformers take seconds, which --help should not wait for.
    from mint.evaluation.generator import open_generator

    prompts = [Prompt(f"{row.conversation_id}/{row.turn}", row_messages(row)) for row in rows]
    with open_generator(model_path, settings) as generator:
        generations = generator.generate(prompts, f"replies ({label})")
    items = [
        ToGrade(ReplyKey(label, row.conversation_id, row.turn, sample), row, generation)
        for row, own in zip(rows, generations, strict=True)
        for sample, generation in enumerate(own)
    ]
    scored = asyncio.run(_score(ReplyScorer(graders.tagger, graders.judge), items, weights, second))
    replies = [reply for reply, _ in scored]
    metrics = summarise(replies, settings)
    result = EvaluationResult(label, replies, metrics, identity_rows(graders))
    about = {
        "model": str(model_path),
        "graders": result.graders,
        "second_judge": second_row(second),
        "settings": {**asdict(settings), "reward": asdict(weights)},
    }
    _write_result(Path(out_dir), result, about)
    failed = (
        _quarantined(item, signals)
        for item, (_, signals) in zip(items, scored, strict=True)
        if signals.status is Status.FAILED
    )
    write_json_lines(Path(out_dir) / f"{label}_quarantine.jsonl", failed)
    return result


def evaluate_talker(
    model_path: str | Path,
    rows_path: str | Path,
    config: DictConfig,
    *,
    graders: Graders,
    label: str,
    out_dir: Path,
    second: EmpathyJudge | None = None,
) -> EvaluationResult:
    """Hold, grade and summarise one model's dialogues with the people of a Parquet file.

    Writes what `evaluate_model` writes, and what `talkers.talk_and_measure` does.
    """
    mint = mint_config(config)
    talked = talkers.talk_and_measure(
        model_path, rows_path, config, mint, graders, label, out_dir, second
    )
    result = EvaluationResult(label, talked.replies, talked.metrics, identity_rows(graders))
    about = {
        "model": str(model_path),
        "graders": result.graders,
        "second_judge": second_row(second),
        **talked.facts,
        "settings": talkers.trained_settings(mint),
    }
    _write_result(out_dir, result, about)
    return result


async def _score(
    scorer: ReplyScorer,
    items: Sequence[ToGrade],
    weights: RewardWeights,
    second: EmpathyJudge | None,
) -> list[tuple[EvaluatedReply, Signals]]:
    scored = []
    for start in range(0, len(items), _SCORING_BATCH):
        scored += await score(scorer, items[start : start + _SCORING_BATCH], weights, second)
    return scored


def _quarantined(item: ToGrade, signals: Signals) -> dict[str, Any]:
    return Quarantined(
        stage=item.key.condition,
        step=0,
        uid=f"{item.key.conversation_id}/{item.key.turn}",
        conversation_id=item.key.conversation_id,
        turn=item.key.turn,
        failures=signals.failures,
        request=scoring_request(item.row, item.generation),
    ).as_row()


def write_comparison(
    evaluation_dir: Path, settings: EvaluationConfig
) -> dict[str, Difference] | None:
    """Write comparison.json from the replies before and after; None when one is missing."""
    paths = [replies_path(evaluation_dir, label) for label in LABELS]
    if not all(path.exists() for path in paths):
        return None
    before, after = (read_replies(path) for path in paths)
    differences = talkers.differences(evaluation_dir, evaluation_dir, settings)
    differences |= compare(before, after, settings)
    rows: dict[str, Any] = {name: asdict(value) for name, value in differences.items()}
    if gap := talkers.gap(evaluation_dir, settings):
        rows[talkers.GAP] = gap
    write_json(evaluation_dir / "comparison.json", {"intervals_are_over": ONE_RUN, **rows})
    return differences


def format_results(results: Sequence[EvaluationResult]) -> str:
    """A few lines for people: the main metrics with their intervals."""
    lines = []
    figures = read_people()
    for result in results:
        people = figures.beside(result.graders)
        lines.append(f"{result.label}: {len(result.replies)} replies")
        lines += silence_in_words(places(nothing_visible(result.replies)), remedy=False)
        if warning := few_clusters(len(clusters_of(result.replies))):
            lines.append(f"  {warning}")
        for name in _SHOWN:
            if name not in result.metrics:
                continue  # Of dialogues.
            metric = result.metrics[name]
            if metric.mean is None and name in (*PARTS, HELD_DOWN):
                continue  # Not every judge has parts.
            mean = "      -" if metric.mean is None else f"{metric.mean:7.3f}"
            beside = people.words(name, 3)
            lines.append(f"  {shown_as(name):<22}{mean}  {metric.interval}  {beside}".rstrip())
        lines += error_lines(result.metrics)
        lines += changes_in_words(result.differences, _SHOWN)
        if result.warning:
            lines.append(f"  alarm: {result.warning}")
        if result.gap:
            lines.append(f"  {result.gap}")
    return "\n".join([*lines, f"Intervals are over {ONE_RUN}."])


def _write_result(out_dir: Path, result: EvaluationResult, about: dict[str, Any]) -> None:
    replies = result.replies
    write_json_lines(replies_path(out_dir, result.label), (reply.as_row() for reply in replies))
    summary = {
        "label": result.label,
        "num_conversations": len({reply.conversation_id for reply in replies}),
        "num_clusters": len(clusters_of(replies)),
        "num_turns": len({(reply.conversation_id, reply.turn) for reply in replies}),
        "num_replies": len(replies),
        "num_failed": sum(reply.status == Status.FAILED for reply in replies),
        **about,
        "intervals_are_over": ONE_RUN,
        "grader_error": held_out_errors(about["graders"]),
        "metrics": {name: asdict(metric) for name, metric in result.metrics.items()},
    }
    write_json(out_dir / f"{result.label}.json", summary)
