"""Pairs of replies of two systems to the same turns."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from mint.data.cases import read_cases
from mint.evaluation.records import EvaluatedReply, read_replies
from rewards.errors import ConfigError, DataError


class Pair(NamedTuple):
    """Replies of two systems to the same turn."""

    conversation_id: str
    turn: int
    context: str
    """What the rater reads first."""
    first: str
    second: str


def rated_replies(path: str) -> tuple[EvaluatedReply, ...]:
    """The replies of one system. Raises ConfigError when there is no such file."""
    if not Path(path).is_file():
        raise ConfigError(f"{path} does not exist; give a *_replies.jsonl file of an evaluation")
    return read_replies(Path(path))


def contexts_of(data: str | None) -> dict[tuple[str, int], str]:
    """(conversation, turn) -> the conversation up to that turn; {} without a file."""
    return {
        (case.conversation_id, case.turn): "\n".join(
            f"{message.role.capitalize()}: {message.content}" for message in case.history
        )
        for case in (() if data is None else read_cases(data))
    }


def make_pairs(
    first: Sequence[EvaluatedReply],
    second: Sequence[EvaluatedReply],
    contexts: Mapping[tuple[str, int], str],
    limit: int | None,
    seed: int,
) -> list[Pair]:
    """Pairs of visible, different first replies to the same message, `limit` of them at random.

    `contexts` holds the conversation up to a turn; where it has none, the seeker's message is the
    context. Raises DataError when there is no such pair.
    """
    others = {(r.conversation_id, r.turn): r for r in second if r.sample == 0}
    pairs = []
    for reply in first:
        place = (reply.conversation_id, reply.turn)
        other = others.get(place)
        if reply.sample or other is None or other.seeker != reply.seeker:
            continue
        if reply.reply.strip() and other.reply.strip() and reply.reply != other.reply:
            context = contexts[place] if place in contexts else f"Seeker: {reply.seeker}"
            pairs.append(Pair(*place, context, reply.reply, other.reply))
    if not pairs:
        raise DataError("the two evaluations share no turn with two different visible replies")
    pairs.sort()
    chosen = random.Random(seed).sample(pairs, min(limit or len(pairs), len(pairs)))
    return sorted(chosen)
