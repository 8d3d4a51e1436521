"""Variety of the tactic sets of a system's turns, on its own turns only.

A turn's tactic set is a row of booleans, one a tactic. A system that settles on a fixed bundle has
few distinct sets, a low set entropy and tactics that are always on, whatever its stickiness.

Suffixes: _N turns, _P pairs of a turn and the same system's turn before, _K tactics,
_C conversations, _R resamples.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mint.evaluation.statistics.arrays import Bools, Floats, divide
from rewards.tactics import TACTIC_NAMES

ALWAYS_ON = 0.9
"""Share of turns from which a tactic counts as always on."""


def set_codes(now_NK: Bools) -> NDArray[np.intp]:
    """[N] one number a turn; equal numbers are equal sets."""
    return now_NK.astype(np.intp) @ (1 << np.arange(now_NK.shape[1]))


def set_counts(now_NK: Bools, index_N: NDArray[np.intp], groups: int) -> Floats:
    """[C, S] how often each occurring set occurs in each group (conversation)."""
    _, codes_N = np.unique(set_codes(now_NK), return_inverse=True)
    counts_CS = np.zeros((groups, int(codes_N.max(initial=-1)) + 1))
    np.add.at(counts_CS, (index_N, codes_N), 1.0)
    return counts_CS


def num_sets(counts_RS: Floats) -> Floats:
    """[R] number of distinct sets, from 1 to the number of turns (at most 1,024)."""
    return (counts_RS > 0).sum(axis=1).astype(np.float64)


def set_entropy(counts_RS: Floats) -> Floats:
    """[R] entropy of the distribution of sets in bits, from 0 to log2 of the number of turns.

    A plug-in estimate: compare it between equal numbers of turns only.
    """
    share_RS = divide(counts_RS, counts_RS.sum(axis=1, keepdims=True))
    logs_RS = np.log2(share_RS, out=np.zeros_like(share_RS), where=share_RS > 0)
    return -(share_RS * logs_RS).sum(axis=1) + 0.0


def effective_tactics(uses_RK: Floats) -> Floats:
    """[R] exp of the entropy of tactic uses, from 1 to 10: how many equally used tactics would
    give the same variety. `uses_RK` holds the number of turns that use each tactic."""
    share_RK = divide(uses_RK, uses_RK.sum(axis=1, keepdims=True))
    logs_RK = np.log(share_RK, out=np.zeros_like(share_RK), where=share_RK > 0)
    return np.exp(-(share_RK * logs_RK).sum(axis=1))


def always_on(now_NK: Bools, threshold: float = ALWAYS_ON) -> list[str]:
    """Tactics that more than `threshold` of the turns use, in taxonomy order."""
    shares = now_NK.mean(axis=0) if len(now_NK) else np.zeros(now_NK.shape[1])
    return [name for name, share in zip(TACTIC_NAMES, shares, strict=True) if share > threshold]


def same_set(now_PK: Bools, previous_PK: Bools) -> Bools:
    """[P] whether a turn has exactly the tactics of the turn before."""
    return np.asarray((now_PK == previous_PK).all(axis=1))


def any_new(now_PK: Bools, previous_PK: Bools) -> Bools:
    """[P] whether a turn has a tactic that the turn before lacks."""
    return np.asarray((now_PK & ~previous_PK).any(axis=1))


def jaccard(now_PK: Bools, previous_PK: Bools) -> Floats:
    """[P] shared / all tactics of two turns, in [0, 1]; 1 when both have none."""
    shared = (now_PK & previous_PK).sum(axis=1)
    either = (now_PK | previous_PK).sum(axis=1)
    return np.where(either > 0, shared / np.maximum(either, 1), 1.0)


def cross_jaccard(now_NK: Bools, index_N: NDArray[np.intp], groups: int) -> tuple[Floats, Floats]:
    """[C, C] sums of the Jaccard index over all pairs of turns of two different conversations, and
    their numbers; 0 on the diagonal. Sum over sum is what unrelated turns share, in [0, 1]."""
    x_NK = now_NK.astype(np.float64)
    shared_NN = x_NK @ x_NK.T
    size_N = x_NK.sum(axis=1)
    either_NN = size_N[:, None] + size_N - shared_NN
    jaccard_NN = np.where(either_NN > 0, shared_NN / np.maximum(either_NN, 1.0), 1.0)
    member_CN = np.equal.outer(np.arange(groups), index_N).astype(np.float64)
    sums_CC = member_CN @ jaccard_NN @ member_CN.T
    turns_C = member_CN.sum(axis=1)
    pairs_CC = np.outer(turns_C, turns_C)
    np.fill_diagonal(sums_CC, 0.0)
    np.fill_diagonal(pairs_CC, 0.0)
    return sums_CC, pairs_CC


def used(counts: Sequence[Sequence[float]]) -> Bools:
    """[N, K] from the sentences per tactic of each turn."""
    return np.array(counts, dtype=float).reshape(len(counts), len(TACTIC_NAMES)) > 0


def bool_sets(tactics: Sequence[Sequence[str] | frozenset[str] | set[str]]) -> Bools:
    """[N, K] from the tactic names of each turn."""
    rows = [[name in names for name in TACTIC_NAMES] for names in tactics]
    return np.array(rows, dtype=bool).reshape(len(rows), len(TACTIC_NAMES))
