"""The V-cycle on a block of K vectors at once.

The same cycle as PyAMG's, symmetric block Gauss-Seidel before and after, but every pass over a matrix serves all K
vectors: that is what makes it affordable to measure a hierarchy in every step of training.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.linalg import pinv
from scipy.sparse import bsr_array, csc_array, csr_array
from scipy.sparse.linalg import splu

from rllib_psparsity.amg.block_vectors import STRIP, by_strips, multiply
from rllib_psparsity.amg.envelope_cholesky import envelope_cholesky
from rllib_psparsity.amg.hierarchy import PINV_LIMIT, Level
from rllib_psparsity.compiled import compiled
from rllib_psparsity.errors import SetupFailure


class BlockVCycle:
    """V-cycle of a hierarchy, or of its first levels with an exact solve on the last of them.

    Parameters
    ----------
    levels : from the finest to the one that is solved directly; every level but the last has a prolongator
    solve_coarsest : (n, K) right-hand sides of the last level -> solutions; `coarse_solver` by default
    """

    def __init__(self, levels: list[Level], solve_coarsest: Callable[[np.ndarray], np.ndarray] | None = None) -> None:
        self._A = levels[0].A
        self._corrections = [
            _BlockCorrection(level) if level.A.format == "bsr" else _ScalarCorrection(level) for level in levels[:-1]
        ]
        self._solve_coarsest = solve_coarsest or coarse_solver(levels[-1].A)

    def __call__(self, b: np.ndarray, x: np.ndarray | None = None) -> np.ndarray:
        """One cycle for A x = b from the given x, or from zero; b and x are (n, K) and stay untouched."""
        if x is None or not self._corrections:
            return by_strips(lambda strip: self._cycle(0, strip), b)
        return x + self(b - multiply(self._A, x))

    def _cycle(self, depth: int, b: np.ndarray) -> np.ndarray:
        if depth == len(self._corrections):
            return self._solve_coarsest(b)
        correction = self._corrections[depth]
        x, kept, coarse_b = correction.down(b)
        correction.up(b, x, kept, self._cycle(depth + 1, coarse_b))
        return x


class _BlockCorrection:
    """A level of a block matrix: smoothing around the coarse correction."""

    def __init__(self, level: Level) -> None:
        self._relax, self._P, self._R = level.relaxation(), level.P, level.R

    def down(self, b: np.ndarray) -> tuple[np.ndarray, np.ndarray | None, np.ndarray]:
        x = np.zeros_like(b)
        self._relax(b, x)
        return x, None, self._R @ (b - self._relax.A @ x)

    def up(self, b: np.ndarray, x: np.ndarray, kept: np.ndarray | None, coarse_x: np.ndarray) -> None:
        x += self._P @ coarse_x
        self._relax(b, x)


class _ScalarCorrection:
    """The same for a csr matrix, in kernels that go through half a row wherever the other half is known already."""

    def __init__(self, level: Level) -> None:
        assert level.P is not None
        A, P, relaxation = level.A, level.P, level.relaxation()
        self._matrix = (A.indptr, *relaxation.halves(), A.indices, A.data, relaxation.inverse.ravel())
        self._P = (P.indptr, P.indices, P.data)
        self._num_coarse = P.shape[1]

    def down(self, b: np.ndarray) -> tuple[np.ndarray, np.ndarray | None, np.ndarray]:
        x, work, coarse_b = np.empty_like(b), np.empty_like(b), np.zeros((self._num_coarse, STRIP))
        _down(*self._matrix, *self._P, b, x, work, coarse_b)
        return x, work, coarse_b

    def up(self, b: np.ndarray, x: np.ndarray, kept: np.ndarray | None, coarse_x: np.ndarray) -> None:
        _up(*self._matrix, *self._P, b, x, kept, coarse_x)


@compiled()
def _subtract(start, stop, indices, data, x, s):
    s0, s1, s2, s3 = s
    for entry in range(start, stop):
        a, j = data[entry], np.uint32(indices[entry])  # unsigned: no check for an index from the end
        s0 -= a * x[j, 0]
        s1 -= a * x[j, 1]
        s2 -= a * x[j, 2]
        s3 -= a * x[j, 3]
    return s0, s1, s2, s3


@compiled()
def _get(x, i):
    return x[i, 0], x[i, 1], x[i, 2], x[i, 3]


@compiled()
def _put(x, i, s, factor):
    x[i, 0], x[i, 1], x[i, 2], x[i, 3] = s[0] * factor, s[1] * factor, s[2] * factor, s[3] * factor


@compiled()
def _down(indptr, below, above, indices, data, inverse, P_indptr, P_indices, P_data, b, x, work, coarse_b):
    # Both sweeps from zero, and P^T (b - A x). With A = L + D + U: forward s = b - L x', x' = D^-1 s; backward
    # x = D^-1 (s - U x); so D x + U x = s, and the residual is b - s - L x.
    n = len(below)
    for i in range(n):
        s = _subtract(indptr[i], below[i], indices, data, x, _get(b, i))
        _put(work, i, s, 1.0)
        _put(x, i, s, inverse[i])
    for i in range(n - 1, -1, -1):
        s = _subtract(above[i], indptr[i + 1], indices, data, x, _get(work, i))
        _put(x, i, s, inverse[i])
        if inverse[i] == 0.0:  # the row keeps its zero, so D x + U x is U x
            for k in range(4):
                work[i, k] -= s[k]
    for i in range(n):
        s0, s1, s2, s3 = _subtract(indptr[i], below[i], indices, data, x, _get(b, i))
        s0, s1, s2, s3 = s0 - work[i, 0], s1 - work[i, 1], s2 - work[i, 2], s3 - work[i, 3]
        for entry in range(P_indptr[i], P_indptr[i + 1]):
            p, j = P_data[entry], np.uint32(P_indices[entry])
            coarse_b[j, 0] += p * s0
            coarse_b[j, 1] += p * s1
            coarse_b[j, 2] += p * s2
            coarse_b[j, 3] += p * s3


@compiled()
def _up(indptr, below, above, indices, data, inverse, P_indptr, P_indices, P_data, b, x, work, coarse_x):
    # x + P coarse_x, then both sweeps. The backward one needs b - L x' of the forward one again.
    n = len(below)
    for i in range(n):
        s0, s1, s2, s3 = _get(x, i)
        for entry in range(P_indptr[i], P_indptr[i + 1]):
            p, j = P_data[entry], np.uint32(P_indices[entry])
            s0 += p * coarse_x[j, 0]
            s1 += p * coarse_x[j, 1]
            s2 += p * coarse_x[j, 2]
            s3 += p * coarse_x[j, 3]
        x[i, 0], x[i, 1], x[i, 2], x[i, 3] = s0, s1, s2, s3
    for i in range(n):
        s = _subtract(indptr[i], below[i], indices, data, x, _get(b, i))
        _put(work, i, s, 1.0)
        if inverse[i] != 0.0:
            _put(x, i, _subtract(above[i], indptr[i + 1], indices, data, x, s), inverse[i])
    for i in range(n - 1, -1, -1):
        if inverse[i] != 0.0:
            _put(x, i, _subtract(above[i], indptr[i + 1], indices, data, x, _get(work, i)), inverse[i])


def coarse_solver(A: csr_array | bsr_array) -> Callable[[np.ndarray], np.ndarray]:
    """A direct solver for (n, K) right-hand sides.

    Cholesky factors if the matrix is safely positive definite; otherwise the pseudo-inverse, or sparse LU for more than
    `PINV_LIMIT` unknowns.
    """
    factors = envelope_cholesky(A if A.format == "csr" else A.tocsr())
    if factors is not None:
        return lambda b: by_strips(factors.solve, b)
    if A.shape[0] <= PINV_LIMIT:
        try:
            inverse = pinv(A.toarray())
        except (ValueError, np.linalg.LinAlgError) as error:
            raise SetupFailure(f"the coarsest matrix has no pseudo-inverse: {error}") from error
        return lambda b: inverse @ b
    matrix = csc_array(A)
    # An aggregate with fewer unknowns than candidates leaves empty coarse rows: any value does for their unknowns.
    empty = matrix.diagonal() == 0
    if empty.any():
        matrix = csc_array(matrix + csr_array((empty.astype(float), (range(len(empty)), range(len(empty))))))
    try:  # a symmetric ordering takes a third of the default one's time; pivots may still leave an indefinite diagonal
        factors = splu(matrix, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.1, options={"SymmetricMode": True})
    except RuntimeError as error:
        raise SetupFailure(f"the coarsest matrix is singular: {error}") from error
    return factors.solve
