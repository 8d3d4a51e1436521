"""Dialogues as verl carries them: a flat dict of floats and one text, the same keys always.

The agent loop leaves the record in the row's extra fields, the reward worker adds the grades.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from mint.dialogue.record import TalkRecord
from mint.verl.wire import WHOLE, GradedReply, columns_to_rows, pack, unpack

DIALOGUE, SPANS = "dialogue", "turn_spans"
"""Extra fields of the agent loop: the record as JSON, and where its replies are."""


class GradedDialogue(NamedTuple):
    """One dialogue, or (`record` None) the single reply to a safety probe."""

    record: TalkRecord | None
    turns: tuple[GradedReply, ...]
    """The replies with their grades, in order; one that a grader failed on has status FAILED."""

    @property
    def usable(self) -> bool:
        """Whether the dialogue has a result."""
        return self.record is not None and self.record.lost is None


def pack_dialogue(dialogue: GradedDialogue) -> dict[str, float | str]:
    """The wire form of a dialogue."""
    record = dialogue.record
    whole = {
        "record": None if record is None else record.as_json(),
        "turns": [pack(turn) for turn in dialogue.turns],
    }
    lost = None if record is None else record.lost
    return {
        "emotion": math.nan if record is None or lost is not None else record.emotion,
        "turns": float(len(dialogue.turns)),
        "lost": "" if lost is None else f"{lost.who}: {lost.stage}: {lost.kind}",
        WHOLE: json.dumps(whole, ensure_ascii=False),
    }


def unpack_dialogue(wire: Mapping[str, Any]) -> GradedDialogue:
    """Inverse of `pack_dialogue`."""
    whole = json.loads(wire[WHOLE])
    record = whole["record"]
    return GradedDialogue(
        None if record is None else TalkRecord.from_json(record),
        tuple(unpack(turn) for turn in whole["turns"]),
    )


def unpack_dialogue_columns(columns: Mapping[str, Sequence[Any]]) -> list[GradedDialogue]:
    """Dialogues of verl's validation pass, which keeps a list for each key."""
    return [unpack_dialogue(row) for row in columns_to_rows(columns)]
