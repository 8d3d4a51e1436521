"""Held-out predictions: every released reply graded by a fit that never saw its like.

Fold f learns from the replies whose conversation is not in group f and whose system is not in
group f. It then grades replies of unseen conversations (from seen systems), of unseen systems (in
seen conversations), and of both at once. One set of fits thus answers both questions.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rewards.errors import GraderError
from rewards.fitting.corpus import CorpusReply
from rewards.fitting.degenerate import Degenerate, Labelled, probes
from rewards.fitting.fitter import Fit, Fitter, Linear, sentence_features
from rewards.fitting.metrics import Floats
from rewards.fitting.rated_pairs import hands
from rewards.graders.embedded.encoder import ContextEncoder
from rewards.graders.embedded.heads import Heads, new_heads, save_heads
from rewards.graders.embedded.judge import FEATURES as REPLY_FEATURES
from rewards.graders.embedded.judge import NO_PARTS, OUTPUTS, EmbeddedJudge
from rewards.types import DIMENSIONS, Message, Rating, Reply

FOLDS = 4
PROBES = 20
"""Degenerate replies of each kind in each fold."""
_log = logging.getLogger(__name__)


class Groups(NamedTuple):
    """Group in [0, FOLDS) of every reply's conversation and of its system."""

    conversation: NDArray[np.int64]
    system: NDArray[np.int64]


class Judged(NamedTuple):
    """Held-out ratings of some replies."""

    rows: NDArray[np.int64]
    """Positions in the list of replies."""
    ratings: Floats
    """[rows, outputs]"""
    spread: Floats
    """[rows], disagreement of the heads about the aggregate."""


class Tagged(NamedTuple):
    """Held-out scores (before calibration) of the sentences of some replies."""

    rows: NDArray[np.int64]
    """Positions in the list of replies, ascending."""
    scores: Floats
    """[sentences, tactics]"""


class HeldOut(NamedTuple):
    """Everything that was predicted about replies no fit had seen."""

    groups: Groups
    judged: dict[str, Judged]
    """By what was unseen: conversation, system, both."""
    tagged: dict[str, Tagged]
    """By what was unseen: conversation (of any system), system."""
    probes: list[tuple[Degenerate, float]]
    """Degenerate replies in unseen conversations, and the aggregate they got."""
    pairs: list[tuple[Labelled, float]]
    """Authored replies of a hand that the fit had not seen, and the aggregate they got."""


def cross_fit(
    fitter: Fitter,
    replies: Sequence[CorpusReply],
    authored: Sequence[CorpusReply],
    progress: Callable[[str], Callable[[int, int], None]],
    pairs: Sequence[Labelled] = (),
) -> HeldOut:
    """Fit `FOLDS` times and grade what each fit has not seen: of `pairs` one hand, in turn.

    `progress(name)` gives the function that is told how far a fit is.
    """
    groups = assign_groups(replies, fitter.settings.seed)
    judged: dict[str, list[Judged]] = {"conversation": [], "system": [], "both": []}
    tagged: dict[str, list[Tagged]] = {"conversation": [], "system": []}
    probed: list[tuple[Degenerate, float]] = []
    paired: list[tuple[Labelled, float]] = []
    writers = hands(pairs) or [""]
    for fold in range(FOLDS):
        other, strange = groups.conversation == fold, groups.system == fold
        own = [replies[i] for i in np.flatnonzero(~other & ~strange)]
        writer = writers[fold % len(writers)]
        taught = [item for item in pairs if item.hand != writer]
        fit = fitter.fit(own, authored, progress(f"fold {fold + 1} of {FOLDS}"), taught)
        judge = judge_of(fit)
        judged["conversation"].append(_judge(judge, replies, other & ~strange))
        judged["system"].append(_judge(judge, replies, strange & ~other))
        judged["both"].append(_judge(judge, replies, other & strange))
        tagged["conversation"].append(_tag(fit, replies, other))
        tagged["system"].append(_tag(fit, replies, strange & ~other))
        outside = [replies[i] for i in np.flatnonzero(other)]
        made = probes(outside, PROBES, fitter.settings.seed + fold)
        probed += zip(made, _aggregates(judge, made), strict=True)
        strange_hand = [item for item in pairs if item.hand == writer]
        found = _aggregates(judge, [item.reply for item in strange_hand])
        paired += zip(strange_hand, found, strict=True)
        _log.info("fold %d of %d: graded what it had not seen", fold + 1, FOLDS)
    return HeldOut(
        groups=groups,
        judged={
            name: Judged(*(np.concatenate(column) for column in zip(*parts, strict=True)))
            for name, parts in judged.items()
        },
        tagged={name: _join_tagged(parts, replies) for name, parts in tagged.items()},
        probes=probed,
        pairs=paired,
    )


