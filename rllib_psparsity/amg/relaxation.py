"""Symmetric block Gauss-Seidel, and damped Jacobi, on a block of vectors."""

from __future__ import annotations

import numpy as np
from scipy.sparse import bsr_array, csr_array

from rllib_psparsity.amg.block_sweeps import BlockSweeps
from rllib_psparsity.amg.block_vectors import by_strips
from rllib_psparsity.amg.registers import load, minus, store, zero
from rllib_psparsity.amg.small_inverses import small_inverses
from rllib_psparsity.compiled import compiled
from rllib_psparsity.unsigned import unsigned


class Relaxation:
    """Symmetric block Gauss-Seidel on (n, K) vectors, as PyAMG's ``block_gauss_seidel``; blocks of one are its
    ``gauss_seidel``.

    Attributes
    ----------
    A : the matrix
    inverse : (N, block, block) inverses of its diagonal blocks, pseudo-inverses of singular ones
    """

    def __init__(self, A: csr_array | bsr_array) -> None:
        self.A = A
        self._halves: tuple[np.ndarray, np.ndarray] | None = None
        block = A.blocksize[0] if A.format == "bsr" else 1
        if block == 1:
            self._data = A.data.ravel()
            self.inverse = _reciprocal_diagonal(A.indptr, A.indices, self._data)
            return
        rows = np.repeat(np.arange(len(A.indptr) - 1), np.diff(A.indptr))
        on_diagonal = np.flatnonzero(rows == A.indices)
        self.inverse = np.zeros((len(A.indptr) - 1, block, block))
        self.inverse[rows[on_diagonal]] = small_inverses(A.data[on_diagonal])

    def __call__(self, b: np.ndarray, x: np.ndarray) -> None:
        """One forward and one backward sweep on A x = b; x is changed in place."""
        A = self.A
        if self.inverse.shape[1] == 1:
            _scalar_sweeps(A.indptr, A.indices, self._data, self.inverse, b, x)
        else:
            sweeps = BlockSweeps(A, self.halves(), self.inverse)
            x[:] = by_strips(sweeps.once, b, x)

    def smooth(self, B: np.ndarray, sweeps: int) -> np.ndarray:
        """What as many calls for A X = 0 leave of X = B (n, K), in another array."""
        X = np.array(B, dtype=float, order="C")
        if self.A.format == "csr" and X.shape[1] == 1:
            self.smooth_one(X[:, 0], sweeps)
        else:
            zero = np.zeros_like(X)
            for _ in range(sweeps):
                self(zero, X)
        return X

    def smooth_one(self, x: np.ndarray, sweeps: int) -> None:
        """As many calls for A x = 0 and one vector x (n,), of a csr matrix with sorted indices.

        Each half sweep needs only half of A: what the other half adds to a row is known from the half sweep before
        (Conrad and Wallach 1977).
        """
        A = self.A
        _halved_sweeps(A.indptr, *self.halves(), A.indices, self._data, self.inverse.ravel(), x, sweeps)

    def halves(self) -> tuple[np.ndarray, np.ndarray]:
        """(N,) each, of a matrix with sorted indices: where a row's entries left of the diagonal end, and where those
        right of it begin."""
        halves = self._halves
        if halves is None:
            halves = self._halves = _halves(self.A.indptr, self.A.indices)
        return halves


def jacobi(A: csr_array | bsr_array, x: np.ndarray, omega: float, sweeps: int) -> np.ndarray:
    """What sweeps of Jacobi on A x = 0, damped by omega, leave of the errors x (n, K)."""
    diagonal = A.diagonal()
    if A.format == "csr":
        return by_strips(lambda strip: _jacobi(A.indptr, A.indices, A.data, diagonal, omega, sweeps, strip), x)
    for _ in range(sweeps):
        x = x - omega * (A @ x) / diagonal[:, None]
    return x


@compiled(error_model="numpy")
def _jacobi(indptr, indices, data, diagonal, omega, sweeps, x):
    indptr, indices = unsigned(indptr), unsigned(indices)
    old, new = x.copy(), np.empty_like(x)
    for _ in range(sweeps):
        for i in range(len(diagonal)):
            s = zero(x)
            for entry in range(indptr[i], indptr[i + 1]):
                s = minus(s, -data[entry], load(old, indices[entry]))
            store(new, i, minus(load(old, i), omega / diagonal[i], s))
        old, new = new, old
    return old


@compiled()
def _reciprocal_diagonal(indptr, indices, data):
    indptr, indices = unsigned(indptr), unsigned(indices)
    n = len(indptr) - 1
    inverse = np.zeros((n, 1, 1))
    for i in range(n):
        for entry in range(indptr[i], indptr[i + 1]):
            if indices[entry] == i and data[entry] != 0.0:
                inverse[i, 0, 0] = 1.0 / data[entry]
    return inverse


@compiled()
def _halves(indptr, indices):
    n = len(indptr) - 1
    below, above = np.empty(n, dtype=np.int32), np.empty(n, dtype=np.int32)
    for i in range(n):
        entry, stop = indptr[i], indptr[i + 1]
        while entry < stop and indices[entry] < i:
            entry += 1
        below[i] = entry
        above[i] = entry + 1 if entry < stop and indices[entry] == i else entry
    return below, above


@compiled()
def _halved_sweeps(indptr, below, above, indices, data, inverse, x, sweeps):
    indptr, indices = unsigned(indptr), unsigned(indices)
    below, above = unsigned(below), unsigned(above)
    n = len(x)
    left, right = np.empty(n), np.empty(n)  # minus the halves of A x
    for i in range(n):
        right[i] = _minus_product(above[i], indptr[i + 1], indices, data, x)
    for _ in range(sweeps):
        for i in range(n):
            left[i] = _minus_product(indptr[i], below[i], indices, data, x)
            if inverse[i] != 0.0:
                x[i] = (left[i] + right[i]) * inverse[i]
        for i in range(n - 1, -1, -1):
            right[i] = _minus_product(above[i], indptr[i + 1], indices, data, x)
            if inverse[i] != 0.0:
                x[i] = (left[i] + right[i]) * inverse[i]


@compiled()
def _minus_product(start, stop, indices, data, x):
    total = 0.0
    for entry in range(start, stop):
        total -= data[entry] * x[indices[entry]]
    return total


@compiled()
def _scalar_sweeps(indptr, indices, data, inverse, b, x):
    indptr, indices = unsigned(indptr), unsigned(indices)
    n, num_vectors = b.shape
    rhs = np.empty(num_vectors)
    for sweep in range(2):
        for step in range(n):
            i = step if sweep == 0 else n - 1 - step
            if inverse[i, 0, 0] == 0.0:
                continue
            for k in range(num_vectors):
                rhs[k] = b[i, k]
            for entry in range(indptr[i], indptr[i + 1]):
                j = indices[entry]
                if j != i:
                    for k in range(num_vectors):
                        rhs[k] -= data[entry] * x[j, k]
            for k in range(num_vectors):
                x[i, k] = rhs[k] * inverse[i, 0, 0]
