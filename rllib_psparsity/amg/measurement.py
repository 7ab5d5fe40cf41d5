"""What a hierarchy costs: work per digit of conjugate gradients preconditioned by one V-cycle."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from pyamg import MultilevelSolver

CONVERGED = "converged"


@dataclass(frozen=True)
class SolveMeasurement:
    """One solve, and the figures that it gives.

    Attributes
    ----------
    iterations : int
        PCG iterations done.
    digits : float
        ``log10(|r_0| / |r_k|)`` of the recurrence residual in the 2-norm, at most the 15.65 digits of double precision.
    work_per_digit : float
        ``(cycle_complexity + 1) * iterations / digits``: products with the finest matrix for a digit of accuracy,
        the 1 being PCG's own product. Infinite if the solve did not converge.
    operator_complexity : float
        ``sum_l nnz(A_l) / nnz(A_0)``.
    cycle_complexity : float
        PyAMG's, of a V-cycle.
    converged : bool
    residuals : (iterations + 1,) float64
        Norms of the recurrence residual, from that of the right-hand side on.
    reason : str
        ``"converged"``, or why not.
    """

    iterations: int
    digits: float
    work_per_digit: float
    operator_complexity: float
    cycle_complexity: float
    converged: bool
    residuals: np.ndarray
    reason: str


def measure_solve(
    ml: MultilevelSolver, seed: int = 0, tol: float = 1e-8, max_iterations: int = 400
) -> SolveMeasurement:
    """Solve ``A x = b`` from ``x = 0`` with PCG and one V-cycle of `ml`, and measure it.

    The right-hand side is ``np.random.default_rng(seed).standard_normal(n)``. The smoothers are those of `ml`; the
    figures compare only between hierarchies with PyAMG's defaults, one symmetric Gauss-Seidel sweep before and one
    after. Every iteration is Hestenes and Stiefel's (1952), as in `scipy.sparse.linalg.cg` with ``rtol=tol, atol=0``.

    A hierarchy that is not finite, or not positive definite, does not converge; it raises nothing.
    """
    A = ml.levels[0].A
    b = np.random.default_rng(seed).standard_normal(A.shape[0])
    with np.errstate(all="ignore"):
        residuals, reason = _conjugate_gradients(A, b, ml.aspreconditioner(cycle="V"), tol, max_iterations)
    iterations = len(residuals) - 1
    last = max(residuals[-1] / residuals[0], float(np.finfo(float).eps))
    digits = -math.log10(last)
    cycle_complexity = ml.cycle_complexity("V")
    converged = reason == CONVERGED
    return SolveMeasurement(
        iterations=iterations,
        digits=digits,
        work_per_digit=(cycle_complexity + 1) * iterations / digits if converged else math.inf,
        operator_complexity=ml.operator_complexity(),
        cycle_complexity=cycle_complexity,
        converged=converged,
        residuals=np.array(residuals),
        reason=reason,
    )


def _conjugate_gradients(A, b: np.ndarray, M, tol: float, max_iterations: int) -> tuple[list[float], str]:
    """Norms of the residual, all finite, and the reason for the end."""
    r = b.copy()
    residuals = [float(np.linalg.norm(r))]
    p = np.zeros_like(b)
    rz_before = 1.0
    for _ in range(max_iterations):
        try:
            z = M @ r
        except (np.linalg.LinAlgError, ValueError) as error:  # the coarse solver, on a matrix that is not finite
            return residuals, f"the V-cycle failed: {error}"
        rz = float(r @ z)
        if not math.isfinite(rz):
            return residuals, "the V-cycle is not finite"
        if rz <= 0:
            return residuals, "the V-cycle is not positive definite"
        p = z + (rz / rz_before) * p
        Ap = A @ p
        pAp = float(p @ Ap)
        if not math.isfinite(pAp):
            return residuals, "the search direction is not finite"
        if pAp <= 0:
            return residuals, "the matrix is not positive definite along a search direction"
        r -= (rz / pAp) * Ap
        rz_before = rz
        norm = float(np.linalg.norm(r))
        if not math.isfinite(norm):
            return residuals, "the residual is not finite"
        residuals.append(norm)
        if norm <= tol * residuals[0]:
            return residuals, CONVERGED
    return residuals, f"not converged in {max_iterations} iterations"