def assign_groups(replies: Sequence[CorpusReply], seed: int) -> Groups:
    """Groups drawn at random, of equal size but for the remainder."""

    def groups(names: Sequence[str]) -> NDArray[np.int64]:
        known, place = np.unique(names, return_inverse=True)
        order = np.random.default_rng(seed).permutation(len(known))
        return (np.argsort(order) % FOLDS)[place]

    return Groups(
        groups([reply.conversation_id for reply in replies]),
        groups([reply.system for reply in replies]),
    )


def judge_heads(ratings: Linear, residual: Floats, encoder: ContextEncoder) -> Heads:
    """The heads of `EmbeddedJudge`; `residual` [outputs] is the spread of held-out errors."""
    return new_heads(
        encoder, OUTPUTS, REPLY_FEATURES, ratings.coef, ratings.intercept, residual=residual
    )


def as_reply(reply: CorpusReply | Degenerate) -> Reply:
    """The reply as graders get it in training."""
    history = (Message("seeker", reply.seeker_turn),) if reply.seeker_turn.strip() else ()
    text = " ".join(reply.sentences)
    return Reply(history=history, text=text, sentences=reply.sentences)


def judge_of(fit: Fit, parts: str = NO_PARTS) -> EmbeddedJudge:
    """The judge as it will be shipped: read from a file, guard included; `parts` is a file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "judge.npz"
        save_heads(judge_heads(fit.ratings, np.zeros(len(OUTPUTS)), fit.encoder), {}, path)
        return EmbeddedJudge(fit.encoder, str(path), parts)


def _judge(
    judge: EmbeddedJudge, replies: Sequence[CorpusReply], chosen: NDArray[np.bool_]
) -> Judged:
    rows = np.array(
        [i for i in np.flatnonzero(chosen) if replies[i].ratings is not None], dtype=np.int64
    )
    ratings = _rate(judge, [as_reply(replies[i]) for i in rows])
    values = [[*(r.dimensions[name] for name in DIMENSIONS), r.aggregate] for r in ratings]
    return Judged(
        rows,
        np.array(values).reshape(-1, len(OUTPUTS)),
        np.array([rating.uncertainty or 0.0 for rating in ratings]),
    )


def _aggregates(judge: EmbeddedJudge, replies: Sequence[Degenerate]) -> list[float]:
    return [rating.aggregate for rating in _rate(judge, [as_reply(reply) for reply in replies])]


def _rate(judge: EmbeddedJudge, replies: Sequence[Reply]) -> list[Rating]:
    ratings = []
    for rating in judge.grade_now(replies):
        if not isinstance(rating, Rating):
            raise GraderError(f"the judge could not rate a held-out reply: {rating.message}")
        ratings.append(rating)
    return ratings


def _tag(fit: Fit, replies: Sequence[CorpusReply], chosen: NDArray[np.bool_]) -> Tagged:
    rows = np.array(
        [i for i in np.flatnonzero(chosen) if replies[i].tactics is not None], dtype=np.int64
    )
    if not len(rows):
        return Tagged(rows, np.zeros((0, fit.tactics.coef.shape[1])))
    x = sentence_features(fit.encoder, [replies[i].sentences for i in rows])
    return Tagged(rows, fit.tactics.scores(x))


def _join_tagged(parts: Sequence[Tagged], replies: Sequence[CorpusReply]) -> Tagged:
    pieces = []
    for part in parts:
        ends = np.cumsum([len(replies[i].sentences) for i in part.rows])
        pieces += list(zip(part.rows, np.split(part.scores, ends[:-1]), strict=True))
    pieces.sort(key=lambda piece: piece[0])
    return Tagged(
        np.array([row for row, _ in pieces], dtype=np.int64),
        np.concatenate([scores for _, scores in pieces]),
    )
