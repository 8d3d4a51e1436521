"""Which address is asked next, and when asking stops for a while."""

from __future__ import annotations

from collections.abc import Callable, Sequence

Clock = Callable[[], float]
"""Seconds that never run backwards, as `time.monotonic`."""


class UrlPool:
    """Addresses in turn. One that keeps failing rests while another is awake."""

    def __init__(self, urls: Sequence[str], failures: int, rest_s: float, clock: Clock) -> None:
        self._urls = [url.rstrip("/") for url in urls]
        self._allowed = failures
        self._rest_s = rest_s
        self._clock = clock
        self._next = 0
        self._failures = dict.fromkeys(self._urls, 0)
        self._until = dict.fromkeys(self._urls, float("-inf"))

    @property
    def urls(self) -> tuple[str, ...]:
        """All addresses, without slash at the end."""
        return tuple(self._urls)

    def pick(self) -> str:
        """The next address that is awake; when all rest, the one that has rested longest."""
        now = self._clock()
        turns = [self._urls[(self._next + i) % len(self._urls)] for i in range(len(self._urls))]
        awake = [url for url in turns if self._until[url] <= now]
        chosen = awake[0] if awake else min(turns, key=lambda url: self._until[url])
        self._next = (self._urls.index(chosen) + 1) % len(self._urls)
        return chosen

    def succeeded(self, url: str) -> None:
        """The address has answered."""
        self._failures[url] = 0
        self._until[url] = float("-inf")

    def failed(self, url: str) -> None:
        """The address has not answered, or with a server error."""
        self._failures[url] += 1
        if self._failures[url] >= self._allowed:
            self._until[url] = self._clock() + self._rest_s


class Breaker:
    """Circuit breaker: after `failures` requests in a row have failed for good, none is let
    through for `rest_s` seconds; then one is, as a probe, and decides how it goes on."""

    def __init__(self, failures: int, rest_s: float, clock: Clock) -> None:
        self._allowed = failures
        self._rest_s = rest_s
        self._clock = clock
        self._failures = 0
        self._until: float | None = None
        self._probing = False

    @property
    def is_open(self) -> bool:
        """Whether requests are refused at present."""
        return self._until is not None

    def admit(self) -> bool:
        """Whether a request may start. One that may must report by one of the methods below."""
        if self._until is None:
            return True
        if self._probing or self._clock() < self._until:
            return False
        self._probing = True
        return True

    def succeeded(self) -> None:
        """A server has answered."""
        self._failures, self._until, self._probing = 0, None, False

    def failed(self) -> None:
        """A request has failed after all its attempts."""
        self._failures += 1
        self._probing = False
        if self._failures >= self._allowed:
            self._until = self._clock() + self._rest_s

    def abandoned(self) -> None:
        """A request was cancelled: nothing is known."""
        self._probing = False
