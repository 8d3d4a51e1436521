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
    ranked = {
        uid: sorted(positions, key=lambda p: result.scores[p])
        for uid, positions in result.groups.items()
    }

    def spread(uid: str) -> float:
        return result.scores[ranked[uid][-1]] - result.scores[ranked[uid][0]]

    return [
        {
            "step": step,
            "uid": uids[position],
            "rank": rank,
            "conversation_id": rows[position].conversation_id,
            "turn": rows[position].turn,
            "seeker": rows[position].seeker,
            "reply": rows[position].reply,
            "previous_counts": list(rows[position].previous_counts),
            "sentences": list(rows[position].sentences),
            "tactics": [list(t) for t in rows[position].tactics],
            "dimensions": rows[position].dimensions,
            "parts": rows[position].parts,
            "tricks": rows[position].tricks,
            "reason": rows[position].signals.reason,
            "breakdown": result.breakdowns[position].as_row(),
        }
        for uid in sorted(ranked, key=spread, reverse=True)[:num_groups]
        for rank, position in (("best", ranked[uid][-1]), ("worst", ranked[uid][0]))
    ]


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
