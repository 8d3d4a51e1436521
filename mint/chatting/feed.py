"""What happens in a conversation, for readers that come and go: a page, a terminal, a test."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

Event = dict[str, Any]
"""Plain JSON with a "kind"."""


class Feed:
    """Events in order, each with a number, and replies that are still growing, without one."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self._growing: dict[int, Event] = {}
        self._news = asyncio.Event()

    def add(self, kind: str, **content: Any) -> None:
        """An event that every reader gets, also one that comes later."""
        self.events.append({"kind": kind, **content})
        self._wake()

    def grow(self, side: int, turn: int, text: str) -> None:
        """The reply of a side so far; a slow reader gets only the newest."""
        self._growing[side] = {"kind": "growing", "side": side, "turn": turn, "text": text}
        self._wake()

    def grown(self, side: int) -> None:
        """The reply is whole or given up."""
        self._growing.pop(side, None)

    async def follow(self, start: int = 0) -> AsyncIterator[tuple[int | None, Event]]:
        """(number, event) from event `start` on, for ever; growing replies have the number None."""
        shown: dict[int, Event] = {}
        while True:
            news = self._news
            while start < len(self.events):
                yield start, self.events[start]
                start += 1
            for side, event in list(self._growing.items()):
                if shown.get(side) is not event:
                    shown[side] = event
                    yield None, event
            await news.wait()

    def _wake(self) -> None:
        self._news.set()
        self._news = asyncio.Event()
