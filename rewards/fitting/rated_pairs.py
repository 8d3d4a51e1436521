"""Authored replies with ratings: decent ones of people's kind and bad ones in warm words.

The released replies are of language models, for which warm words and quality go together: a fit on
them alone rates cruelty in polite words above a plain, specific reply of a person.
`data/bad_replies` holds both in the same conversations.
"""

from __future__ import annotations

from collections.abc import Sequence

from rewards.fitting.degenerate import Degenerate, Labelled
from rewards.fitting.talks import Talk, Talks

DECENT = "decent"
# validating, elaboration, understanding, advice, self-oriented, dismissing by their definitions,
# each 1 to 5; the aggregate by itself: that a cruel reply gives no advice and does not speak of
# itself must not make it an ordinary one. A decent reply is a little above people's average.
_RATINGS = {
    DECENT: (3.6, 3.2, 4.0, 2.0, 1.3, 1.1, 3.2),
    "polite_cruelty": (1.5, 2.0, 1.5, 1.5, 1.5, 4.5, 1.3),
    "open_insult": (1.0, 1.0, 1.0, 1.5, 2.0, 5.0, 1.2),
    "harm_in_empathy": (2.0, 1.5, 1.5, 3.0, 1.5, 4.0, 1.4),
    "dismissal": (1.0, 1.0, 1.2, 2.0, 1.5, 5.0, 1.3),
    "flattery": (2.0, 1.5, 1.5, 1.5, 1.5, 3.5, 1.7),
    "stock_gush": (2.5, 1.5, 1.0, 1.0, 2.0, 3.0, 1.8),
    "stuffing": (1.0, 1.0, 1.0, 1.5, 2.5, 4.5, 1.2),
    "formatted": (1.5, 1.5, 1.5, 4.0, 1.5, 3.0, 1.8),
    "lecture": (1.0, 1.0, 1.5, 5.0, 1.5, 4.0, 1.5),
    "overclaiming_self": (1.5, 1.5, 1.5, 1.0, 5.0, 3.0, 1.8),
    "parroting": (1.5, 1.5, 2.0, 1.0, 1.5, 3.0, 1.9),
    "grader_instructions": (1.0, 1.0, 1.0, 1.0, 2.5, 4.5, 1.2),
    "broken_english": (1.5, 1.5, 1.5, 1.5, 1.5, 3.0, 1.7),
    "word_salad": (1.0, 1.0, 1.0, 1.0, 2.5, 4.5, 1.2),
}
"""Kinds whose fault stands in the reply; the other kinds are bad in their conversation only."""


def rated_pairs(talks: Talks) -> list[Labelled]:
    """The decent replies, and the bad ones whose fault shows without their conversation."""
    return [
        *(_labelled(talk, DECENT) for talk in talks.good),
        *(_labelled(talk, talk.kind) for talk in talks.bad if talk.kind in _RATINGS),
    ]


def hands(pairs: Sequence[Labelled]) -> list[str]:
    """Names of those who wrote them, sorted."""
    return sorted({item.hand for item in pairs})


def _labelled(talk: Talk, kind: str) -> Labelled:
    return Labelled(
        Degenerate(kind, talk.sentences, talk.turns[-1]),
        _RATINGS[kind],
        hand=talk.source.split()[0],
        pair=talk.conversation_id,
    )
