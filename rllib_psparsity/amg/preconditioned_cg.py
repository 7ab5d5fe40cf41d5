"""Conjugate gradients with any preconditioner, one right-hand side, and the reason for the end."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

CONVERGED, STOPPED = "converged", "stopped"

Watch = Callable[[int, float], bool | None]
"""``watch(iteration, relative_residual)`` after every iteration; true ends the solve with the reason `STOPPED`."""


@dataclass(frozen=True)
class KrylovSolve:
    """What a solve gave.

    Attributes
    ----------
    x : (n,) float64
        The last iterate with a finite residual.
    residuals : (iterations + 1,) float64
        2-norms of the recurrence residual, from that of the right-hand side on; all finite.
    reason : str
        `CONVERGED`, `STOPPED`, or what went wrong.
    """

    x: np.ndarray
    residuals: np.ndarray
    reason: str

    @property
    def iterations(self) -> int:
        return len(self.residuals) - 1

    @property
    def converged(self) -> bool:
        return self.reason == CONVERGED


def preconditioned_cg(
    A: Any, b: np.ndarray, M: Any, tol: float, max_iterations: int, watch: Watch | None = None
) -> KrylovSolve:
    """Solve ``A x = b`` from ``x = 0`` until ``|r| <= tol |b|`` by the recurrence residual r.

    Every iteration is Hestenes and Stiefel's (1952), as in `scipy.sparse.linalg.cg` with ``rtol=tol, atol=0``. A
    matrix or preconditioner `M` that is not finite, or not positive definite, ends the solve; it raises nothing.
    """
    x = np.zeros_like(b)
    residuals = [float(np.linalg.norm(b))]
    with np.errstate(all="ignore"):
        reason = _iterate(A, b.copy(), M, x, residuals, tol, max_iterations, watch)
    return KrylovSolve(x, np.array(residuals), reason)


def _iterate(
    A: Any,
    r: np.ndarray,
    M: Any,
    x: np.ndarray,
    residuals: list[float],
    tol: float,
    max_iterations: int,
    watch: Watch | None,
) -> str:
    """The iterations, on `x`, `r` and `residuals` in place; the reason for their end."""
    p = np.zeros_like(r)
    rz_before = 1.0
    for iteration in range(1, max_iterations + 1):
        try:
            z = M @ r
        except (np.linalg.LinAlgError, ValueError) as error:  # the coarse solver, on a matrix that is not finite
            return f"the V-cycle failed: {error}"
        rz = float(r @ z)
        if not math.isfinite(rz):
            return "the V-cycle is not finite"
        if rz <= 0:
            return "the V-cycle is not positive definite"
        p = z + (rz / rz_before) * p
        Ap = A @ p
        pAp = float(p @ Ap)
        if not math.isfinite(pAp):
            return "the search direction is not finite"
        if pAp <= 0:
            return "the matrix is not positive definite along a search direction"
        step = rz / pAp
        r -= step * Ap
        rz_before = rz
        norm = float(np.linalg.norm(r))
        if not math.isfinite(norm):
            return "the residual is not finite"
        x += step * p
        residuals.append(norm)
        if norm <= tol * residuals[0]:
            return CONVERGED
        if watch is not None and watch(iteration, norm / residuals[0]):
            return STOPPED
    return f"not converged in {max_iterations} iterations"
