"""Arithmetic on arrays that knows what is undefined.

Suffixes: _P pairs or replies, _C groups such as conversations, _M or _K columns, _R rows of totals.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


def sum_by(rows_PM: Floats, index_P: NDArray[np.intp], groups: int) -> Floats:
    """[C, M]: the sum of the rows of each group; `index_P` holds group numbers below `groups`."""
    sums_CM = np.zeros((groups, rows_PM.shape[1]))
    np.add.at(sums_CM, index_P, rows_PM)
    return sums_CM


def divide(top: NDArray, bottom: NDArray) -> Floats:
    """top / bottom, NaN where bottom is not above 0; shapes broadcast."""
    top, bottom = np.broadcast_arrays(np.asarray(top, float), np.asarray(bottom, float))
    return np.divide(top, bottom, out=np.full(top.shape, np.nan), where=bottom > 0)


def nan_mean(values_RK: Floats) -> Floats:
    """[R] mean of the defined values of each row; NaN for a row without any."""
    defined = np.isfinite(values_RK)
    return divide(np.where(defined, values_RK, 0.0).sum(axis=1), defined.sum(axis=1))
