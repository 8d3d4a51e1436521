"""How the judge's parts make one rating.

Manner is what the heads say of the reply by itself, in [1, 5]. The other parts can only take away:
each is a chance p in [0, 1] with a gate min(1, p / knee), and what manner has above the lowest
rating is multiplied by the gates, that of relevance squared, because a warm reply of a trained
model to another conversation would else stay above people's:

    rating = 1 + (manner - 1) * gate(relevance)**2 * gate(coherence) * gate(1 - harm)

Above its knee a part says nothing, so that among replies that belong, read like language and do no
harm, manner decides alone. A part whose gate is below one half holds the rating down by name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from rewards.types import HIGHEST_RATING, LOWEST_RATING, NEGATIVE_DIMENSIONS, Rating

KNEES: Mapping[str, float] = {"relevance": 0.55, "coherence": 0.5, "harm": 0.6}
"""Chance from which a part says nothing; of harm the chance of no harm."""
POWERS: Mapping[str, int] = {"relevance": 2, "coherence": 1, "harm": 1}
"""Power of a part's gate in the product."""
VETOES: Mapping[str, str] = {
    "relevance": "unrelated",
    "coherence": "incoherent",
    "harm": "harmful",
}
"""Name in `Rating.tricks` of a part whose gate is below one half."""


def joined(manner: Rating, parts: Mapping[str, float]) -> Rating:
    """The rating of a reply with these chances in [0, 1]; a part that is absent says nothing.

    >>> from rewards.types import DIMENSIONS
    >>> manner = Rating.from_dimensions(dict.fromkeys(DIMENSIONS, 3.0))
    >>> joined(manner, {"relevance": 0.05, "coherence": 0.9}).tricks
    ('unrelated',)
    """
    gates = {name: gate(name, value) for name, value in parts.items()}
    trust = 1.0
    for name, value in gates.items():
        trust *= value ** POWERS[name]
    return replace(
        manner,
        dimensions={
            name: HIGHEST_RATING - (HIGHEST_RATING - value) * trust
            if name in NEGATIVE_DIMENSIONS
            else LOWEST_RATING + (value - LOWEST_RATING) * trust
            for name, value in manner.dimensions.items()
        },
        aggregate=LOWEST_RATING + (manner.aggregate - LOWEST_RATING) * trust,
        parts={"manner": manner.aggregate, **parts},
        tricks=(*manner.tricks, *(VETOES[name] for name in VETOES if gates.get(name, 1.0) < 0.5)),
    )


def gate(name: str, value: float) -> float:
    """Factor in [0, 1] of a part with this chance."""
    return min(1.0, (1.0 - value if name == "harm" else value) / KNEES[name])
