"""One linear system, solved with a preconditioner until the residual itself meets the tolerance."""

from __future__ import annotations

import math
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np

from rllib_psparsity.amg.preconditioned_cg import Watch, preconditioned_cg

MAX_ITERATIONS = 1000
LEAST_GAIN = 0.5
"""A pass that leaves more than this share of the residual has met rounding."""


@dataclass(frozen=True)
class Solution:
    """What a solve gave.

    Attributes
    ----------
    x : (n,) float64
    iterations : int, over all passes
    relative_residual : float
        ``|b - A x| / |b|`` in the 2-norm, computed from x.
    residuals : (iterations + 1,) float64
        Relative norms of the recurrence residual, from 1 on.
    seconds : float
    failure : str
        Why the tolerance is not met; empty if it is.
    """

    x: np.ndarray
    iterations: int
    relative_residual: float
    residuals: np.ndarray
    seconds: float
    failure: str

    @property
    def converged(self) -> bool:
        return not self.failure


def solve_system(
    A: Any, b: np.ndarray, M: Any, tol: float, max_iterations: int, watch: Watch | None = None
) -> Solution:
    """Solve ``A x = b`` by conjugate gradients with the preconditioner `M`, until ``|b - A x| <= tol |b|``.

    The recurrence residual of conjugate gradients drifts from b - A x by rounding. So a pass that has converged is
    followed by another one for the residual that is left (iterative refinement), as long as that gains.

    Parameters
    ----------
    A : (n, n) sparse array; b : (n,) float64, not zero; M : LinearOperator, symmetric positive definite
    watch : see `preconditioned_cg`; its residual is relative to b
    """
    start = perf_counter()
    # A power of two: norms neither over- nor underflow.
    scale = math.ldexp(1.0, math.frexp(float(np.abs(b).max()))[1] - 1)
    scaled = b / scale
    norm = float(np.linalg.norm(scaled))
    x, r, reached = np.zeros_like(scaled), scaled, 1.0
    residuals = [np.ones(1)]
    iterations, failure = 0, ""
    while reached > tol and not failure:
        solve = preconditioned_cg(
            A, r, M, tol / reached, max_iterations - iterations, _relative(watch, iterations, reached)
        )
        residuals.append(reached * solve.residuals[1:] / solve.residuals[0])
        iterations += solve.iterations
        x += solve.x
        r = scaled - A @ x
        before, reached = reached, float(np.linalg.norm(r)) / norm
        if reached <= tol:
            break
        if not solve.converged:
            failure = solve.reason
        elif reached > LEAST_GAIN * before:
            failure = f"rounding holds the relative residual at {reached:.1e}"
        elif iterations == max_iterations:
            failure = f"not converged in {max_iterations} iterations"
    with np.errstate(over="ignore"):
        x *= scale
    if not failure and not np.isfinite(x).all():
        failure = "the solution is too large for double precision"
    return Solution(x, iterations, reached, np.concatenate(residuals), perf_counter() - start, failure)


def _relative(watch: Watch | None, iterations: int, reached: float) -> Watch | None:
    """`watch` in the terms of the whole solve."""
    if watch is None:
        return None
    return lambda iteration, residual: watch(iterations + iteration, reached * residual)
