"""Fits what the judge says beside manner: relevance, coherence, harm. See `embedded.parts`.

Relevance learns from replies in their own and in foreign conversations (as many as `FOREIGN` for
each), in two ways whose sum counts: a logistic model of compared vectors and words, and a linear
map of both sides into one space (InfoNCE, arXiv 1807.03748). Coherence learns from replies and
their corruptions, harm from authored pairs and from hostile comments.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from torch.nn import functional

from rewards.fitting.corrupt import corrupted
from rewards.fitting.talks import Talk
from rewards.graders.embedded.language import WordTable, language_features
from rewards.graders.embedded.parts import harm_features, read_seekers
from rewards.graders.embedded.relevance import Spoken, relevance_features, reply_vectors, unit
from rewards.protocols import EncodedReply, Encoder, SplitReply

Floats = NDArray[np.float32]
FOREIGN = 3
HARM_KINDS = ("polite_cruelty", "open_insult", "harm_in_empathy", "dismissal")
GENERIC_KINDS = ("stock_gush", "stuffing")
_HOSTILE = frozenset({"anger", "annoyance", "disgust", "disapproval"})
_FRIENDLY = frozenset(
    {
        *("caring", "admiration", "gratitude", "optimism", "approval"),
        *("love", "sadness", "neutral", "curiosity", "joy"),
    }
)
COMMENTS = (5000, 7000)
"""Hostile and friendly comments of people that hostility is learnt from."""


class Read(NamedTuple):
    """A reply with its vectors."""

    talk: Talk
    spoken: Spoken
    encoded: EncodedReply
    seeker: Floats
    reply: Floats


class Shapes(NamedTuple):
    """What the fit of relevance is like."""

    strength: float = 0.0007
    """C of the logistic model, on standardised features."""
    epochs: int = 20
    steps: int = 20
    """Batches an epoch, a reply of each of `batch` conversations."""
    batch: int = 192
    stay: float = 1e-3
    """Weight of the squared distance from the map that only averages."""
    map_weight: float = 4.5
    """Weight of the maps' cosine beside the logistic model's log odds."""


def read_all(plain: Encoder, talks: Sequence[Talk]) -> list[Read]:
    """Each reply with its vectors and its seeker's."""
    encoded = plain.encode([SplitReply("", talk.sentences) for talk in talks])
    said = [[turn for turn in talk.turns if turn.strip()] for talk in talks]
    sides = read_seekers(plain, said)
    return [
        Read(talk, Spoken.of(turns), vectors, side, reply_vectors(vectors))
        for talk, turns, vectors, side in zip(talks, said, encoded, sides, strict=True)
        if side is not None
    ]


