"""A dialogue as training data, and the file that it is saved to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mint.chatting.conversation import Conversation
from mint.chatting.side import Side, Spoken
from mint.shell.files import write_json
from rewards.errors import DataError
from rewards.tactics import TACTIC_NAMES
from rewards.types import Failure

SOURCE = "chat"


def training_record(conversation: Conversation, number: int) -> dict[str, Any]:
    """One side as a record of the form that `mint prepare` and `mint audit` read.

    Raises DataError when that side has not replied.
    """
    if not 0 <= number < len(conversation.sides):
        raise DataError(f"there is no side {number}")
    side = conversation.sides[number]
    if not side.replies:
        raise DataError("there is no reply yet")
    spoken = iter(side.replies)
    return {
        "conversation_id": f"{conversation.name}-{number + 1}",
        "source": SOURCE,
        "model": conversation.names[number],
        "scenario": conversation.person.id,
        "conversation": [
            _supporter(next(spoken)) if message.role == "supporter" else message._asdict()
            for message in side.history
        ],
    }


def save(conversation: Conversation, folder: Path) -> Path:
    """Write what has been said so far, a record for each side that has replied, with grades and
    emotions beside what `training_record` has; an earlier file of the conversation is replaced.
    Raises DataError when nobody has replied."""
    records = [_whole(conversation, side) for side in conversation.sides if side.replies]
    if not records:
        raise DataError("there is no reply yet")
    return write_json(folder / f"{conversation.name}.json", records)


def _whole(conversation: Conversation, side: Side) -> dict[str, Any]:
    heard = conversation.seekers[side.number]
    votes = {turn: vote.choice for turn, vote in conversation.votes.items()}
    return {
        **training_record(conversation, side.number),
        "seeker": heard.identity,
        "emotions": [turn.emotion for turn in heard.turns],
        "reasons": [turn.reason for turn in heard.turns],
        "grades": [None if s.grades is None else s.grades.as_json() for s in side.replies],
        "raw": [spoken.made.raw for spoken in side.replies],
        "votes": votes,
    }


def _supporter(spoken: Spoken) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "supporter", "content": spoken.text}
    if spoken.grades is not None and not isinstance(spoken.grades.tagging, Failure):
        tagged = spoken.grades.as_json()["sentences"]
        used = {name for one in tagged for name in one["tactics"]}
        message["sentence_tactics"] = tagged
        message["all_tactics"] = [name for name in TACTIC_NAMES if name in used]
    return message
