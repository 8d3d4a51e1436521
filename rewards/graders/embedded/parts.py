"""Relevance, coherence and harm of replies: chances from one file of fitted arrays.

Arrays of the file (d = encoder dimension; every model standardises what it is given):

    word_keys, word_counts, word_total, word_size    see `language.WordTable`
    seeker_map  f2 [d, 3 d]   } vectors of seeker and reply in one space, whose cosine says
    reply_map   f2 [d, 4 d]   } how near they are
    relevance   f4 [15 + 4 d + 2]  weights of the features, of that cosine, and a constant
    hostility   f4 [d + 1]    sentence vector -> log odds that it is hostile
    harm        f4 [4 + 2 d + 1]
    coherence   f4 [12 + 1]
    encoder_name, encoder_dim
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rewards.errors import ConfigError
from rewards.graders.embedded.arrays import Arrays, content_hash, read_arrays, require_finite
from rewards.graders.embedded.insults import is_insult
from rewards.graders.embedded.language import WordTable, language_features
from rewards.graders.embedded.relevance import (
    Floats,
    Spoken,
    nearness,
    relevance_features,
    reply_vectors,
    seeker_vectors,
    unit,
)
from rewards.protocols import EncodedReply, Encoder, SplitReply
from rewards.text import split_sentences

SHIPPED = "parts.npz"
_WORDS = ("word_keys", "word_counts", "word_total", "word_size")
_MAPS = ("seeker_map", "reply_map", "relevance", "hostility", "harm", "coherence")
INSULT = 0.99
"""Chance of harm of a reply that insults in so many words."""


class Parts:
    """Says of replies whether they belong, are language, and do harm."""

    def __init__(self, plain: Encoder, arrays: Arrays) -> None:
        """`plain` is the encoder without the graders' adapter."""
        self._plain, self.arrays = plain, arrays
        self.table = WordTable(
            arrays["word_keys"],
            arrays["word_counts"],
            int(arrays["word_total"]),
            int(arrays["word_size"]),
        )
        # Stored in half precision; made float32 once, not for every reply.
        self._maps = (
            arrays["seeker_map"].astype(np.float32),
            arrays["reply_map"].astype(np.float32),
        )
        self.revision = content_hash(arrays)

    def chances(
        self, replies: Sequence[SplitReply], turns: Sequence[Sequence[str]]
    ) -> list[dict[str, float]]:
        """Part -> chance in [0, 1] of each reply; no relevance where the seeker said nothing.

        `turns` holds the seeker's turns before each reply, oldest first.
        """
        bare = [reply._replace(seeker_turn="") for reply in replies]
        encoded = self._plain.encode(bare)
        said = [[turn for turn in own if turn.strip()] for own in turns]
        sides = read_seekers(self._plain, said)
        found = []
        for reply, vectors, own, side in zip(bare, encoded, said, sides, strict=True):
            chances = {"coherence": self.coherence(reply.sentences)}
            if side is not None:
                x = self.relevance_input(side, vectors, Spoken.of(own), reply.sentences)
                chances = {"relevance": chance(self.arrays["relevance"], x), **chances}
            found.append({**chances, "harm": self.harm(reply.sentences, vectors)})
        return found

    def relevance_input(
        self, seeker: Floats, reply: EncodedReply, spoken: Spoken, sentences: Sequence[str]
    ) -> Floats:
        """Features and the cosine of the mapped vectors, float32 [15 + 4 d + 1]."""
        own = reply_vectors(reply)
        x = relevance_features(seeker, own, reply.sentences_SD, spoken, sentences, self.table)
        return np.append(x, np.float32(nearness(*self._maps, seeker, own)))

    def coherence(self, sentences: Sequence[str]) -> float:
        """Chance that the reply is language that a person would write."""
        return chance(self.arrays["coherence"], language_features(self.table, sentences))

    def harm(self, sentences: Sequence[str], vectors: EncodedReply) -> float:
        """Chance that the reply is hostile, demeaning or encourages harm."""
        if any(is_insult(sentence) for sentence in sentences):
            return INSULT
        return chance(self.arrays["harm"], harm_features(self.arrays["hostility"], vectors))


def read_seekers(plain: Encoder, said: Sequence[Sequence[str]]) -> list[Floats | None]:
    """Vectors of what was said, without blank turns; None where nothing was."""
    spoken = [Spoken.of(turns) if turns else None for turns in said]
    texts = list(dict.fromkeys(text for s in spoken if s is not None for text in s))
    if not texts:
        return [None] * len(said)
    asked = [SplitReply("", tuple(split_sentences(text)) or (text,)) for text in texts]
    known = dict(zip(texts, plain.encode(asked), strict=True))
    return [None if s is None else seeker_vectors(*(known[text] for text in s)) for s in spoken]


def harm_features(hostility: Floats, vectors: EncodedReply) -> Floats:
    """float32 [4 + 2 d]: hostility of the worst, mean, first and last sentence; vectors."""
    s = unit(vectors.sentences_SD)
    odds = s @ hostility[:-1] + hostility[-1]
    mean = unit(vectors.pooled[: s.shape[1]])
    scores = [odds.max(), odds.mean(), odds[0], odds[-1]]
    return np.concatenate([scores, 15 * mean, 15 * unit(s.max(axis=0))]).astype(np.float32)


def load_parts(path: str | None, plain: Encoder) -> Parts:
    """Parts from `path`, or the shipped ones. Raises ConfigError for an unusable file."""
    arrays, where = read_arrays(path, SHIPPED, "judge parts")
    missing = [n for n in (*_WORDS, *_MAPS, "encoder_name", "encoder_dim") if n not in arrays]
    if missing:
        raise ConfigError(f"{where} lack {', '.join(missing)}")
    name, dim = str(arrays["encoder_name"]), int(arrays["encoder_dim"])
    if (name, dim) != (plain.identity.name, plain.dim):
        raise ConfigError(
            f"{where} were fitted for encoder {name}, but {plain.identity.name} is in use; choose "
            "matching parts, fit them with python -m rewards.fit, or rate manner alone with "
            "mint.judge.parts=none"
        )
    require_finite(where, *(arrays[name] for name in _MAPS))
    return Parts(plain, arrays)


def chance(weights: NDArray[Any], x: Floats) -> float:
    """Of a logistic model with the constant last among its weights."""
    odds = float(x.astype(np.float64) @ weights[:-1].astype(np.float64)) + float(weights[-1])
    return float(1.0 / (1.0 + np.exp(-np.clip(odds, -30, 30))))
