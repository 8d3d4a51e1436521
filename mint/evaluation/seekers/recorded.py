"""A seeker whose turns are kept in a journal, so that none is asked for twice."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from mint.dialogue.protocol import EmotionRules, Ended, Heard, Lost, Seeker, SeekerTurn
from mint.evaluation.journal import Journal
from mint.evaluation.sources.requests import ReplyKey


class RecordedSeeker:
    """A seeker in one conversation; `key` names a turn in the journal. Failures are not kept."""

    def __init__(self, seeker: Seeker, journal: Journal, key: Callable[[int], ReplyKey]) -> None:
        self._seeker, self._journal, self._key = seeker, journal, key

    @property
    def identity(self) -> dict[str, Any]:
        """See `Seeker`."""
        return self._seeker.identity

    @property
    def rules(self) -> EmotionRules:
        """See `Seeker`."""
        return self._seeker.rules

    async def turn(self, heard: Heard) -> SeekerTurn | Lost:
        """See `Seeker`."""
        key = self._key(heard.turn)
        recorded = self._journal.get("seeker", key)
        if recorded is not None:
            ended = recorded["ended"]
            return SeekerTurn(
                **{
                    **recorded,
                    "ended": None if ended is None else Ended(ended),
                    "faults": tuple(recorded["faults"]),
                }
            )
        made = await self._seeker.turn(heard)
        if isinstance(made, SeekerTurn):
            self._journal.add("seeker", {key: asdict(made)})
        return made
