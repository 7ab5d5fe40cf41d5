"""Symmetric block Gauss-Seidel around the coarse correction of a block matrix, in half rows wherever the rest is known.

With A = L + D + U, block by block: a forward sweep leaves s = b - L x', which the backward sweep needs again, and the
residual after both has U x and D x from the backward one (Conrad and Wallach 1977 use this for a row of sweeps).
"""

from __future__ import annotations

import numpy as np
from scipy.sparse import bsr_array

from rllib_psparsity.amg.registers import load, minus, store, times
from rllib_psparsity.compiled import compiled
from rllib_psparsity.unsigned import unsigned


class BlockSweeps:
    """On vectors (n,) or strips (n, 4), for a matrix with sorted indices.

    `halves` and `inverse` are those of `Relaxation`.
    """

    def __init__(self, A: bsr_array, halves: tuple[np.ndarray, np.ndarray], inverse: np.ndarray) -> None:
        self._matrix = (A.indptr, *halves, A.indices, A.data, inverse)
        self._block = (0,) * A.blocksize[0]  # its length is known when kernels are compiled, so that loops unroll

    def from_zero(self, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """x after a forward and a backward sweep from zero, and the residual b - A x."""
        x, residual, row = np.empty_like(b), np.empty_like(b), self._row(b)
        _from_zero(*self._matrix, self._block, b, x, residual, row)
        return x, residual

    def __call__(self, b: np.ndarray, x: np.ndarray) -> None:
        """A forward and a backward sweep; x is changed in place."""
        _both(*self._matrix, self._block, b, x, np.empty_like(b), self._row(b))

    def once(self, b: np.ndarray, x: np.ndarray) -> np.ndarray:
        """The same, x staying as it is."""
        x = x.copy()
        self(b, x)
        return x

    def _row(self, b: np.ndarray) -> np.ndarray:
        return np.empty((len(self._block), *b.shape[1:]))


@compiled()
def _fetch(x, i, row, block):
    for p in range(len(block)):
        store(row, p, load(x, i * len(block) + p))


@compiled()
def _keep(row, i, x, block):
    for p in range(len(block)):
        store(x, i * len(block) + p, load(row, p))


@compiled()
def _subtract(start, stop, indices, data, x, row, block):
    for entry in range(start, stop):
        first = np.int64(indices[entry]) * len(block)
        for p in range(len(block)):
            s = load(row, p)
            for q in range(len(block)):
                s = minus(s, data[entry, p, q], load(x, first + q))
            store(row, p, s)


@compiled()
def _solve(inverse, i, row, x, block):
    for p in range(len(block)):
        s = times(load(row, 0), inverse[i, p, 0])
        for q in range(1, len(block)):
            s = minus(s, -inverse[i, p, q], load(row, q))
        store(x, i * len(block) + p, s)


@compiled()
def _from_zero(indptr, below, above, indices, data, inverse, block, b, x, residual, row):
    indptr, below, above, indices = unsigned(indptr), unsigned(below), unsigned(above), unsigned(indices)
    n = len(below)
    for i in range(n):
        _fetch(b, i, row, block)
        _subtract(indptr[i], below[i], indices, data, x, row, block)
        _keep(row, i, residual, block)  # s
        _solve(inverse, i, row, x, block)
    for i in range(n - 1, -1, -1):
        _fetch(residual, i, row, block)
        _subtract(above[i], indptr[i + 1], indices, data, x, row, block)
        _solve(inverse, i, row, x, block)
        _subtract(below[i], above[i], indices, data, x, row, block)  # D x may differ from s - U x: D may be singular
        for p in range(len(block)):  # U x + D x
            at = i * len(block) + p
            store(residual, at, minus(load(residual, at), 1.0, load(row, p)))
    for i in range(n):
        _fetch(b, i, row, block)
        for p in range(len(block)):
            store(row, p, minus(load(row, p), 1.0, load(residual, i * len(block) + p)))
        _subtract(indptr[i], below[i], indices, data, x, row, block)
        _keep(row, i, residual, block)


@compiled()
def _both(indptr, below, above, indices, data, inverse, block, b, x, work, row):
    indptr, below, above, indices = unsigned(indptr), unsigned(below), unsigned(above), unsigned(indices)
    n = len(below)
    for i in range(n):
        _fetch(b, i, row, block)
        _subtract(indptr[i], below[i], indices, data, x, row, block)
        _keep(row, i, work, block)
        _subtract(above[i], indptr[i + 1], indices, data, x, row, block)
        _solve(inverse, i, row, x, block)
    for i in range(n - 1, -1, -1):
        _fetch(work, i, row, block)
        _subtract(above[i], indptr[i + 1], indices, data, x, row, block)
        _solve(inverse, i, row, x, block)
