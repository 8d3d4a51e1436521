"""What happened in a conversation, as plain JSON for samples, validation and evaluation."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from mint.dialogue.protocol import Ended, Lost, Who
from rewards.errors import DataError
from rewards.types import Message


@dataclass(frozen=True, kw_only=True)
class TurnRecord:
    """One reply of the model and what the seeker made of it."""

    raw: str
    """As generated, thoughts included."""
    visible: str
    """What the seeker read; "" where nothing was visible."""
    well_formed: bool
    """Whether it thinks as `DialogueRules.thinking` asks and says something."""
    tokens: int
    """Length of `raw` in the model's tokens."""
    complete: bool
    """False: cut at the limit of a turn."""
    emotion: float | None = None
    """In [0, 100], after the reply; None where the seeker has failed on it."""
    change: float | None = None
    """The change that was applied; None as for `emotion`."""
    reason: str = ""
    """The seeker's reason for the change."""
    message: str | None = None
    """What the seeker said then. After the last reply it is nobody's prompt."""
    faults: tuple[str, ...] = ()
    """Faults of seeker lines that were asked again for this turn, see `SeekerTurn`."""


@dataclass(frozen=True, kw_only=True)
class TalkRecord:
    """A whole conversation. Exactly one of `ended` and `lost` is set."""

    person: str
    """Id of the person who was played."""
    intention: str
    seed: int
    seeker: str
    """`identity_key` of the seeker."""
    start: float
    """Emotion before the first reply, in [0, 100]."""
    opening: str | None
    """None where the seeker failed to open."""
    opening_faults: tuple[str, ...] = ()
    turns: tuple[TurnRecord, ...] = ()
    ended: Ended | None = None
    lost: Lost | None = None

    def __post_init__(self) -> None:
        if (self.ended is None) == (self.lost is None):
            raise DataError("a conversation has either ended or is lost")

    @property
    def emotion(self) -> float:
        """The last emotion that is known, in [0, 100]."""
        known = [turn.emotion for turn in self.turns if turn.emotion is not None]
        return known[-1] if known else self.start

    @property
    def messages(self) -> tuple[Message, ...]:
        """What both have read, from the opening to the last reply."""
        said = [] if self.opening is None else [Message("seeker", self.opening)]
        for number, turn in enumerate(self.turns, start=1):
            said.append(Message("supporter", turn.visible))
            if turn.message is not None and number < len(self.turns):
                said.append(Message("seeker", turn.message))
        return tuple(said)

    def as_json(self) -> dict[str, Any]:
        """Plain JSON that `from_json` reads."""
        plain = asdict(self)
        plain["lost"] = None if self.lost is None else self.lost._asdict()
        return json.loads(json.dumps(plain))

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> TalkRecord:
        """The record of `as_json`. Raises DataError for anything else."""
        try:
            own = dict(plain)
            turns = [TurnRecord(**{**t, "faults": tuple(t["faults"])}) for t in own.pop("turns")]
            ended, lost = own.pop("ended"), own.pop("lost")
            return cls(
                **{**own, "opening_faults": tuple(own["opening_faults"])},
                turns=tuple(turns),
                ended=None if ended is None else Ended(ended),
                lost=None if lost is None else Lost(**{**lost, "who": Who(lost["who"])}),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise DataError(f"no record of a conversation: {error!r:.200}") from error


def identity_key(identity: Mapping[str, Any]) -> str:
    """First 16 hex digits of the SHA-256 of an identity as canonical JSON."""
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:16]
