"""What is learnt from: a chat, perhaps the reply to it, perhaps labels."""

from __future__ import annotations

from dataclasses import dataclass

from mint.policy.warm_start import Example


@dataclass(frozen=True, kw_only=True)
class Text:
    """A sample as text."""

    source: str
    """Name of its data set."""
    group: str
    """What must not be split between training and dev: the conversation."""
    messages: tuple[dict[str, str], ...]
    """Chat messages; the last one is the user's."""
    reply: str | None = None
    """What the supporter said, to be learnt."""
    emotions: tuple[int, ...] | None = None
    """Classes of the seeker's emotion: one, or several; None: not known."""
    strategy: int | None = None
    """Class of the reply's strategy."""
    place: tuple[float, ...] | None = None
    """Where in its conversation the reply stands (`mint.supervised.place`), beside a strategy."""
    safety: bool = False
    """The reply is the teacher's, whose distribution is to be kept."""


@dataclass(frozen=True, kw_only=True)
class Sample:
    """A sample as token ids with the losses that it takes part in."""

    source: str
    example: Example
    learns_reply: bool = False
    emotions: tuple[int, ...] | None = None
    strategy: int | None = None
    place: tuple[float, ...] | None = None
    safety: bool = False
