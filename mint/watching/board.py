"""The parts of a page, each with the version in which it last changed."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping


class Board:
    """What a page shows now. Used from the server's own thread alone."""

    def __init__(self) -> None:
        # Versions of another server, or of this one before it was started again, count for nothing.
        self._made = secrets.token_hex(4)
        self._version = 0
        self._parts: dict[str, tuple[int, str]] = {}
        self._changed = asyncio.Event()

    @property
    def seen(self) -> str:
        """Name of the present version."""
        return f"{self._made}-{self._version}"

    @property
    def parts(self) -> dict[str, str]:
        """Name -> ready HTML, in the order of the page."""
        return {name: html for name, (_, html) in self._parts.items()}

    def show(self, parts: Mapping[str, str]) -> bool:
        """Take over the parts; whether one of them has changed."""
        new = {
            name: html
            for name, html in parts.items()
            if name not in self._parts or self._parts[name][1] != html
        }
        if not new:
            return False
        self._version += 1
        self._parts |= {name: (self._version, html) for name, html in new.items()}
        self._changed.set()
        self._changed = asyncio.Event()
        return True

    def news(self, seen: str) -> dict[str, str]:
        """The parts that have changed since a version; all of them for one that is not known."""
        made, _, number = seen.partition("-")
        known = made == self._made and number.isdecimal() and len(number) < 12
        version = int(number) if known else -1
        return {name: html for name, (v, html) in self._parts.items() if v > version}

    async def wait(self) -> None:
        """Until something changes."""
        await self._changed.wait()
