"""Rows of samples.jsonl (best and worst dialogues) and of lost_dialogues.jsonl."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mint.verl.dialogue_step import DialogueStep
from mint.verl.dialogue_wire import GradedDialogue


def talk_samples(
    step: int,
    rows: Sequence[GradedDialogue],
    uids: Sequence[str],
    result: DialogueStep,
    num_groups: int,
) -> list[dict[str, Any]]:
    """Best and worst dialogue, by reward, of the `num_groups` groups whose rewards differ most."""
    earned = [sum(credit.rewards_T) for credit in result.credits]
    ranked = {
        uid: sorted((p for p in positions if result.trained[p]), key=lambda p: earned[p])
        for uid, positions in result.groups.items()
    }

    def spread(uid: str) -> float:
        return earned[ranked[uid][-1]] - earned[ranked[uid][0]]

    shown = sorted((uid for uid in ranked if ranked[uid]), key=spread, reverse=True)[:num_groups]
    return [
        {
            "step": step,
            "uid": uids[position],
            "rank": rank,
            "reward": earned[position],
            "rewards": list(result.credits[position].rewards_T),
            "advantages": list(result.credits[position].advantages_T),
            **_row(rows[position]),
        }
        for uid in shown
        for rank, position in (("best", ranked[uid][-1]), ("worst", ranked[uid][0]))
    ]


def lost_rows(
    step: int, rows: Sequence[GradedDialogue], uids: Sequence[str], stage: str = "train"
) -> list[dict[str, Any]]:
    """Every dialogue of the step that has no result; `stage` is train or validate."""
    return [
        {"stage": stage, "step": step, "uid": uid, **_row(row)}
        for row, uid in zip(rows, uids, strict=True)
        if row.record is not None and row.record.lost is not None
    ]


def _row(row: GradedDialogue) -> dict[str, Any]:
    return {
        "dialogue": None if row.record is None else row.record.as_json(),
        "tactics": [[list(sentence) for sentence in turn.tactics] for turn in row.turns],
        "empathy": [turn.signals.quality for turn in row.turns],
    }
