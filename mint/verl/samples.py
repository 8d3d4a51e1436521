"""Rows of samples.jsonl (best and worst replies) and of quarantine.jsonl (failed ones)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mint.rundir.quarantine import Quarantined
from mint.verl.group_reward import StepReward
from mint.verl.wire import GradedReply


def sample_rows(
    step: int,
    rows: Sequence[GradedReply],
    uids: Sequence[str],
    result: StepReward,
    num_groups: int,
) -> list[dict[str, Any]]:
    """Best and worst reply of the `num_groups` groups whose rewards differ most."""
    spread = {
        uid: max(result.scores[p] for p in positions) - min(result.scores[p] for p in positions)
        for uid, positions in result.groups.items()
    }
    chosen = sorted(spread, key=lambda uid: spread[uid], reverse=True)[:num_groups]
    out = []
    for uid in chosen:
        ranked = sorted(result.groups[uid], key=lambda p: result.scores[p])
        for rank, position in (("best", ranked[-1]), ("worst", ranked[0])):
            row = rows[position]
            out.append(
                {
                    "step": step,
                    "uid": uids[position],
                    "rank": rank,
                    "conversation_id": row.conversation_id,
                    "turn": row.turn,
                    "seeker": row.seeker,
                    "reply": row.reply,
                    "previous_counts": list(row.previous_counts),
                    "sentences": list(row.sentences),
                    "tactics": [list(t) for t in row.tactics],
                    "dimensions": row.dimensions,
                    "reason": row.signals.reason,
                    "breakdown": result.breakdowns[position].as_row(),
                }
            )
    return out


def quarantine_rows(
    step: int, rows: Sequence[GradedReply], uids: Sequence[str], stage: str = "train"
) -> list[dict[str, Any]]:
    """Every reply of the step that could not be graded; `stage` is train or validate."""
    return [
        Quarantined(
            stage=stage,
            step=step,
            uid=uid,
            conversation_id=row.conversation_id,
            turn=row.turn,
            failures=row.signals.failures,
            request=row.request,
        ).as_row()
        for row, uid in zip(rows, uids, strict=True)
        if row.request is not None
    ]
