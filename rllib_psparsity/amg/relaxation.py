"""Symmetric block Gauss-Seidel on a block of vectors."""

from __future__ import annotations

import numpy as np
from numba import njit
from scipy.sparse import bsr_array, csr_array


class Relaxation:
    """Symmetric block Gauss-Seidel on (n, K) vectors, as PyAMG's ``block_gauss_seidel``; blocks of one are its
    ``gauss_seidel``."""

    def __init__(self, A: csr_array | bsr_array) -> None:
        self.A = A
        block = A.blocksize[0] if A.format == "bsr" else 1
        n = A.shape[0] // block
        rows = np.repeat(np.arange(n), np.diff(A.indptr))
        on_diagonal = np.flatnonzero(rows == A.indices)
        blocks = A.data.reshape(-1, block, block)
        self._inverse = np.zeros((n, block, block))
        with np.errstate(divide="ignore"):
            found = blocks[on_diagonal]
            self._inverse[rows[on_diagonal]] = (
                np.where(found == 0, 0.0, 1.0 / found) if block == 1 else np.linalg.pinv(found)
            )
        self._block = block
        self._data = A.data.ravel() if block == 1 else blocks

    def __call__(self, b: np.ndarray, x: np.ndarray) -> None:
        """One forward and one backward sweep on A x = b; x is changed in place."""
        A = self.A
        if self._block == 1:
            _scalar_sweeps(A.indptr, A.indices, self._data, self._inverse[:, 0, 0], b, x)
        else:
            _block_sweeps(A.indptr, A.indices, self._data, self._inverse, b, x)


@njit(cache=True)
def _scalar_sweeps(indptr, indices, data, inverse, b, x):
    n, num_vectors = b.shape
    rhs = np.empty(num_vectors)
    for sweep in range(2):
        for step in range(n):
            i = step if sweep == 0 else n - 1 - step
            if inverse[i] == 0.0:
                continue
            for k in range(num_vectors):
                rhs[k] = b[i, k]
            for entry in range(indptr[i], indptr[i + 1]):
                j = indices[entry]
                if j != i:
                    for k in range(num_vectors):
                        rhs[k] -= data[entry] * x[j, k]
            for k in range(num_vectors):
                x[i, k] = rhs[k] * inverse[i]


@njit(cache=True)
def _block_sweeps(indptr, indices, data, inverse, b, x):
    n, block = inverse.shape[0], inverse.shape[1]
    num_vectors = b.shape[1]
    rhs = np.empty((block, num_vectors))
    for sweep in range(2):
        for step in range(n):
            i = step if sweep == 0 else n - 1 - step
            for p in range(block):
                for k in range(num_vectors):
                    rhs[p, k] = b[i * block + p, k]
            for entry in range(indptr[i], indptr[i + 1]):
                j = indices[entry]
                if j != i:
                    for p in range(block):
                        for q in range(block):
                            for k in range(num_vectors):
                                rhs[p, k] -= data[entry, p, q] * x[j * block + q, k]
            for p in range(block):
                for k in range(num_vectors):
                    total = 0.0
                    for q in range(block):
                        total += inverse[i, p, q] * rhs[q, k]
                    x[i * block + p, k] = total
