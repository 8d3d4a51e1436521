"""Where in its conversation a reply stands, as numbers for the strategy heads.

What a supporter does next follows the course of the talk: questions come first, suggestions late
(Liu et al. 2021). The prompt says it in words (`data.esconv.strategies_told`), but it takes a model
many more turns to learn to read these than it takes a head to learn from numbers.
"""

from __future__ import annotations

from collections.abc import Sequence

_BEFORE = (1, 2, 3, 4, 6, 10, 16, 24, 32)
"""Messages by which a conversation's course is cut into stages."""
_LATEST = 3
"""Of so many earlier supporter turns the strategies are told in order."""
_MOST = 4
"""A strategy counts as used often from so many times on."""


def size(classes: int) -> int:
    """How many numbers `numbers` gives for so many strategies."""
    return len(_BEFORE) + 2 * classes + _LATEST * (classes + 1)


def numbers(message: int, earlier: Sequence[int], classes: int) -> tuple[float, ...]:
    """The place of a reply, [size(classes)], each in [0, 1].

    `message` is the number of messages before it and `earlier` the strategies of the supporter's
    turns before it, oldest first. In order: whether it is before each stage of the conversation,
    how often each strategy was used, whether it was, and the latest three, latest first, each with
    a place for there being none.

    >>> found = numbers(3, [1, 0], 2)
    >>> found[9:13]  # each once, of at most four; both were used
    (0.25, 0.25, 1.0, 1.0)
    >>> found[13:]  # 0, before it 1, before it none
    (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
    """
    counts = [list(earlier).count(strategy) for strategy in range(classes)]
    latest = [earlier[-back] if len(earlier) >= back else classes for back in range(1, _LATEST + 1)]
    return (
        *(float(message < stage) for stage in _BEFORE),
        *(min(count, _MOST) / _MOST for count in counts),
        *(float(count > 0) for count in counts),
        *(float(strategy == own) for own in latest for strategy in range(classes + 1)),
    )
