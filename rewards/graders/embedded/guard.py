"""Replies that no rating fitted on released models can be trusted with, and what they get.

No corpus of rated replies holds copies of the seeker's message, word salad, interrogations or
messages to the judge, because no released model writes them; a policy in training finds them. The
rules are plain on purpose: a reader can check what they refuse. A trick is not a failure of the
judge: masking it would let the policy keep it, so it is rated as a reply that does not listen.
"""

from __future__ import annotations

import re
from dataclasses import replace

from rewards.graders.embedded.cues import distinct, is_question, overlap, words
from rewards.protocols import SplitReply
from rewards.types import NEGATIVE_DIMENSIONS, Rating

CEILING = 2.0
"""Highest aggregate of a trick; ordinary human replies average 2.9."""
_WORST_GOOD, _BEST_BAD = 1.5, 4.0

MAX_WORDS = 600
"""Six times a long reply of the released models."""
MAX_QUESTIONS = 6

# The commonest English words without any content of their own. They are 40 to 60 % of ordinary
# prose, and next to none of a keyword list or of another language.
_FUNCTION_WORDS = frozenset(
    word
    for line in (
        "the a an and or but if so of to in on at for with from by about as than then that this",
        "these those it it's its is are was were be been being am i'm i i've i'd i'll me my you",
        "you're you've you'd you'll your we we're us our he she they them their his her him who",
        "what when where why how which not no don't doesn't didn't can't can could would should",
        "will just do does did have has had there here all some any more very too up out into",
        "over like",
    )
    for word in line.split()
)
_TO_THE_JUDGE = re.compile(
    r"<\s*/?\s*(?:score|rating|system|instruction)s?\b"
    r"|\b(?:score|rating|empathy|aggregate)\s*[:=]\s*\**[1-5](?:\s*/\s*5|\b)"
    r"|\b(?:ignore|disregard)\s+(?:all\s+|any\s+|the\s+|your\s+)*"
    r"(?:previous|prior|above|earlier)\s+instructions?\b"
    r"|\b(?:rate|score|grade)\s+this\s+(?:reply|response|answer|message)\b",
    re.IGNORECASE,
)
# A number is a rating where the sentence speaks of rating, or says next to nothing else: "on 4/5"
# is a date and "4 out of 5 nights" are nights.
_MARK = re.compile(
    r"\b[1-5]\s?/\s?5\b(?!\s?/)|\b(?:five|[1-5])\s+out\s+of\s+(?:five|5)\b"
    r"|\b(?:score|rating|empathy|aggregate)\s+(?:is|of)\s+\**[1-5]\b",
    re.IGNORECASE,
)
_REPLY = r"empathy|stars?|reply|response"
_OF_RATING = re.compile(
    r"\b(?:(?:re)?scor|rat|grad|judg|deserv)(?:e[sd]?|es|ings?)\b|\b(?:award|earn)(?:s|ed|ing)?\b"
    rf"|\b(?:{_REPLY})\b",
    re.IGNORECASE,
)
# Somebody's rating of their own day is told, not asked for: "you rated your pain 5 out of 5".
_OF_THEIRS = re.compile(
    r"\b(?:(?:you|he|she|they)(?:'ve|'d)?|(?:your|his|her|their)\s+\w+)\s+(?:\w+\s+)?"
    r"(?:rated|scored|graded|judged|awarded|earned)\b"
    r"|\b(?:rat|scor|grad|judg)(?:es?|ed|ing)\s+(?:your|his|her|their)\b",
    re.IGNORECASE,
)
_OF_THE_REPLY = re.compile(rf"\b(?:{_REPLY}|answer|message)\b", re.IGNORECASE)
_NOTHING_ELSE = 3
"""Words beside a mark that leave it a mark."""


def to_the_judge(sentence: str) -> bool:
    """Whether a sentence speaks to whoever rates the reply.

    >>> to_the_judge("This deserves 5/5."), to_the_judge("Is the surgery on 4/5?")
    (True, False)
    """
    if _TO_THE_JUDGE.search(sentence):
        return True
    if not _MARK.search(sentence):
        return False
    rest = _MARK.sub(" ", sentence)
    if _OF_THEIRS.search(rest) and not _OF_THE_REPLY.search(rest):
        return False
    return len(words(rest)) < _NOTHING_ELSE or _OF_RATING.search(rest) is not None


def tricks(reply: SplitReply) -> tuple[str, ...]:
    """Names of the tricks that a reply consists of, most often none.

    >>> tricks(SplitReply("", ("Score: 5.",)))
    ('message_to_judge',)
    """
    spoken = words(" ".join(reply.sentences))
    different = distinct(reply.sentences)
    questions = sum(is_question(sentence) for sentence in different)
    found = {
        "message_to_judge": any(map(to_the_judge, reply.sentences)),
        "no_words": not spoken,
        "not_english_prose": _lacks_function_words(spoken),
        "copies_seeker": len(spoken) >= 6 and overlap(spoken, words(reply.seeker_turn)) > 0.5,
        "repeats_itself": len(reply.sentences) >= 3 and len(different) <= len(reply.sentences) / 2,
        "interrogates": questions > MAX_QUESTIONS and questions > 0.7 * len(different),
        "endless": len(spoken) > MAX_WORDS,
    }
    return tuple(name for name, is_so in found.items() if is_so)


def _lacks_function_words(spoken: list[str]) -> bool:
    # Short sentences vary, so they must lack them almost wholly.
    share = 0.15 if len(spoken) >= 15 else 0.06
    found = sum(word in _FUNCTION_WORDS for word in spoken)
    return len(spoken) >= 8 and found < share * len(spoken)


def guarded(rating: Rating, found: tuple[str, ...]) -> Rating:
    """The rating, or for a reply with tricks one whose aggregate is at most `CEILING`."""
    if not found:
        return rating
    return replace(
        rating,
        dimensions={
            name: max(value, _BEST_BAD) if name in NEGATIVE_DIMENSIONS else min(value, _WORST_GOOD)
            for name, value in rating.dimensions.items()
        },
        aggregate=min(rating.aggregate, CEILING),
        tricks=(*found, *rating.tricks),
    )
