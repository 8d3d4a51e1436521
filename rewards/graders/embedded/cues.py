"""Surface cues of a reply that the judge sees beside the encoder's vectors.

They are capped, so that more words or more questions stop paying, and identical sentences count
once: saying a thing ten times is not saying ten things.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence

from rewards.protocols import SplitReply

_WORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)*")
_EMOJI = re.compile("[\U0001f300-\U0001faff\u2600-\u27bf\u2764]")
_CLOSERS = "\"'\u201d\u2019)]*_ "

# Groups of words that separate attitudes in the fitted data; each is one cue.
_GROUPS: tuple[frozenset[str], ...] = tuple(
    frozenset(words.split())
    for words in (
        "i i'm i've i'd i'll",
        "my me mine myself",
        "you you're you've you'd you'll your yours yourself",
        "we we're let's us our together",
        "if could might try consider maybe perhaps start should",
        "would",
        "sounds seems hear see sense understand imagine",
        "sorry hope glad happy sad proud love heartbreaking",
        "okay normal valid understandable alone natural reasonable",
        "what how why when where who which",
        "strong strength brave courage capable resilient resilience worth deserve",
        "here help support listen reach",
        "because research studies often people many",
        "instead rather opportunity perspective growth chance",
        "but just worry fine least overreacting better",
    )
)


def words(text: str) -> list[str]:
    """Lower-case words of any script; numbers and punctuation are left out."""
    return _WORD.findall(text.lower().replace("\u2019", "'"))


def is_question(sentence: str) -> bool:
    """Whether a sentence ends with a question mark, closing quotes and marks aside."""
    return sentence.rstrip(_CLOSERS).endswith("?")


def distinct(sentences: Iterable[str]) -> list[str]:
    """The sentences but for case and punctuation, each once, in the order they were said last."""
    return list(
        {" ".join(words(text)) or text: text for text in reversed(list(sentences))}.values()
    )[::-1]


def overlap(reply: Sequence[str], source: Sequence[str], n: int = 3) -> float:
    """Share of the reply's word n-grams that occur in the source, in [0, 1]; 0 if it has none."""
    grams = [tuple(reply[i : i + n]) for i in range(len(reply) - n + 1)]
    known = {tuple(source[i : i + n]) for i in range(len(source) - n + 1)}
    return sum(gram in known for gram in grams) / len(grams) if grams else 0.0


def reply_cues(reply: SplitReply) -> list[float]:
    """About thirty numbers, each of order 1: word groups, marks, length, questions, copying."""
    sentences = distinct(reply.sentences)
    rows = [_sentence_cues(sentence) for sentence in sentences]
    shares = [sum(column) / len(rows) for column in zip(*rows, strict=True)]
    spoken = [words(sentence) for sentence in sentences]
    flat = [word for sentence in spoken for word in sentence]
    num_words, num_sentences = max(len(flat), 1), len(sentences)
    questions = sum(is_question(sentence) for sentence in sentences)
    return [
        *shares,
        math.log1p(min(num_words, 250)) / 2,
        math.log1p(min(num_sentences, 25)),
        math.log1p(min(questions, 4)),
        float(questions > 0),
        questions / num_sentences,
        max(0.0, questions - 4.0) / num_sentences,
        float(is_question(sentences[-1])),
        float(num_words < 6),
        float(num_words < 15),
        len(set(flat)) / num_words,
        min(num_words / num_sentences, 40.0) / 20,
        num_sentences / len(reply.sentences),
        overlap(flat, words(reply.seeker_turn)),
    ]


def _sentence_cues(sentence: str) -> list[float]:
    spoken = words(sentence)
    return [
        float("!" in sentence),
        float(_EMOJI.search(sentence) is not None),
        float(not spoken),
        min(len(spoken), 40) / 20,
        *(float(not group.isdisjoint(spoken)) for group in _GROUPS),
    ]
