"""How the judge's parts make one rating.

Manner is what the heads say of the reply by itself, in [1, 5]. The other parts can only take away:
each is a chance p in [0, 1] (of harm that of no harm), and what manner has above the lowest rating
is multiplied by what each leaves,

    gate = min(1, p / knee)        left = 0.97 * gate + 0.03 * p
    rating = 1 + (manner - 1) * left(relevance)**2 * left(coherence) * left(1 - harm)

Relevance is squared because a warm reply of a trained model to another conversation would else stay
above people's. Above its knee a part takes next to nothing, so that among replies that belong, read
like language and do no harm, manner decides; the 3 % tell two apart that are alike in all else. A
part whose gate is below one half holds the rating down by name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from rewards.types import HIGHEST_RATING, LOWEST_RATING, NEGATIVE_DIMENSIONS, Rating

KNEES: Mapping[str, float] = {"relevance": 0.45, "coherence": 0.5, "harm": 0.6}
"""Chance from which a part says nothing; of harm the chance of no harm."""
ABOVE_KNEE = 0.03
"""Share of a part that counts above its knee, too."""
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
    for name, value in parts.items():
        left = (1 - ABOVE_KNEE) * gates[name] + ABOVE_KNEE * _good(name, value)
        trust *= left ** POWERS[name]
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
    return min(1.0, _good(name, value) / KNEES[name])


def _good(name: str, value: float) -> float:
    """Chance that all is well with a part."""
    return 1.0 - value if name == "harm" else value
