"""The direct solver of a deployed hierarchy's coarsest level, for any symmetric positive semidefinite matrix."""

from __future__ import annotations

import numpy as np
from scipy.linalg import eigh
from scipy.linalg.lapack import dpocon, dpotrf, dpotrs
from scipy.sparse import bsr_array, csc_array, csr_array, diags_array
from scipy.sparse.linalg import splu

from rllib_psparsity.errors import SetupFailure

DENSE_LIMIT = 500
"""Most unknowns for dense factors; above, sparse ones."""
SPARSE_LIMIT = 20_000
"""Most unknowns at all: a coarsest level of more is no coarse level."""
SUSPICIOUS = 1e-10
"""Least reciprocal condition number (1-norm) for which no eigenvalues are asked for."""
ROUNDING = 1e-11
"""Eigenvalues of a matrix with unit diagonal below this are zero: what several Galerkin products leave of one."""
ROUNDING_AS_GIVEN = 2 * float(np.finfo(float).eps)
"""Times the number of unknowns: the same, for both, of a matrix that is no product."""
SHIFT = 1e-12
"""Added to the unit diagonal of a sparse matrix, which may be singular."""


class DirectSolver:
    """Solves with a symmetric positive semidefinite matrix; what it does is symmetric positive semidefinite too.

    The matrix is scaled to a unit diagonal first, so that units do not decide what counts as singular. Up to
    `DENSE_LIMIT` unknowns: Cholesky factors, or, for a singular matrix, the pseudo-inverse of the scaled one without
    its negative part. Above: sparse factors of the matrix with its scaled diagonal raised by `SHIFT`. An unknown
    whose diagonal entry is zero becomes zero.

    An object of this class is a ``coarse_solver`` of `pyamg.multilevel.MultilevelSolver`.

    Parameters
    ----------
    A : (n, n)
    as_given : whether A is a user's matrix, not a Galerkin product: then less of it is rounding

    Attributes
    ----------
    work : float
        Multiplications of one solve.
    null_vectors : (n, k) float64
        Combinations x of the unknowns of which rounding is all that is left, or less than nothing: x^T A x / x^T D x
        is not positive, D being A's diagonal. None (k = 0) where sparse factors cannot tell.

    Raises `SetupFailure` for a matrix that is not finite, or larger than `SPARSE_LIMIT`.
    """

    def __init__(self, A: csr_array | bsr_array, as_given: bool = False) -> None:
        n = A.shape[0]
        if n > SPARSE_LIMIT:
            raise SetupFailure(f"the coarsest level has {n} unknowns, too many for a direct solver")
        if not np.isfinite(A.data).all():
            raise SetupFailure("the matrix of the coarsest level is not finite")
        diagonal = A.diagonal()
        positive = diagonal > 0
        self._scale = np.divide(1.0, np.sqrt(np.where(positive, diagonal, 1.0)), where=positive, out=np.zeros(n))
        self.null_vectors = np.eye(n)[:, ~positive] if not positive.all() else np.zeros((n, 0))
        self._cholesky = self._inverse = self._sparse = None
        if n <= DENSE_LIMIT:
            exact = n * ROUNDING_AS_GIVEN
            self._factor_dense(A.toarray(), *((exact, exact) if as_given else (SUSPICIOUS, ROUNDING)))
        else:
            self._factor_sparse(A)

    def __call__(self, A, b: np.ndarray) -> np.ndarray:
        """PyAMG's signature; the matrix is the one that was factored."""
        return self.solve(b)

    def __repr__(self) -> str:
        return "direct"

    def solve(self, b: np.ndarray) -> np.ndarray:
        """x with A x = b, for b (n,) or (n, K) float64; of a singular matrix for the part of b in its range."""
        scale = self._scale if b.ndim == 1 else self._scale[:, None]
        scaled = scale * b
        if self._cholesky is not None:
            solution = dpotrs(self._cholesky, scaled, lower=1)[0].reshape(b.shape)
        elif self._inverse is not None:
            solution = self._inverse @ scaled
        else:
            assert self._sparse is not None
            solution = self._sparse.solve(np.ascontiguousarray(scaled))
        return scale * solution

    def _factor_dense(self, A: np.ndarray, suspicious: float, rounding: float) -> None:
        n = len(A)
        scaled = self._scale[:, None] * ((A + A.T) / 2) * self._scale
        factor, info = dpotrf(scaled, lower=1)
        self.work = float(n * n)
        # Not by the pivots: none need be small where the last unknowns have little part in the null vector.
        if info == 0 and dpocon(factor, np.linalg.norm(scaled, 1), uplo="L")[0] > suspicious:
            self._cholesky = factor
            return
        eigenvalues, vectors = eigh(scaled)
        kept = eigenvalues > rounding
        self.null_vectors = np.where(self._scale > 0, self._scale, 1.0)[:, None] * vectors[:, ~kept]
        self._inverse = (vectors[:, kept] / eigenvalues[kept]) @ vectors[:, kept].T

    def _factor_sparse(self, A: csr_array | bsr_array) -> None:
        scale = diags_array(self._scale)
        raised = np.where(self._scale > 0, SHIFT, 1.0)
        matrix = csc_array(scale @ A @ scale + diags_array(raised))
        try:
            self._sparse = splu(
                matrix, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True}
            )
        except RuntimeError as error:
            raise SetupFailure(f"the matrix of the coarsest level cannot be factored: {error}") from error
        self.work = float(self._sparse.L.nnz + self._sparse.U.nnz)
