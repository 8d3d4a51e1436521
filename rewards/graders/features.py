"""What the embedded graders look at: sentence vectors and a few surface cues.

Both feature sets are functions of single-sentence vectors and of the text, so one encoder pass
over the sentences of a reply serves tagger and judge. (Vectors of the whole reply cost five times
as much to compute and added less than 0.015 of rank correlation to the judge.)

Repeated sentences count once for the judge: saying a thing ten times is not saying ten things.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

SENTENCE_FEATURES = "sentence-1"
REPLY_FEATURES = "reply-1"
"""Versions; raise them with every change here, because fitted weights depend on it."""

# Entries of a unit vector are tiny; this brings them to the size of the surface cues, so that one
# regularisation strength suits both.
_VECTOR_SCALE = 8.0
# Products of two cues let the judge see, for example, that questions help up to a point.
_PRODUCT_SCALE = 3.0
_WORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)*")
_EMOJI = re.compile("[\U0001f300-\U0001faff\u2600-\u27bf\u2764]")
_CLOSERS = "\"'\u201d\u2019)]*_ "

# Groups of words that separate tactics or attitudes in the fitted data; each is one feature.
_CUES: tuple[frozenset[str], ...] = tuple(
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


def sentence_features(
    vectors_SD: NDArray[np.float32], sentences: Sequence[str]
) -> NDArray[np.float32]:
    """float32 [S, D + cues]: input of the tactic heads, one row a sentence, free of context."""
    cues = np.array([_sentence_cues(sentence) for sentence in sentences], np.float32)
    return np.hstack([vectors_SD * _VECTOR_SCALE, cues]).astype(np.float32)


def reply_features(
    vectors_SD: NDArray[np.float32], sentences: Sequence[str], seeker_D: NDArray[np.float32]
) -> NDArray[np.float32]:
    """float32 [2 D + cues + products of cues]: input of the rating heads for one reply.

    Mean and maximum over the distinct sentence vectors, pooled cues, and how close the reply is to
    the seeker's last message (`seeker_D`, a unit vector, or zeros when there is none).
    """
    kept = list({_canonical(text): i for i, text in reversed(list(enumerate(sentences)))}.values())
    kept.sort()
    vectors = vectors_SD[kept]
    texts = [sentences[i] for i in kept]
    mean = vectors.mean(axis=0)
    closeness = vectors @ seeker_D
    cues = [
        *np.mean([_sentence_cues(text) for text in texts], axis=0),
        *_reply_cues(texts),
        float(closeness.mean()),
        float(closeness.max()),
        # 1 for a copy of the seeker's words, about 0 for an ordinary reply.
        max(0.0, float(closeness.max()) - 0.8) * 5.0,
    ]
    pooled = np.concatenate([mean, vectors.max(axis=0)]) * _VECTOR_SCALE
    surface = np.array(cues, np.float32)
    rows, columns = np.triu_indices(len(cues))
    products = surface[rows] * surface[columns] * np.float32(_PRODUCT_SCALE)
    return np.concatenate([pooled, surface, products])


def _sentence_cues(sentence: str) -> list[float]:
    words = _words(sentence)
    return [
        float("?" in sentence),
        float(sentence.rstrip(_CLOSERS).endswith("?")),
        float("!" in sentence),
        float(_EMOJI.search(sentence) is not None),
        float(not words),
        min(len(words), 40) / 20,
        *(float(not cue.isdisjoint(words)) for cue in _CUES),
    ]


def _reply_cues(texts: Sequence[str]) -> list[float]:
    """Length, questions and variety of a whole reply; capped, so that more of it stops paying."""
    words = [word for text in texts for word in _words(text)]
    num_words, num_sentences = max(len(words), 1), len(texts)
    questions = sum("?" in text for text in texts)
    return [
        math.log1p(min(num_words, 250)) / 2,
        math.log1p(min(num_sentences, 25)),
        math.log1p(min(questions, 4)),
        float(questions > 0),
        questions / num_sentences,
        max(0.0, questions - 4.0) / num_sentences,
        float(texts[-1].rstrip(_CLOSERS).endswith("?")),
        float(num_words < 6),
        float(num_words < 15),
        len(set(words)) / num_words,
        min(num_words / num_sentences, 40.0) / 20,
    ]


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower().replace("\u2019", "'"))


def _canonical(text: str) -> str:
    return " ".join(_words(text)) or text
