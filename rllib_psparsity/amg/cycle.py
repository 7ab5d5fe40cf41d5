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

from rllib_psparsity.amg.block_sweeps import BlockSweeps
from rllib_psparsity.amg.block_vectors import by_strips, multiply
from rllib_psparsity.amg.envelope_cholesky import envelope_cholesky
from rllib_psparsity.amg.hierarchy import PINV_LIMIT, Level
from rllib_psparsity.amg.registers import load, minus, store, times
from rllib_psparsity.compiled import compiled
from rllib_psparsity.errors import SetupFailure
from rllib_psparsity.unsigned import unsigned


class BlockVCycle:
    """V-cycle of a hierarchy, or of its first levels with an exact solve on the last of them.

    Parameters
    ----------
    levels : from the finest to the one that is solved directly; every level but the last has a prolongator
    solve_coarsest : right-hand sides of the last level, (n, 4) or (n,), -> solutions; `coarse_solver` by default
    """

    def __init__(self, levels: list[Level], solve_coarsest: Callable[[np.ndarray], np.ndarray] | None = None) -> None:
        self._A = levels[0].A
        self._corrections = [
            _BlockCorrection(level) if level.A.format == "bsr" else _ScalarCorrection(level) for level in levels[:-1]
        ]
        self._solve_coarsest = solve_coarsest or coarse_solver(levels[-1].A)

    def __call__(self, b: np.ndarray, x: np.ndarray | None = None) -> np.ndarray:
        """One cycle for A x = b from the given x, or from zero; b and x are (n, K), or (n,), and stay untouched."""
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
        relaxation = level.relaxation()
        self._sweeps = BlockSweeps(level.A, relaxation.halves(), relaxation.inverse)
        self._P, self._R = level.P, level.R

    def down(self, b: np.ndarray) -> tuple[np.ndarray, np.ndarray | None, np.ndarray]:
        x, residual = self._sweeps.from_zero(b)
        return x, None, self._R @ residual

    def up(self, b: np.ndarray, x: np.ndarray, kept: np.ndarray | None, coarse_x: np.ndarray) -> None:
        x += self._P @ coarse_x
        self._sweeps(b, x)


class _ScalarCorrection:
    """The same for a csr matrix, in kernels that go through half a row wherever the other half is known already."""

    def __init__(self, level: Level) -> None:
        assert level.P is not None
        A, P, relaxation = level.A, level.P, level.relaxation()
        self._rows = (A.indptr, *relaxation.halves())
        # Without a check for indices from the end kernels are faster of one vector, by a sixth, and slower of four.
        self._unsigned_rows = tuple(unsigned(pointers) for pointers in self._rows)
        self._rest = (A.indices, A.data, relaxation.inverse.ravel(), P.indptr, P.indices, P.data)
        self._num_coarse = P.shape[1]

    def down(self, b: np.ndarray) -> tuple[np.ndarray, np.ndarray | None, np.ndarray]:
        x, work, coarse_b = np.empty_like(b), np.empty_like(b), np.zeros((self._num_coarse, *b.shape[1:]))
        _down(*self._matrix(b), b, x, work, coarse_b)
        return x, work, coarse_b

    def up(self, b: np.ndarray, x: np.ndarray, kept: np.ndarray | None, coarse_x: np.ndarray) -> None:
        _up(*self._matrix(b), b, x, kept, coarse_x)

    def _matrix(self, b: np.ndarray) -> tuple[np.ndarray, ...]:
        return (*(self._unsigned_rows if b.ndim == 1 else self._rows), *self._rest)


@compiled()
def _subtract(start, stop, indices, data, x, s):
    for entry in range(start, stop):
        s = minus(s, data[entry], load(x, indices[entry]))
    return s


@compiled()
def _down(indptr, below, above, indices, data, inverse, P_indptr, P_indices, P_data, b, x, work, coarse_b):
    # Both sweeps from zero, and P^T (b - A x). With A = L + D + U: forward s = b - L x', x' = D^-1 s; backward
    # x = D^-1 (s - U x); so D x + U x = s, and the residual is b - s - L x.
    indices, P_indices = unsigned(indices), unsigned(P_indices)
    n = len(below)
    for i in range(n):
        s = _subtract(indptr[i], below[i], indices, data, x, load(b, i))
        store(work, i, s)
        store(x, i, times(s, inverse[i]))
    for i in range(n - 1, -1, -1):
        s = _subtract(above[i], indptr[i + 1], indices, data, x, load(work, i))
        store(x, i, times(s, inverse[i]))
        if inverse[i] == 0.0:  # the row keeps its zero, so D x + U x is U x
            store(work, i, minus(load(work, i), 1.0, s))
    for i in range(n):
        s = _subtract(indptr[i], below[i], indices, data, x, load(b, i))
        s = minus(s, 1.0, load(work, i))
        for entry in range(P_indptr[i], P_indptr[i + 1]):
            j = P_indices[entry]
            store(coarse_b, j, minus(load(coarse_b, j), -P_data[entry], s))


@compiled()
def _up(indptr, below, above, indices, data, inverse, P_indptr, P_indices, P_data, b, x, work, coarse_x):
    # x + P coarse_x, then both sweeps. The backward one needs b - L x' of the forward one again.
    indices, P_indices = unsigned(indices), unsigned(P_indices)
    n = len(below)
    for i in range(n):
        s = load(x, i)
        for entry in range(P_indptr[i], P_indptr[i + 1]):
            s = minus(s, -P_data[entry], load(coarse_x, P_indices[entry]))
        store(x, i, s)
    for i in range(n):
        s = _subtract(indptr[i], below[i], indices, data, x, load(b, i))
        store(work, i, s)
        if inverse[i] != 0.0:
            store(x, i, times(_subtract(above[i], indptr[i + 1], indices, data, x, s), inverse[i]))
    for i in range(n - 1, -1, -1):
        if inverse[i] != 0.0:
            s = _subtract(above[i], indptr[i + 1], indices, data, x, load(work, i))
            store(x, i, times(s, inverse[i]))


def coarse_solver(A: csr_array | bsr_array) -> Callable[[np.ndarray], np.ndarray]:
    """A direct solver for right-hand sides (n, K) or (n,).

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
