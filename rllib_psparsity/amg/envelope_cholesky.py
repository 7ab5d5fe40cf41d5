"""Cholesky factors within the envelope of a matrix, for the small coarsest levels of grids and meshes.

Row i of the factor is filled from the row's first nonzero to the diagonal at most (George and Liu, Computer Solution
of Large Sparse Positive Definite Systems, 1981, ch. 4). After a reverse Cuthill-McKee renumbering that is some 20
entries a row for 300 unknowns of a 2D problem, little more than a minimum degree ordering fills, and without its cost.
"""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import reverse_cuthill_mckee

from rllib_psparsity.amg.registers import load, minus, store, times
from rllib_psparsity.compiled import compiled

SMALLEST_PIVOT = 1e-8
"""Least pivot, of the largest diagonal entry, for which a matrix counts as safely positive definite.

A pivot bounds the least eigenvalue from above only; this leaves five decades down to the cutoff of a pseudo-inverse.
"""

MAX_ENTRIES = 2**18
"""Larger envelopes are not factored: general sparse factors are then the faster ones."""


class EnvelopeCholesky:
    """L L^T = A, renumbered; solves for one vector or a strip of four."""

    def __init__(self, order: np.ndarray, first: np.ndarray, start: np.ndarray, factor: np.ndarray) -> None:
        self._order, self._first, self._start, self._factor = order, first, start, factor

    def solve(self, b: np.ndarray) -> np.ndarray:
        """x with A x = b, for b (n, 4) or (n,) float64."""
        x = np.empty_like(b)
        _solve(self._order, self._first, self._start, self._factor, b, x, np.empty_like(b))
        return x


def envelope_cholesky(A: csr_array) -> EnvelopeCholesky | None:
    """The factors of a symmetric matrix; None if it is not safely positive definite, not finite, or too large."""
    order = reverse_cuthill_mckee(A, symmetric_mode=True)
    first, start = _envelope(A.indptr, A.indices, order)
    if start[-1] > MAX_ENTRIES:
        return None
    factor = np.zeros(start[-1])
    if not _factor(A.indptr, A.indices, A.data, order, first, start, factor):
        return None
    return EnvelopeCholesky(order, first, start, factor)


@compiled()
def _envelope(indptr, indices, order):
    n = len(order)
    place = np.empty(n, dtype=np.int64)
    for i in range(n):
        place[order[i]] = i
    first = np.empty(n, dtype=np.int64)
    start = np.zeros(n + 1, dtype=np.int64)
    for i in range(n):
        first[i] = i
        for entry in range(indptr[order[i]], indptr[order[i] + 1]):
            first[i] = min(first[i], place[indices[entry]])
        start[i + 1] = start[i] + i - first[i] + 1
    return first, start


@compiled(error_model="numpy")
def _factor(indptr, indices, data, order, first, start, factor):
    # Rows end to end, the last entry of each the inverse of its pivot. False at a pivot that is too small, or NaN.
    n = len(order)
    place = np.empty(n, dtype=np.int64)
    for i in range(n):
        place[order[i]] = i
    largest = 0.0
    for i in range(n):
        for entry in range(indptr[order[i]], indptr[order[i] + 1]):
            j = place[indices[entry]]
            if j <= i:
                factor[start[i] + j - first[i]] += data[entry]
        largest = max(largest, factor[start[i + 1] - 1])
    for i in range(n):
        row = start[i] - first[i]
        pivot = factor[row + i]
        for j in range(first[i], i):
            other = start[j] - first[j]
            # Two running sums, since each waits for its last addition.
            even, odd = factor[row + j], 0.0
            k = max(first[i], first[j])
            while k + 1 < j:
                even -= factor[row + k] * factor[other + k]
                odd -= factor[row + k + 1] * factor[other + k + 1]
                k += 2
            if k < j:
                even -= factor[row + k] * factor[other + k]
            entry = (even + odd) * factor[other + j]
            factor[row + j] = entry
            pivot -= entry * entry
        if not pivot > SMALLEST_PIVOT * largest:
            return False
        factor[row + i] = 1.0 / np.sqrt(pivot)
    return True


@compiled()
def _solve(order, first, start, factor, b, x, y):
    n = len(order)
    for i in range(n):
        at = order[i]
        s = load(b, at)
        entry = start[i]
        for j in range(first[i], i):
            s = minus(s, factor[entry], load(y, j))
            entry += 1
        store(y, i, times(s, factor[entry]))
    for i in range(n - 1, -1, -1):
        at = order[i]
        s = times(load(y, i), factor[start[i + 1] - 1])
        store(x, at, s)
        entry = start[i]
        for j in range(first[i], i):
            store(y, j, minus(load(y, j), factor[entry], s))
            entry += 1
