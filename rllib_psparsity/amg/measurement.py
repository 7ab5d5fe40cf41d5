"""What a hierarchy costs: work per digit of conjugate gradients preconditioned by one V-cycle."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from pyamg import MultilevelSolver

from rllib_psparsity.amg.preconditioned_cg import CONVERGED, Watch, preconditioned_cg


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
    ml: MultilevelSolver,
    seed: int = 0,
    tol: float = 1e-8,
    max_iterations: int = 400,
    *,
    b: np.ndarray | None = None,
    watch: Watch | None = None,
) -> SolveMeasurement:
    """Solve ``A x = b`` from ``x = 0`` with PCG and one V-cycle of `ml`, and measure it.

    The right-hand side is `b`, or else `random_right_hand_side`. The smoothers are those of `ml`; the figures compare
    only between hierarchies with PyAMG's defaults, one symmetric Gauss-Seidel sweep before and one after. See
    `preconditioned_cg`, whose `watch` may stop the solve.

    A hierarchy that is not finite, or not positive definite, does not converge; it raises nothing. Neither does a solve
    whose recurrence residual has lost touch with ``b - A x``: of the digits that `tol` asks for, fewer than a quarter
    are there. So ends that of a singular system without a solution, where rounding lets x grow without bound.
    """
    A = ml.levels[0].A
    b = random_right_hand_side(A.shape[0], seed) if b is None else b
    solve = preconditioned_cg(A, b, ml.aspreconditioner(cycle="V"), tol, max_iterations, watch)
    reason = solve.reason
    if solve.converged:
        true = float(np.linalg.norm(b - A @ solve.x)) / solve.residuals[0]
        if not true <= tol**0.25:
            reason = f"the recurrence residual has converged, but |b - A x| is {true:.1e} |b|"
    converged = reason == CONVERGED
    digits = digits_gained(solve.residuals)
    cycle_complexity = ml.cycle_complexity("V")
    return SolveMeasurement(
        iterations=solve.iterations,
        digits=digits,
        work_per_digit=(cycle_complexity + 1) * solve.iterations / digits if converged else math.inf,
        operator_complexity=ml.operator_complexity(),
        cycle_complexity=cycle_complexity,
        converged=converged,
        residuals=solve.residuals,
        reason=reason,
    )


def random_right_hand_side(n: int, seed: int = 0) -> np.ndarray:
    """(n,) ``np.random.default_rng(seed).standard_normal(n)``, where the user gives none."""
    return np.random.default_rng(seed).standard_normal(n)


def digits_gained(residuals: np.ndarray) -> float:
    """``log10(|r_0| / |r_k|)`` from the first to the last norm, at most what double precision has."""
    return -math.log10(max(float(residuals[-1] / residuals[0]), float(np.finfo(float).eps)))
