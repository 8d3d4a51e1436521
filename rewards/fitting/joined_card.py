"""What the whole judge, manner and parts joined, makes of people's replies and of the canaries."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rewards.canaries import rate_canaries, read_canaries
from rewards.fitting.corpus import CorpusReply
from rewards.fitting.judge_card import ORDINARY
from rewards.graders.embedded.judge import EmbeddedJudge
from rewards.types import Message, Rating, Reply


def joined_figures(
    judge: EmbeddedJudge, replies: Sequence[CorpusReply], canaries: Path
) -> dict[str, Any]:
    """People's ratings and how many of their replies a part holds down; canaries by kind.

    The shipped judge has seen people's replies, and never a canary. Raises DataError for a broken
    file of canaries.
    """
    people = [_reply(reply) for reply in replies if reply.system == ORDINARY]
    rated = [r for r in judge.grade_now(people) if isinstance(r, Rating)]
    if not rated:
        return {}
    aggregates = [rating.aggregate for rating in rated]
    held = [name for rating in rated for name in sorted(set(rating.tricks))]
    median = round(float(np.median(aggregates)), 4)
    return {
        "people": {
            "replies": len(rated),
            "median": median,
            "mean": round(float(np.mean(aggregates)), 4),
            "held_down": {
                name: round(held.count(name) / len(rated), 4) for name in sorted(set(held))
            },
        },
        "canaries": asyncio.run(rate_canaries(judge, read_canaries(canaries), median)),
    }


def _reply(reply: CorpusReply) -> Reply:
    said = [turn for turn in reply.seeker_turns if turn.strip()]
    history = tuple(Message("seeker", turn) for turn in said)
    return Reply(history=history, text=reply.text, sentences=reply.sentences)
