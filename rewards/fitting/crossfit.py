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
from rewards.fitting.degenerate import Degenerate, probes
from rewards.fitting.fitter import Fit, Fitter, Linear, split, stack
from rewards.fitting.metrics import Floats
from rewards.graders.embedded.heads import Heads, new_heads, save_heads
from rewards.graders.embedded.judge import FEATURES as REPLY_FEATURES
from rewards.graders.embedded.judge import OUTPUTS, EmbeddedJudge
from rewards.graders.encoder import ContextEncoder
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


def cross_fit(
    fitter: Fitter,
    replies: Sequence[CorpusReply],
    authored: Sequence[CorpusReply],
    progress: Callable[[str], Callable[[int, int], None]],
) -> HeldOut:
    """Fit `FOLDS` times and grade what each fit has not seen.

    `progress(name)` gives the function that is told how far a fit is.
    """
    groups = assign_groups(replies, fitter.settings.seed)
    folds = []
    for fold in range(FOLDS):
        seen = (groups.conversation != fold) & (groups.system != fold)
        own = [reply for reply, inside in zip(replies, seen, strict=True) if inside]
        fit = fitter.fit(own, authored, progress(f"fold {fold + 1} of {FOLDS}"))
        folds.append(_grade(fit, replies, groups, fold, fitter.settings.seed))
        _log.info("fold %d of %d: graded what it had not seen", fold + 1, FOLDS)
    return HeldOut(
        groups=groups,
        judged={
            name: _join_judged([f.judged[name] for f in folds])
            for name in ("conversation", "system", "both")
        },
        tagged={
            name: _join_tagged([f.tagged[name] for f in folds], replies)
            for name in ("conversation", "system")
        },
        probes=[probe for fold in folds for probe in fold.probes],
    )


def assign_groups(replies: Sequence[CorpusReply], seed: int) -> Groups:
    """Groups drawn at random, of equal size but for the remainder."""
    return Groups(
        _groups([reply.conversation_id for reply in replies], seed),
        _groups([reply.system for reply in replies], seed),
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


class _Fold(NamedTuple):
    judged: dict[str, Judged]
    tagged: dict[str, Tagged]
    probes: list[tuple[Degenerate, float]]


def _grade(fit: Fit, replies: Sequence[CorpusReply], groups: Groups, fold: int, seed: int) -> _Fold:
    other, strange = groups.conversation == fold, groups.system == fold
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "judge.npz"
        save_heads(judge_heads(fit.ratings, np.zeros(len(OUTPUTS)), fit.encoder), {}, path)
        judge = EmbeddedJudge(fit.encoder, str(path))
    outside = [reply for reply, is_other in zip(replies, other, strict=True) if is_other]
    made = probes([r for r in outside if r.system != "authored"], PROBES, seed + fold)
    scores = [rating.aggregate for rating in _rate(judge, [as_reply(probe) for probe in made])]
    return _Fold(
        judged={
            "conversation": _judge(judge, replies, other & ~strange),
            "system": _judge(judge, replies, strange & ~other),
            "both": _judge(judge, replies, other & strange),
        },
        tagged={
            "conversation": _tag(fit, replies, other),
            "system": _tag(fit, replies, strange & ~other),
        },
        probes=list(zip(made, scores, strict=True)),
    )


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
    vectors = stack(fit.encoder.encode([split(replies[i]) for i in rows]))
    return Tagged(rows, fit.tactics.scores(vectors))


def _join_judged(parts: Sequence[Judged]) -> Judged:
    return Judged(*(np.concatenate([part[i] for part in parts]) for i in range(3)))


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


def _groups(names: Sequence[str], seed: int) -> NDArray[np.int64]:
    known = sorted(set(names))
    order = np.random.default_rng(seed).permutation(len(known))
    group = {known[position]: rank % FOLDS for rank, position in enumerate(order)}
    return np.array([group[name] for name in names], dtype=np.int64)
