"""Held-out replies as logs of inspect_ai, whose viewer and readers open them.

The form is version 2 of its log (https://inspect.aisi.org.uk/reference/inspect_ai.log.html),
written without the package: a sample a held-out turn, an epoch a reply, a score a measure.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mint.evaluation.records import EvaluatedReply
from mint.evaluation.trained_run import LABELS
from mint.reporting.data import ReportData
from mint.reporting.measures import MEASURES
from mint.shell.files import write_json

SCORES = ("composite", "empathy", "second_empathy", "judge_logit", "kl", "entropy")
"""Figures of one reply, by their attribute of `EvaluatedReply`."""
_ROLES = {"seeker": "user", "supporter": "assistant"}
_ENDS = {True: "max_tokens", False: "stop"}


def write_logs(data: ReportData, target: Path) -> list[Path]:
    """Write a log of each evaluation into the folder `target`; returns the files.

    They are named as the viewer wants them: time, task, identifier.
    """
    sides = {
        "before": (data.before, data.before_replies),
        "after": (data.after, data.after_replies),
    }
    written = []
    for label in LABELS:
        summary, replies = sides[label]
        if summary is not None and replies:
            log = inspect_log(f"{data.name} {label}", summary, replies, data.manifest)
            when = log["eval"]["created"].replace(":", "-")
            name = f"{when}_{label}_{log['eval']['task_id']}.json"
            written.append(write_json(target / name, log))
    return written


def inspect_log(
    name: str,
    summary: Mapping[str, Any],
    replies: Sequence[EvaluatedReply],
    manifest: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """The log of one evaluation. `summary`: its JSON; `manifest`: of its run, for the times."""
    settings = summary["settings"]
    model = f"mint/{Path(str(summary['model'])).name}"
    started, ended = _times(manifest)
    ids = sorted({_sample_id(reply) for reply in replies})
    own = hashlib.sha256(f"{name} {started}".encode()).hexdigest()[:22]
    return {
        "version": 2,
        "status": "success",
        "eval": {
            "eval_id": own,
            "run_id": own,
            "created": started,
            "task": name,
            "task_id": own,
            "task_version": 0,
            "dataset": {"name": "held-out turns", "samples": len(ids), "sample_ids": ids},
            "model": model,
            "model_generate_config": {
                "temperature": settings["temperature"],
                "top_p": settings["top_p"],
                "max_tokens": settings["max_new_tokens"],
            },
            "config": {"epochs": settings["samples_per_prompt"]},
            "metadata": {"graders": summary["graders"], "seed": settings["seed"]},
        },
        "plan": {"name": "plan", "steps": [{"solver": "generate", "params": {}}]},
        "results": {
            "total_samples": len(replies),
            "completed_samples": sum(reply.graded for reply in replies),
            "scores": list(_results(summary)),
        },
        "stats": {"started_at": started, "completed_at": ended, "model_usage": {}},
        "samples": [_sample(reply, model) for reply in replies],
    }


def _times(manifest: Mapping[str, Any] | None) -> tuple[str, str]:
    """Start and end of the run, within which its evaluations lie."""
    if manifest is None:
        return "1970-01-01T00:00:00+00:00", "1970-01-01T00:00:00+00:00"
    return manifest["started"], manifest["finished"] or manifest["started"]


def _results(summary: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for name in SCORES:
        row = summary["metrics"].get(name)
        if row is None or row["mean"] is None:
            continue
        values = {"mean": row["mean"], "ci_low": row["ci_low"], "ci_high": row["ci_high"]}
        yield {
            "name": name,
            "scorer": name,
            "scored_samples": row["n"],
            "params": {},
            "metrics": {
                key: {"name": key, "value": value, "params": {}}
                for key, value in values.items()
                if value is not None
            },
            "metadata": {"meaning": MEASURES[name].meaning},
        }


def _sample(reply: EvaluatedReply, model: str) -> dict[str, Any]:
    asked = [
        {"role": _ROLES[role], "content": said}
        for role, said in (*reply.history, ("seeker", reply.seeker))
    ]
    answer = {"role": "assistant", "content": reply.reply, "model": model, "source": "generate"}
    tags = "; ".join(
        f"[{', '.join(names) or 'no tactic'}] {sentence}"
        for sentence, names in zip(reply.sentences, reply.tactics, strict=True)
    )
    values = {name: getattr(reply, name) for name in SCORES}
    return {
        "id": _sample_id(reply),
        "epoch": reply.sample + 1,
        "input": asked,
        "target": "",
        "messages": [*asked, answer],
        "output": {
            "model": model,
            "choices": [{"message": answer, "stop_reason": _ENDS[reply.truncated]}],
            "completion": reply.reply,
        },
        "scores": {
            name: {"value": value, "answer": reply.reply, "explanation": tags}
            for name, value in values.items()
            if value is not None
        },
        "metadata": {
            "scenario": reply.scenario,
            "status": reply.status,
            "reason": reply.reason,
            "dimensions": dict(reply.dimensions),
            "parts": dict(reply.parts),
            "tricks": list(reply.tricks or ()),
            "num_tokens": reply.num_tokens,
        },
    }


def _sample_id(reply: EvaluatedReply) -> str:
    return f"{reply.conversation_id}/{reply.turn}"
