"""How often tactics come back from one supporter turn to the next, and what chance would give.

For pairs of a turn and the turn before it, with x_k = "tactic k is in the turn" and p_k = "tactic k
was in the turn before":

    stickiness = mean over k of P(x_k | p_k)                       (k with p_k somewhere)
    otherwise  = mean over k of P(x_k | not p_k)                   (k with not p_k somewhere)
    lift       = mean over k of P(x_k | p_k) - P(x_k | not p_k)    (k with both cases)

Stickiness and otherwise lie in [0, 1] and grow with the number of tactics a turn uses; lift lies in
[-1, 1] and is 0 when the turn before does not matter. All are functions of sums over pairs, so a
bootstrap of conversations is a matrix product.

"The turn before" decides the question: the conversation's own previous supporter turn (a person's,
in Lend-an-Ear's fixed histories) gives the official stickiness, the model's reply to the turn
before gives self-stickiness.

Suffixes: _P pairs, _K tactics, _C conversations, _M columns, _R rows of totals.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mint.evaluation.statistics.arrays import Bools, Floats, divide, nan_mean
from rewards.errors import DataError
from rewards.tactics import NUM_TACTICS

PAIR_COLUMNS = 4 * NUM_TACTICS


class Repetition(NamedTuple):
    """Values [R], one a row of totals; NaN where undefined."""

    stickiness: Floats
    otherwise: Floats
    lift: Floats


class Null(NamedTuple):
    """What a statistic is when turns are shuffled, i.e. when the turn before cannot matter."""

    mean: float
    std: float
    low: float
    """2.5 % quantile."""
    high: float
    """97.5 % quantile."""
    z: float
    """(observed - mean) / std; NaN when std is 0."""
    p_value: float
    """Two-sided, in (0, 1]; the observed order counts as one of the shuffles."""


def pair_sums(now_PK: Bools, previous_PK: Bools) -> Floats:
    """[P, 4K] per tactic: in both turns; in the turn before; only now; not in the turn before."""
    blocks = (now_PK & previous_PK, previous_PK, now_PK & ~previous_PK, ~previous_PK)
    return np.concatenate(blocks, axis=1).astype(np.float64)


def repetition(totals_RM: Floats) -> Repetition:
    """Stickiness, otherwise and lift of each row of summed `pair_sums` columns."""
    both, previous, only_now, no_previous = np.split(totals_RM, 4, axis=1)
    given_RK, otherwise_RK = divide(both, previous), divide(only_now, no_previous)
    return Repetition(nan_mean(given_RK), nan_mean(otherwise_RK), nan_mean(given_RK - otherwise_RK))


def transition_matrix(now_PK: Bools, previous_PK: Bools) -> Floats:
    """[K, K] P(column's tactic now | row's tactic in the turn before), in [0, 1]; NaN rows where
    no turn before has the tactic."""
    together_KK = previous_PK.astype(float).T @ now_PK.astype(float)
    return divide(together_KK, previous_PK.sum(axis=0)[:, None])


def conversation_null(
    now_PK: Bools,
    previous_PK: Bools,
    conversation_P: NDArray[np.intp],
    place_P: NDArray[np.intp],
    *,
    shuffles: int,
    seed: int,
) -> dict[str, Null]:
    """Null of stickiness and of lift when whole conversations trade their turns.

    A conversation's turns are dealt, all at once and each at its own place (turn and sample), to
    the turns before of another. Samples of a turn, and turns of a conversation, may resemble each
    other for reasons that are not repetition; they stay together, so this null rejects as often as
    it should where one that shuffles single replies rejects too often. Places
    that only one of the two has are left out: with unequal lengths it is cautious.

    Raises DataError for no pairs or no shuffles.
    """
    if len(now_PK) == 0 or shuffles < 1:
        raise DataError(f"a null needs pairs and shuffles, got {len(now_PK)} and {shuffles}")
    _, row_P = np.unique(conversation_P, return_inverse=True)
    _, column_P = np.unique(place_P, return_inverse=True)
    shape = (int(row_P.max()) + 1, int(column_P.max()) + 1)
    there = np.zeros(shape, dtype=bool)
    now, before = (np.zeros((*shape, now_PK.shape[1]), dtype=bool) for _ in range(2))
    there[row_P, column_P] = True
    now[row_P, column_P], before[row_P, column_P] = now_PK, previous_PK
    rng = np.random.default_rng(seed)
    dealt_RC = np.array([rng.permutation(shape[0]) for _ in range(shuffles)])
    return _nulls(now_PK, previous_PK, _traded_sums(now, before, there, dealt_RC))


def _traded_sums(now: Bools, before: Bools, there: Bools, dealt_RC: NDArray[np.intp]) -> Floats:
    """[R, 4K]: summed `pair_sums` when the turns of conversation `dealt_RC[r, c]` meet the turns
    before of c; `now` and `before` are [conversations, places, K], `there` tells which exist.

    One tactic at a time, from the sums of every two conversations: a shuffle only looks them up.
    """
    # Imported here: half a second that commands without nulls should not wait for.
    from scipy.sparse import csr_array

    shuffles, groups = dealt_RC.shape
    met_by = (dealt_RC * groups + np.arange(groups)).ravel()
    rows = np.arange(0, shuffles * groups + 1, groups)
    shape = (shuffles, groups * groups)
    looked_up = csr_array((np.ones(len(met_by), np.float32), met_by, rows), shape=shape)
    found = np.empty((shuffles, 4, now.shape[2]))
    met_CC = there.astype(np.float32) @ there.T.astype(np.float32)
    for k in range(now.shape[2]):
        now_k, before_k = now[..., k].astype(np.float32), before[..., k].astype(np.float32)
        both_CC = now_k @ before_k.T
        previous_CC = there.astype(np.float32) @ before_k.T
        only_now_CC = now_k @ there.T.astype(np.float32) - both_CC
        sums = np.stack([both_CC, previous_CC, only_now_CC, met_CC - previous_CC], axis=-1)
        found[:, :, k] = looked_up @ sums.reshape(groups * groups, 4)
    return found.reshape(shuffles, -1)


def _nulls(now_PK: Bools, previous_PK: Bools, totals_RM: Floats) -> dict[str, Null]:
    """The nulls of shuffles with these summed `pair_sums`."""
    seen = repetition(pair_sums(now_PK, previous_PK).sum(axis=0, keepdims=True))
    null = repetition(totals_RM)
    return {
        "stickiness": _null(float(seen.stickiness[0]), null.stickiness),
        "lift": _null(float(seen.lift[0]), null.lift),
    }


def _null(observed: float, null_R: Floats) -> Null:
    null_R = null_R[np.isfinite(null_R)]
    if not np.isfinite(observed) or len(null_R) == 0:
        return Null(*[float("nan")] * 6)
    mean, std = float(null_R.mean()), float(null_R.std())
    # A tolerance, because equal counts summed in another order differ in the last digit.
    further = int((np.abs(null_R - mean) >= abs(observed - mean) - 1e-12).sum())
    low, high = np.quantile(null_R, [0.025, 0.975])
    return Null(
        mean=mean,
        std=std,
        low=float(low),
        high=float(high),
        z=(observed - mean) / std if std > 1e-12 else float("nan"),
        p_value=(further + 1) / (len(null_R) + 1),
    )
