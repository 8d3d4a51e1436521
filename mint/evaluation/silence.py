"""Replies with nothing visible: where they are, and how they are asked for again."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from mint.evaluation.journal import Journal, Key
from mint.evaluation.records import EvaluatedReply
from mint.evaluation.sources.requests import ReplyKey
from rewards.formula import INVALID
from rewards.text import visible_reply
from rewards.types import Status

OF_NOTES = "_notes"
"""How the condition of a model's notes of a conversation ends: they belong to its replies."""
_SHOWN = 6
"""Places named on the console; files have them all."""


def nothing_visible(replies: Iterable[EvaluatedReply]) -> list[dict[str, Any]]:
    """Where a person would have read nothing, as plain JSON; status is empty or truncated_think."""
    return [
        {
            "conversation_id": reply.conversation_id,
            "turn": reply.turn,
            "sample": reply.sample,
            "status": str(reply.status),
        }
        for reply in replies
        if reply.status in INVALID
    ]


def places(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """A few words for each row of `nothing_visible`."""
    return [
        f"{row['conversation_id']} turn {row['turn']}"
        + (f" sample {row['sample']}" if row["sample"] else "")
        for row in rows
    ]


def in_words(where: Sequence[str], remedy: bool = True) -> list[str]:
    """A line for people, [] where every reply says something; `remedy`: with how to ask again."""
    if not where:
        return []
    more = f" and {len(where) - _SHOWN} more" if len(where) > _SHOWN else ""
    hint = "; retry_failed=true asks again" if remedy else ""
    return [f"  nothing visible in {len(where)}: {', '.join(where[:_SHOWN])}{more}{hint}"]


def forget_silent(journal: Journal, talks: bool) -> int:
    """Take back the recorded replies with nothing visible, and their grades; of conversations that
    the replies themselves shape (`talks`), also all that followed. Returns how many replies.

    Such entries come from a server that was set up wrongly, say with a reasoning parser that takes
    a whole reply for thinking. Seeds stay the same: a model that has nothing to say says it again.
    """
    silent = [
        _named(key)
        for kind, key, value in journal.entries()
        if kind == "reply" and visible_reply(value["raw"]).status is not Status.OK
    ]
    silent_keys = set(silent)
    first: dict[Key, int] = {}
    for key in silent:
        first[_talk(key)] = min(key.turn, first.get(_talk(key), key.turn))

    def follows(kind: str, key: Key) -> bool:
        if kind in ("reply", "grade") and key in silent_keys:
            return True
        if not talks:
            return False
        if kind == "rubric":
            return key in {(condition, f"{name}/{sample}") for condition, name, sample in first}
        if kind not in ("reply", "grade", "seeker"):
            return False
        one = _named(key)
        # A seeker's turn number counts the replies it has heard, the newest included.
        return _talk(one) in first and one.turn - (kind == "seeker") >= first[_talk(one)]

    journal.forget([(kind, key) for kind, key, _ in journal.entries() if follows(kind, key)])
    return len(silent)


def ask_again(journal: Journal, talks: bool) -> None:
    """`forget_silent`, and say so."""
    number = forget_silent(journal, talks)
    print(
        f"{journal.path.name}: {number} replies with nothing visible are asked for again",
        file=sys.stderr,
    )


def _named(key: Key) -> ReplyKey:
    condition, conversation, turn, sample = key
    return ReplyKey(str(condition), str(conversation), int(turn), int(sample))


def _talk(key: ReplyKey) -> Key:
    return key.condition.removesuffix(OF_NOTES), key.conversation_id, key.sample
