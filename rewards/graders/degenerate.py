"""Replies that must not earn a good rating, made from a corpus: copies, word salad, interrogations.

No corpus of rated replies holds such texts, because no model that was released writes them; a
policy in training finds them. `labelled` gives them ratings by the definitions of the six
dimensions, to be mixed into the fit. `probes` makes other ones to test the result.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import NamedTuple

from rewards.graders.corpus import CorpusReply
from rewards.text import split_sentences
from rewards.types import DIMENSIONS, aggregate_empathy

# validating, elaboration, understanding, advice, self-oriented, dismissing: each 1 to 5.
_RATINGS = {
    "copied_seeker": (1.0, 1.0, 2.0, 1.0, 3.0, 3.0),
    "word_salad": (1.0, 1.0, 1.0, 1.0, 1.0, 3.0),
    "ten_questions": (1.0, 4.0, 1.0, 1.0, 1.0, 2.0),
}
_STOCK = (
    "You're not alone in this.",
    "I hear you.",
    "I'm here for you.",
    "That must be so hard.",
    "Your feelings are valid.",
    "Would you like to share more?",
)
_KEYWORDS = (
    "validation empathy understand feelings valid support listen questions strength courage hear "
    "brave safe care share together hope gentle heart space honor journey alone okay"
)


class Degenerate(NamedTuple):
    """A reply nobody should write."""

    kind: str
    sentences: tuple[str, ...]
    seeker_turn: str


class Labelled(NamedTuple):
    """A degenerate reply with ratings in the order of `judge_embedded.OUTPUTS`."""

    reply: Degenerate
    ratings: tuple[float, ...]


def labelled(replies: Sequence[CorpusReply], number: int, seed: int) -> list[Labelled]:
    """`number` degenerate replies of each kind with ratings; deterministic in its arguments."""
    rng = random.Random(seed)
    questions = _questions(replies)
    made = []
    for reply in _sample(rng, replies, number):
        made.append(_copy(reply))
        words = reply.text.split()
        rng.shuffle(words)
        made.append(_salad(words, reply.seeker_turn))
        if questions:
            made.append(_interrogation(rng, questions, reply.seeker_turn))
    return [Labelled(item, _with_aggregate(_RATINGS[item.kind])) for item in made]


def probes(replies: Sequence[CorpusReply], number: int, seed: int) -> list[Degenerate]:
    """`number` degenerate replies of each kind for a test, on the seeker turns of `replies`."""
    rng = random.Random(seed)
    questions = _questions(replies)
    made = []
    for reply in _sample(rng, replies, number):
        made.append(_copy(reply))
        stock = rng.choice(_STOCK)
        made.append(Degenerate("repeated_sentence", (stock,) * 10, reply.seeker_turn))
        made.append(_salad(rng.choices(_KEYWORDS.split(), k=60), reply.seeker_turn))
        if questions:
            made.append(_interrogation(rng, questions, reply.seeker_turn))
    return made


def _sample(rng: random.Random, replies: Sequence[CorpusReply], number: int) -> list[CorpusReply]:
    usable = [reply for reply in replies if split_sentences(reply.seeker_turn)]
    return rng.sample(usable, min(number, len(usable)))


def _questions(replies: Sequence[CorpusReply]) -> list[str]:
    return sorted({s for reply in replies for s in reply.sentences if s.endswith("?")})


def _copy(reply: CorpusReply) -> Degenerate:
    sentences = tuple(split_sentences(reply.seeker_turn))
    return Degenerate("copied_seeker", sentences, reply.seeker_turn)


def _salad(words: list[str], seeker_turn: str) -> Degenerate:
    lines = [" ".join(words[i : i + 10]) for i in range(0, len(words), 10)]
    return Degenerate("word_salad", tuple(lines), seeker_turn)


def _interrogation(rng: random.Random, questions: list[str], seeker_turn: str) -> Degenerate:
    chosen = rng.sample(questions, min(10, len(questions)))
    return Degenerate("ten_questions", tuple(chosen), seeker_turn)


def _with_aggregate(dimensions: tuple[float, ...]) -> tuple[float, ...]:
    named = dict(zip(DIMENSIONS, dimensions, strict=True))
    return (*dimensions, aggregate_empathy(named))
