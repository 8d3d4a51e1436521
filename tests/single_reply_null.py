"""The null that deals single replies, which `conversation_null` is measured against."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mint.evaluation.metrics.repetition import Null, _nulls
from mint.evaluation.statistics.arrays import Bools, Floats
from rewards.errors import DataError


def permutation_null(
    now_PK: Bools,
    previous_PK: Bools,
    *,
    shuffles: int,
    seed: int,
    strata_P: NDArray[np.intp] | None = None,
) -> dict[str, Null]:
    """Null of stickiness and of lift when the turns are dealt to the pairs at random.

    The turns before stay where they are and every turn keeps its tactics, so the null has the
    system's own prevalences. With `strata_P` a turn only trades places within its stratum (for
    instance, with turns of other conversations at the same index). Raises DataError for no pairs
    or no shuffles.
    """
    if len(now_PK) == 0 or shuffles < 1:
        raise DataError(f"a null needs pairs and shuffles, got {len(now_PK)} and {shuffles}")
    rng = np.random.default_rng(seed)
    before_PK = previous_PK.astype(np.float32)
    strata_P = np.zeros(len(now_PK), dtype=np.intp) if strata_P is None else strata_P
    rows = [
        _shuffled_sums(now_PK, before_PK, strata_P, min(500, shuffles - done), rng)
        for done in range(0, shuffles, 500)
    ]
    both_RK = np.concatenate(rows)
    return _nulls(now_PK, previous_PK, _totals(both_RK, now_PK, previous_PK))


def _shuffled_sums(
    now_PK: Bools,
    before_PK: NDArray[np.float32],
    strata_P: NDArray[np.intp],
    shuffles: int,
    rng: np.random.Generator,
) -> Floats:
    """[shuffles, K]: pairs with the tactic in both turns, after dealing the turns anew."""
    places_P = np.argsort(strata_P, kind="stable")
    # Sorting stratum + a number below 1 keeps strata together and shuffles within each.
    dealt_RP = np.argsort(strata_P + rng.random((shuffles, len(strata_P))), axis=1)
    now_RPK = now_PK[dealt_RP].astype(np.float32)
    return np.einsum("rpk,pk->rk", now_RPK, before_PK[places_P]).astype(np.float64)


def _totals(both_RK: Floats, now_PK: Bools, previous_PK: Bools) -> Floats:
    shape = both_RK.shape
    previous_K, now_K = previous_PK.sum(axis=0), now_PK.sum(axis=0)
    blocks = (
        both_RK,
        np.broadcast_to(previous_K, shape),
        now_K - both_RK,
        np.broadcast_to(len(now_PK) - previous_K, shape),
    )
    return np.concatenate(blocks, axis=1).astype(np.float64)
