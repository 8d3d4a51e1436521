"""The ten empathy tactics (MINT, arXiv 2604.11742) in the order that indexes every count vector.

This is the only list of tactics in the project. Definitions are our wording of the taxonomy of
"AI generates well-liked but templatic empathic responses" (arXiv 2604.08479).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from rewards.errors import DataError


class Tactic(NamedTuple):
    """One tactic: its key, a definition for prompts, and a short example."""

    name: str
    definition: str
    example: str


TACTICS: tuple[Tactic, ...] = (
    Tactic(
        "information",
        "Offers facts, resources or explanations that answer a question or calm a worry.",
        "Sleep often takes a few weeks to settle after a change of shifts.",
    ),
    Tactic(
        "assistance",
        "Offers to help personally, to stay available, or to connect the person with someone.",
        "I can look over the letter with you.",
    ),
    Tactic(
        "advice",
        "Suggests something the person could do, or a way to cope.",
        "You could ask for ten quiet minutes before the meeting.",
    ),
    Tactic(
        "validation",
        "Treats the feelings as normal, reasonable or deserved.",
        "Anyone would be rattled by that phone call.",
    ),
    Tactic(
        "emotional_expression",
        "Voices the speaker's own feelings, reactions or hopes about the situation.",
        "My heart sank when I read that.",
    ),
    Tactic(
        "paraphrasing",
        "Reflects the person's situation or feelings back, including what was left unsaid.",
        "So the house went quiet and nobody asked how you were.",
    ),
    Tactic(
        "self_disclosure",
        "Shares the speaker's own life or a similar past experience.",
        "I failed my first year as well.",
    ),
    Tactic(
        "questioning",
        "Asks in order to understand the person or the situation better.",
        "What was the hardest part of the day?",
    ),
    Tactic(
        "reappraisal",
        "Invites another way of seeing the event, so that it means something different.",
        "Maybe the argument shows how much you both still care.",
    ),
    Tactic(
        "empowerment",
        "Says something good about the person's character, strength or ability.",
        "It took courage to say that out loud.",
    ),
)

TACTIC_NAMES: tuple[str, ...] = tuple(t.name for t in TACTICS)
NUM_TACTICS = len(TACTICS)
TACTIC_INDEX: dict[str, int] = {name: i for i, name in enumerate(TACTIC_NAMES)}

Counts = Mapping[str, float] | Sequence[float]


def count_vector(counts: Counts | None) -> tuple[float, ...]:
    """Counts as ten floats in taxonomy order; a missing tactic or a None entry counts 0.

    Takes a mapping {tactic: count} (Arrow fills absent struct keys with None) or a sequence of
    ten numbers. Raises `DataError` for an unknown tactic, a wrong length or a negative count.
    """
    if counts is None:
        return (0.0,) * NUM_TACTICS
    if isinstance(counts, Mapping):
        unknown = sorted(set(counts) - set(TACTIC_NAMES))
        if unknown:
            raise DataError(f"unknown tactic {unknown[0]!r}; allowed: {', '.join(TACTIC_NAMES)}")
        values = [counts.get(name) for name in TACTIC_NAMES]
    else:
        values = list(counts)
        if len(values) != NUM_TACTICS:
            raise DataError(f"a count vector needs {NUM_TACTICS} entries, got {len(values)}")
    vector = tuple(0.0 if value is None else float(value) for value in values)
    if not all(0 <= value < math.inf for value in vector):
        raise DataError(f"tactic counts must be >= 0 and finite, got {vector}")
    return vector


def count_tactics(sentence_tactics: Iterable[Iterable[str]]) -> tuple[int, ...]:
    """Number of sentences that carry each tactic, in taxonomy order.

    >>> count_tactics([["validation"], ["validation", "questioning"]])[3]
    2
    """
    counts = [0] * NUM_TACTICS
    for tactics in sentence_tactics:
        for name in set(tactics):
            if name not in TACTIC_INDEX:
                allowed = ", ".join(TACTIC_NAMES)
                raise DataError(f"unknown tactic {name!r}; allowed: {allowed}")
            counts[TACTIC_INDEX[name]] += 1
    return tuple(counts)
