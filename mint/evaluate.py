"""Evaluate any model: `python -m mint.evaluate run=DIR | model=NAME | endpoint=URL | replies=FILE`.

This module holds a run's own evaluation, its held-out turns before and after training; the
protocols for any model are in `mint.evaluation`.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

from mint.config.evaluation import EvaluationConfig
from mint.config.schema import mint_config
from mint.data.dataset import PromptRow, read_rows
from mint.evaluation.generation import Generation, Prompt
from mint.evaluation.options import HELD_OUT, EvaluateSettings
from mint.evaluation.records import EvaluatedReply, evaluated_reply, scoring_request
from mint.evaluation.session import run_session
from mint.evaluation.subjects import LABELS, labels_of, load_config, model_path, rows_path, sessions
from mint.evaluation.summary import Difference, Estimate, compare, summarise
from mint.rundir.directory import RunDir
from mint.rundir.manifest import identity_row, require_same_graders
from mint.rundir.quarantine import Quarantined
from mint.shell import cli
from mint.shell.files import read_json_lines, write_json_lines
from rewards.build import Graders, build_graders, check_servers
from rewards.errors import DataError
from rewards.formula import RewardWeights
from rewards.scorer import ReplyScorer
from rewards.types import Signals, Status

_CHAT_ROLES = {"seeker": "user", "supporter": "assistant"}
_SCORING_BATCH = 256
_SHOWN = ("composite", "empathy", "kl", "tactics_per_turn", "stickiness", "lift", "distinct_2")


class EvaluationResult(NamedTuple):
    """What one evaluation has found."""

    label: str
    replies: list[EvaluatedReply]
    metrics: dict[str, Estimate]


def evaluate_run(run_dir: str | Path, which: str = "after") -> list[EvaluationResult]:
    """Evaluate the starting policy ("before"), the trained one ("after") or "both" of a run.

    Raises ConfigError when the graders are not those the run was trained with.
    """
    labels = labels_of(which)
    run = RunDir.open(run_dir)
    config = load_config(run)
    mint = mint_config(config)
    graders = build_graders(mint.encoder, mint.tagger, mint.judge)
    check_servers(graders)
    require_same_graders(run, {"tagger": graders.tagger.identity, "judge": graders.judge.identity})
    models = {label: model_path(run, config, label) for label in labels}
    results = [
        evaluate_model(
            models[label],
            rows_path(config, mint),
            graders=graders,
            weights=mint.reward,
            settings=mint.evaluation,
            label=label,
            out_dir=run.evaluation_path,
        )
        for label in labels
    ]
    write_comparison(run.evaluation_path, mint.evaluation)
    return results


def evaluate_model(
    model_path: str | Path,
    rows_path: str | Path,
    *,
    graders: Graders,
    weights: RewardWeights,
    settings: EvaluationConfig,
    label: str,
    out_dir: str | Path,
) -> EvaluationResult:
    """Generate, grade and summarise replies of one model to the rows of a Parquet file.

    Writes OUT_DIR/<label>.json and OUT_DIR/<label>_replies.jsonl, and the replies that could not
    be graded to OUT_DIR/<label>_quarantine.jsonl.
    """
    # Imported here: torch and transformers take seconds, which --help should not wait for.
    from mint.evaluation.generate import ReplyGenerator

    rows = read_rows(rows_path)[: settings.max_prompts]
    if not rows:
        raise DataError(f"{rows_path} has no rows to evaluate on")
    with ReplyGenerator(model_path, settings) as generator:
        generations = generator.generate([_prompt(row) for row in rows], f"replies ({label})")
    pairs = [
        (row, sample, generation)
        for row, own in zip(rows, generations, strict=True)
        for sample, generation in enumerate(own)
    ]
    signals = asyncio.run(_score(ReplyScorer(graders.tagger, graders.judge), pairs))
    replies = [
        evaluated_reply(row, sample, generation, signal, weights)
        for (row, sample, generation), signal in zip(pairs, signals, strict=True)
    ]
    result = EvaluationResult(label, replies, summarise(replies, settings))
    about = {
        "model": str(model_path),
        "graders": {n: identity_row(g.identity) for n, g in graders._asdict().items()},
        "settings": {**asdict(settings), "reward": asdict(weights)},
    }
    _write_result(Path(out_dir), result, about)
    write_json_lines(Path(out_dir) / f"{label}_quarantine.jsonl", _failed(label, pairs, signals))
    return result


def _failed(
    label: str, pairs: Sequence[tuple[PromptRow, int, Generation]], signals: Sequence[Signals]
) -> list[dict[str, Any]]:
    """Rows of the replies that could not be graded."""
    return [
        Quarantined(
            stage=label,
            step=0,
            uid=f"{row.conversation_id}/{row.turn}",
            conversation_id=row.conversation_id,
            turn=row.turn,
            failures=signal.failures,
            request=scoring_request(row, generation),
        ).as_row()
        for (row, _, generation), signal in zip(pairs, signals, strict=True)
        if signal.status is Status.FAILED
    ]


def write_comparison(
    evaluation_dir: Path, settings: EvaluationConfig
) -> dict[str, Difference] | None:
    """Write comparison.json from the replies before and after; None when one is missing."""
    paths = [_replies_path(evaluation_dir, label) for label in LABELS]
    if not all(path.exists() for path in paths):
        return None
    before, after = (read_replies(path) for path in paths)
    differences = compare(before, after, settings)
    RunDir(evaluation_dir).write_json(
        "comparison.json", {name: asdict(value) for name, value in differences.items()}
    )
    return differences


def read_replies(path: Path) -> list[EvaluatedReply]:
    """Replies of a *_replies.jsonl file; [] when it does not exist."""
    return [EvaluatedReply.from_row(row) for row in read_json_lines(path)]


def format_results(results: Sequence[EvaluationResult]) -> str:
    """A few lines for people: the main metrics with their intervals."""
    lines = []
    for result in results:
        lines.append(f"{result.label}: {len(result.replies)} replies")
        for name in _SHOWN:
            metric = result.metrics[name]
            lines.append(f"  {name:<18}{_number(metric.mean)}  {_interval(metric)}")
    return "\n".join(lines)


def _write_result(out_dir: Path, result: EvaluationResult, about: dict[str, Any]) -> None:
    replies = result.replies
    write_json_lines(_replies_path(out_dir, result.label), (reply.as_row() for reply in replies))
    summary = {
        "label": result.label,
        "num_conversations": len({reply.conversation_id for reply in replies}),
        "num_turns": len({(reply.conversation_id, reply.turn) for reply in replies}),
        "num_replies": len(replies),
        "num_failed": sum(reply.status == Status.FAILED for reply in replies),
        **about,
        "metrics": {name: asdict(metric) for name, metric in result.metrics.items()},
    }
    RunDir(out_dir).write_json(f"{result.label}.json", summary)


async def _score(
    scorer: ReplyScorer, pairs: Sequence[tuple[PromptRow, int, Generation]]
) -> list[Signals]:
    requests = [scoring_request(row, generation) for row, _, generation in pairs]
    signals: list[Signals] = []
    for start in range(0, len(requests), _SCORING_BATCH):
        signals += await scorer.score(requests[start : start + _SCORING_BATCH])
    return signals


def _prompt(row: PromptRow) -> Prompt:
    messages = [{"role": "system", "content": row.system}]
    messages += [{"role": _CHAT_ROLES[m.role], "content": m.content} for m in row.prompt]
    return Prompt(f"{row.conversation_id}/{row.turn}", tuple(messages))


def _replies_path(out_dir: str | Path, label: str) -> Path:
    return Path(out_dir) / f"{label}_replies.jsonl"


def _number(value: float | None) -> str:
    return "      -" if value is None else f"{value:7.3f}"


def _interval(metric: Estimate) -> str:
    if metric.ci_low is None or metric.ci_high is None:
        return "(no interval)"
    return f"[{metric.ci_low:.3f}, {metric.ci_high:.3f}]"


def main(settings: EvaluateSettings) -> int:
    """Entry point of `python -m mint.evaluate`. Returns 3 when the gate is closed."""
    protocols = settings.protocols
    if HELD_OUT in protocols:
        print(format_results(evaluate_run(str(settings.run), settings.which)))
    asked = [name for name in protocols if name != HELD_OUT]
    if not asked:
        return 0
    closed = False
    for session in sessions(settings):
        result = run_session(session, asked)
        print("\n\n".join([f"== {session.output}", *result.texts]), flush=True)
        for line in result.broken_limits:
            print(f"limit: {line}", file=sys.stderr)
        closed |= settings.gate and bool(result.broken_limits)
    if closed:
        print("gate: the safety probes exceed their limits", file=sys.stderr)
    return 3 if closed else 0


if __name__ == "__main__":
    sys.exit(cli.run(EvaluateSettings, main))
