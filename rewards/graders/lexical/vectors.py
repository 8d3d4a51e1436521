"""Texts as weighted counts of words, in buckets that no vocabulary file has to be kept for.

Suffixes: _D buckets, _L latent dimensions, _N texts.
"""

from __future__ import annotations

import re
import zlib
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

WORD_BUCKETS, PHRASE_BUCKETS = 4096, 8192
_WORD = re.compile(r"[a-z]+(?:'[a-z]+)?|\d+|[?!]+")


def words(text: str) -> list[str]:
    """Words in lower case, numbers, and runs of question and exclamation marks.

    >>> words("Isn't it? It IS.")
    ["isn't", 'it', '?', 'it', 'is']
    """
    return _WORD.findall(text.replace("’", "'").lower())


def stems(text: str) -> list[str]:
    """Words without marks, cut to six letters, so that forms of a word fall together."""
    return [word[:6] for word in words(text) if word[0].isalnum()]


def phrases(text: str) -> list[str]:
    """Words and pairs of neighbouring words."""
    found = words(text)
    return found + [f"{a} {b}" for a, b in pairwise(found)]


def counts(lists: Iterable[Sequence[str]], buckets: int) -> Floats:
    """float32 [N, D]: 1 + ln(count) of the terms that fall into each bucket, 0 without one."""
    rows = []
    for terms in lists:
        row = np.zeros(buckets, np.float32)
        for term, number in Counter(terms).items():
            row[zlib.crc32(term.encode()) % buckets] += number
        rows.append(row)
    table = np.array(rows, np.float32).reshape(-1, buckets)
    return np.where(table > 0, 1 + np.log(np.maximum(table, 1)), 0).astype(np.float32)


def inverse_frequency(table_ND: Floats) -> Floats:
    """float32 [D]: ln((1 + texts) / (1 + texts with the bucket)) + 1."""
    used = (table_ND > 0).sum(axis=0)
    found: Floats = (np.log((1 + len(table_ND)) / (1 + used)) + 1).astype(np.float32)
    return found


def unit(table: Floats) -> Floats:
    """Rows scaled to length 1; a row of zeros stays."""
    found: Floats = table / np.maximum(np.linalg.norm(table, axis=1, keepdims=True), 1e-9)
    return found


def pair_features(
    contexts_ND: Floats, replies_ND: Floats, weights_D: Floats, latent_DL: Floats
) -> Floats:
    """float32 [N, 5 + L]: how a reply goes with its context, both given as counts of stems.

    Cosines of weighted and of latent vectors, shares of the reply's and of the context's weight
    that the other has too, log length of the reply, and the products of the latent vectors.
    """
    context, reply = unit(contexts_ND * weights_D), unit(replies_ND * weights_D)
    far, near = unit(context @ latent_DL), unit(reply @ latent_DL)
    shared = (contexts_ND > 0) & (replies_ND > 0)
    mass = [(shared * weights_D).sum(axis=1)] * 2
    whole = [((table > 0) * weights_D).sum(axis=1) for table in (replies_ND, contexts_ND)]
    shares = [part / np.maximum(all_, 1e-9) for part, all_ in zip(mass, whole, strict=True)]
    columns = [
        (context * reply).sum(axis=1),
        (far * near).sum(axis=1),
        *shares,
        np.log1p(replies_ND.sum(axis=1)),
    ]
    return np.column_stack([*columns, far * near * np.sqrt(latent_DL.shape[1])]).astype(np.float32)