def fit_maps(reads: Sequence[Read], seed: int, shapes: Shapes) -> tuple[Floats, Floats]:
    """seeker_map [d, 3 d] and reply_map [d, 4 d] by InfoNCE over a batch of conversations."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    c = torch.from_numpy(np.stack([r.seeker.ravel() for r in reads]))
    s = torch.from_numpy(np.stack([r.reply.ravel() for r in reads]))
    start = [_average(w, c.shape[1] // 3) for w in ((0.3, 1.0, 0.3), (1.0, 0.2, 0.1, 0.1))]
    maps = [torch.nn.Parameter(value.clone()) for value in start]
    sharp = torch.nn.Parameter(torch.tensor(float(np.log(1 / 0.07))))
    optimizer = torch.optim.Adam([*maps, sharp], lr=1e-3)
    members = defaultdict(list)
    for place, read in enumerate(reads):
        members[read.talk.conversation_id].append(place)
    groups = list(members.values())
    for _ in range(shapes.epochs * shapes.steps):
        drawn = rng.choice(len(groups), min(shapes.batch, len(groups)), replace=False)
        rows = [groups[g][rng.integers(len(groups[g]))] for g in drawn]
        a, b = (
            functional.normalize(functional.dropout(x[rows], 0.2) @ m.T, dim=1)
            for x, m in zip((c, s), maps, strict=True)
        )
        near = a @ b.T * sharp.exp()
        own = torch.arange(len(rows))
        loss = (functional.cross_entropy(near, own) + functional.cross_entropy(near.T, own)) / 2
        for now, before in zip(maps, start, strict=True):
            loss = loss + shapes.stay * ((now - before) ** 2).sum()
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    first, second = (m.detach().numpy().astype(np.float16) for m in maps)
    return first, second


def fit_relevance(
    reads: Sequence[Read], generic: Sequence[Read], table: WordTable, seed: int, shapes: Shapes
) -> Floats:
    """Weights [features + 1] of the logistic model; `generic` replies belong nowhere."""
    rng = random.Random(seed)
    x, y, weight = [], [], []
    for read in reads:
        x.append(features(read, read, table))
        y.append(1)
        weight.append(float(FOREIGN))
        for _ in range(FOREIGN):
            x.append(features(stranger(read, reads, rng), read, table))
            y.append(0)
            weight.append(1.0)
    for read in generic:
        x.append(features(read, read, table))
        y.append(0)
        weight.append(float(FOREIGN))
    return logistic(np.stack(x), np.array(y), np.array(weight), shapes.strength)


def features(seeker: Read, reply: Read, table: WordTable) -> Floats:
    """`relevance_features` of one's reply after the other's seeker."""
    return relevance_features(
        seeker.seeker,
        reply.reply,
        reply.encoded.sentences_SD,
        seeker.spoken,
        reply.talk.sentences,
        table,
    )


def stranger(read: Read, pool: Sequence[Read], rng: random.Random) -> Read:
    """One of another conversation."""
    while True:
        other = rng.choice(pool)
        if other.talk.conversation_id != read.talk.conversation_id:
            return other


def fit_coherence(
    talks: Sequence[Talk], table: WordTable, vocabulary: Sequence[str], seed: int
) -> Floats:
    """Weights [12 + 1]; replies, whole and in part, against their corruptions."""
    rng = random.Random(seed)
    x, y = [], []
    for talk in talks:
        for sentences in (talk.sentences, talk.sentences[:2]):
            x.append(language_features(table, sentences))
            y.append(1)
        for broken in corrupted(talk.sentences, vocabulary, rng):
            x.append(language_features(table, broken))
            y.append(0)
    return logistic(np.stack(x), np.array(y), np.ones(len(y)), 1.0)


def fit_hostility(plain: Encoder, comments: Sequence[Any], seed: int) -> Floats:
    """Weights [d + 1] of a sentence's unit vector."""
    rng = random.Random(seed)
    hostile = [t for t, e in comments if e & _HOSTILE and not e & _FRIENDLY]
    friendly = [t for t, e in comments if e & _FRIENDLY and not e & _HOSTILE]
    chosen = [
        rng.sample(g, min(n, len(g))) for g, n in zip((hostile, friendly), COMMENTS, strict=True)
    ]
    texts = [text for group in chosen for text in group]
    encoded = plain.encode([SplitReply("", (text,)) for text in texts])
    x = unit(np.stack([e.sentences_SD[0] for e in encoded]))
    y = np.array([1] * len(chosen[0]) + [0] * len(chosen[1]))
    return logistic(x, y, np.ones(len(y)), 0.003)


def fit_harm(
    hostility: Floats, good: Sequence[Read], bad: Sequence[Read], others: Sequence[Read]
) -> Floats:
    """Weights [4 + 2 d + 1]; harmful authored replies against decent, dull and released ones."""
    harmful = [r for r in bad if r.talk.kind in HARM_KINDS]
    dull = [
        r
        for r in bad
        if r.talk.kind
        in (
            "stock_gush",
            "stuffing",
            "formatted",
            "lecture",
            "parroting",
            "wrong_conversation_near",
        )
    ]
    groups = ((harmful, 1, 1.0), (good, 0, 1.0), (dull, 0, 0.5), (others, 0, 0.5))
    x, y, weight = [], [], []
    for reads, label, share in groups:
        for read in reads:
            x.append(harm_features(hostility, read.encoded))
            y.append(label)
            weight.append(share * len(harmful) / len(reads))
    return logistic(np.stack(x), np.array(y), np.array(weight), 0.002)


def logistic(x: Floats, y: NDArray[Any], weight: NDArray[Any], strength: float) -> Floats:
    """Weights [features + 1] of a logistic model on standardised features, constant last."""
    mean, scale = x.mean(axis=0), x.std(axis=0) + 1e-6
    model = LogisticRegression(C=strength, max_iter=500)
    model.fit((x - mean) / scale, y, sample_weight=weight)
    coef = model.coef_[0] / scale
    return np.append(coef, model.intercept_[0] - coef @ mean).astype(np.float32)


def _average(weights: Sequence[float], dim: int) -> torch.Tensor:
    eye = torch.eye(dim)
    return torch.cat([eye * w for w in weights], 1) / sum(weights)
