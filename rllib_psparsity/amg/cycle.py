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

from rllib_psparsity.amg.hierarchy import PINV_LIMIT, Level
from rllib_psparsity.errors import SetupFailure


class BlockVCycle:
    """V-cycle of a hierarchy, or of its first levels with an exact solve on the last of them.

    Parameters
    ----------
    levels : from the finest to the one that is solved directly; every level but the last has a prolongator
    """

    def __init__(self, levels: list[Level]) -> None:
        self._relaxations = [level.relaxation() for level in levels[:-1]]
        self._prolongators = [level.P for level in levels if level.P is not None][: len(levels) - 1]
        self._restrictions = [P.T.tocsr() for P in self._prolongators]
        self._solve_coarsest = coarse_solver(levels[-1].A)

    def __call__(self, b: np.ndarray, x: np.ndarray | None = None) -> np.ndarray:
        """One cycle for A x = b from the given x, or from zero; b and x are (n, K) and stay untouched."""
        x = np.zeros_like(b) if x is None else np.array(x, order="C")
        return self._cycle(0, np.ascontiguousarray(b), x)

    def _cycle(self, depth: int, b: np.ndarray, x: np.ndarray) -> np.ndarray:
        if depth == len(self._relaxations):
            return self._solve_coarsest(b)
        relax = self._relaxations[depth]
        relax(b, x)
        coarse_b = self._restrictions[depth] @ (b - relax.A @ x)
        x += self._prolongators[depth] @ self._cycle(depth + 1, coarse_b, np.zeros_like(coarse_b))
        relax(b, x)
        return x


def coarse_solver(A: csr_array | bsr_array) -> Callable[[np.ndarray], np.ndarray]:
    """A direct solver for (n, K) right-hand sides: pseudo-inverse, or sparse LU for more than `PINV_LIMIT` unknowns."""
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
    try:
        factors = splu(matrix)
    except RuntimeError as error:
        raise SetupFailure(f"the coarsest matrix is singular: {error}") from error
    return factors.solve
