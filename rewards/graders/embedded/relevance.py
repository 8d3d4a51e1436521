"""Whether a reply belongs to its conversation: vectors and words of both, compared.

The plain encoder (without the graders' adapter, which learnt manner) gives vectors of the reply
and of what the seeker said: last, in the last two turns, and first.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rewards.graders.embedded.cues import words
from rewards.graders.embedded.language import WordTable
from rewards.protocols import EncodedReply

Floats = NDArray[np.float32]
NUM_CUES = 15
# Unit vectors have entries near 0.05: brought to order 1.
_PRODUCT, _ENTRY = 20.0, 4.0


class Spoken(NamedTuple):
    """What the seeker has said, as far as it is compared."""

    last: str
    last_two: str
    first: str

    @classmethod
    def of(cls, turns: Sequence[str]) -> Spoken:
        """Of the seeker's turns, oldest first, at least one of them with text."""
        return cls(turns[-1], " ".join(turns[-2:]), turns[0])


def seeker_vectors(last: EncodedReply, last_two: EncodedReply, first: EncodedReply) -> Floats:
    """Unit vectors [3, dim] of the last turn, the last two, the first."""
    return unit(np.stack([_mean(e) for e in (last, last_two, first)]))


def reply_vectors(reply: EncodedReply) -> Floats:
    """Unit vectors [4, dim]: mean, maximum over sentences, first and last sentence."""
    s = unit(reply.sentences_SD)
    return unit(np.stack([_mean(reply), s.max(axis=0), s[0], s[-1]]))


def nearness(seeker_map: Floats, reply_map: Floats, seeker: Floats, reply: Floats) -> float:
    """Cosine in [-1, 1] of both sides, mapped into one space; float32 [d, 3 d] and [d, 4 d]."""
    return float(unit(seeker_map @ seeker.ravel()) @ unit(reply_map @ reply.ravel()))


def relevance_features(
    seeker: Floats,
    reply: Floats,
    sentences_SD: Floats,
    spoken: Spoken,
    sentences: Sequence[str],
    table: WordTable,
) -> Floats:
    """float32 [NUM_CUES + 4 dim]: cosines and shared words, then products and the two vectors."""
    last, two, first = seeker
    mean = reply[0]
    s = unit(sentences_SD)
    cosines = [
        *(mean @ v for v in (last, two, first)),
        *((s @ v).max() for v in (last, two, first)),
        (s @ two).mean(),
        (s @ two).min(),
        last @ first,
    ]
    cues = np.array([*cosines, *_shared(spoken, sentences, table)], np.float32)
    products = [_PRODUCT * mean * two, _PRODUCT * mean * last, _ENTRY * mean, _ENTRY * two]
    features: Floats = np.concatenate([cues, *products]).astype(np.float32)
    return features


def unit(x: Floats) -> Floats:
    """Rows of length 1; a row of zeros stays."""
    result: Floats = x / (np.linalg.norm(x, axis=-1, keepdims=True) + 1e-9)
    return result


def _mean(encoded: EncodedReply) -> Floats:
    mean: Floats = encoded.pooled[: encoded.sentences_SD.shape[1]]
    return mean


def _shared(spoken: Spoken, sentences: Sequence[str], table: WordTable) -> list[float]:
    """Rare words that reply and seeker share, as a share and in all; lengths."""
    ours = set(words(" ".join(sentences)))
    recent, ever = set(words(spoken.last_two)), set(words(f"{spoken.first} {spoken.last_two}"))
    rarity = table.rarity(sorted(ours))
    all_of_it = sum(rarity.values()) + 1e-6
    in_recent = sum(rarity[word] for word in sorted(ours & recent))
    in_any = sum(rarity[word] for word in sorted(ours & ever))
    return [
        in_recent / all_of_it,
        float(np.log1p(in_recent)),
        in_any / all_of_it,
        float(np.log1p(in_any)),
        float(np.log1p(len(ours))),
        float(np.log1p(len(recent))),
    ]
