"""Replies as token windows: which tokens go through the encoder together, and whose they are.

    [CLS] end of the seeker's message [SEP] sentence 1, sentence 2, ... [SEP]

A sentence is read in the context of its reply, so one pass gives its vector, the reply's vector
and, for a reply that fits, all of them at once. A longer reply takes several windows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

SEEKER_TOKENS = 64
"""The end of the seeker's message that a window begins with: what is said last matters most."""
SENTENCE_TOKENS = 192
"""A longer sentence is cut."""
REPLY_TOKENS = 420
"""Sentence tokens in one window; with the rest they stay below the encoder's 512 positions."""


class Window(NamedTuple):
    """Input of one row of a batch."""

    reply: int
    """Position of the reply it belongs to."""
    tokens: list[int]
    segments: list[int]
    """Token type: 0 for the seeker's part, 1 for the reply's."""
    sentence_of: list[int]
    """For each token the index of its sentence in the reply, -1 for all others."""


def make_windows(
    reply: int, seeker: Sequence[int], sentences: Sequence[Sequence[int]], *, cls: int, sep: int
) -> list[Window]:
    """The windows of one reply, in order; every sentence is in exactly one of them.

    `seeker` and `sentences` hold token ids without special tokens; a sentence holds at least one.
    """
    head = [cls, *seeker[-SEEKER_TOKENS:], sep] if seeker else [cls, sep]
    windows = []
    for group in _groups(sentences):
        tokens = [token for index in group for token in sentences[index][:SENTENCE_TOKENS]]
        owners = [index for index in group for _ in sentences[index][:SENTENCE_TOKENS]]
        windows.append(
            Window(
                reply=reply,
                tokens=[*head, *tokens, sep],
                segments=[0] * len(head) + [1] * (len(tokens) + 1),
                sentence_of=[-1] * len(head) + owners + [-1],
            )
        )
    return windows


def plan_batches(lengths: Sequence[int], max_tokens: int) -> list[list[int]]:
    """Positions of `lengths` in batches of similar length, at most `max_tokens` with padding.

    Sorted, so that little of a batch is padding; a row longer than `max_tokens` goes alone.
    """
    batches: list[list[int]] = []
    current: list[int] = []
    for position in sorted(range(len(lengths)), key=lambda i: lengths[i]):
        # Ascending: this row is the longest so far, hence the width of the batch.
        if current and lengths[position] * (len(current) + 1) > max_tokens:
            batches.append(current)
            current = []
        current.append(position)
    return [*batches, current] if current else batches


def _groups(sentences: Sequence[Sequence[int]]) -> list[list[int]]:
    groups: list[list[int]] = []
    room = 0
    for index, sentence in enumerate(sentences):
        size = min(len(sentence), SENTENCE_TOKENS)
        if not groups or size > room:
            groups.append([])
            room = REPLY_TOKENS
        groups[-1].append(index)
        room -= size
    return groups
