"""Multigrid from outside of PyAMG, for comparison: hypre's BoomerAMG and PETSc's GAMG, through petsc4py.

Both with the defaults that PETSc gives them, as preconditioners of PETSc's conjugate gradients, stopped by the same
norm and tolerance as every other method here.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from time import perf_counter
from typing import Any

import numpy as np
from scipy.sparse import csr_array, diags_array

from rllib_psparsity.deploy.petsc import HOW_TO_INSTALL, block_size, load_petsc, petsc_matrix
from rllib_psparsity.errors import InputError

BOOMERAMG, GAMG = "hypre BoomerAMG", "PETSc GAMG"
_PRECONDITIONERS = {BOOMERAMG: "hypre", GAMG: "gamg"}


@dataclass(frozen=True)
class ExternalSolve:
    """One set-up and solve.

    Attributes
    ----------
    setup_seconds, solve_seconds : float
        Without the copy of the matrix to PETSc, which its own users do not pay.
    iterations : int
    operator_complexity, cycle_complexity : float
        As PyAMG counts them; NaN for BoomerAMG, which does not tell its levels.
    converged : bool
    residuals : (iterations + 1,) float64
        2-norms of the residual, from that of the right-hand side on.
    reason : str
        Empty if converged, else PETSc's name for the end.
    """

    setup_seconds: float
    solve_seconds: float
    iterations: int
    operator_complexity: float
    cycle_complexity: float
    converged: bool
    residuals: np.ndarray
    reason: str = ""


ExternalMethod = Callable[[Any, np.ndarray, np.ndarray, float, int], ExternalSolve]
"""``method(A, B, b, tol, maxiter)`` with A (n, n) csr or bsr, symmetric positive definite, B (n, K_b) near-nullspace
candidates, b (n,), from x = 0 until ``|r| <= tol |b|``. Raises what PETSc raises."""

Clock = Callable[[], float]
"""Seconds from any start."""


def external_methods(clock: Clock = perf_counter) -> tuple[dict[str, ExternalMethod], dict[str, str]]:
    """The methods that work here by name, and the reason and cure, by name, for those that do not.

    Their seconds are those of `clock`.
    """
    methods, reasons = _probe(clock)
    return dict(methods), dict(reasons)


@cache
def _probe(clock: Clock) -> tuple[dict[str, ExternalMethod], dict[str, str]]:
    """Each method on a tiny matrix: a build of PETSc may lack hypre, and the first solve pays for loading libraries."""
    try:
        PETSc = load_petsc()
    except InputError as error:
        return {}, dict.fromkeys(_PRECONDITIONERS, str(error))
    methods: dict[str, ExternalMethod] = {}
    reasons: dict[str, str] = {}
    n = 64
    A = csr_array(diags_array([-1.0, 2.5, -1.0], offsets=[-1, 0, 1], shape=(n, n)))
    for name, kind in _PRECONDITIONERS.items():
        method = _method(PETSc, kind, clock)
        try:
            method(A, np.ones((n, 1)), np.ones(n), 1e-8, 100)
        except PETSc.Error as error:
            words = str(error).splitlines()[-1].removeprefix("[0] ").rstrip(".")  # what precedes is a trace
            reasons[name] = f"this build of PETSc has no working {kind} ({words}); {HOW_TO_INSTALL}"
        else:
            methods[name] = method
    return methods, reasons


def _method(PETSc: Any, kind: str, clock: Clock) -> ExternalMethod:
    def solve(A: Any, B: np.ndarray, b: np.ndarray, tol: float, maxiter: int) -> ExternalSolve:
        matrix = _matrix(PETSc, A, B)
        right_hand_side, x = PETSc.Vec().createWithArray(b.copy(), comm=PETSc.COMM_SELF), matrix.createVecRight()
        ksp = PETSc.KSP().create(PETSc.COMM_SELF)
        ksp.setOperators(matrix)
        ksp.setType("cg")
        ksp.setNormType(PETSc.KSP.NormType.UNPRECONDITIONED)
        ksp.setTolerances(rtol=tol, atol=0.0, divtol=1e30, max_it=maxiter)
        ksp.setConvergenceHistory(length=maxiter + 1)
        ksp.getPC().setType(kind)
        try:
            start = clock()
            ksp.setUp()
            setup_seconds = clock() - start
            start = clock()
            ksp.solve(right_hand_side, x)
            solve_seconds = clock() - start
            reason = ksp.getConvergedReason()
            operator_complexity, cycle_complexity = _complexities(ksp.getPC()) if kind == "gamg" else (math.nan,) * 2
            return ExternalSolve(
                setup_seconds=setup_seconds,
                solve_seconds=solve_seconds,
                iterations=ksp.getIterationNumber(),
                operator_complexity=operator_complexity,
                cycle_complexity=cycle_complexity,
                converged=reason > 0,
                residuals=np.array(ksp.getConvergenceHistory()),
                reason="" if reason > 0 else _reason(PETSc, reason, maxiter),
            )
        finally:
            for thing in (ksp, matrix, right_hand_side, x):  # else their memory waits for the garbage collector
                thing.destroy()

    return solve


def _matrix(PETSc: Any, A: Any, B: np.ndarray) -> Any:
    """A as AIJ, which hypre takes, with its block size, and the candidates as its near-nullspace, which GAMG takes."""
    matrix = petsc_matrix(PETSc, csr_array(A), PETSc.COMM_SELF)
    matrix.setBlockSize(block_size(A))
    matrix.setOption(PETSc.Mat.Option.SPD, True)
    orthonormal, _ = np.linalg.qr(B)
    columns = [PETSc.Vec().createWithArray(np.array(column), comm=PETSc.COMM_SELF) for column in orthonormal.T]
    matrix.setNearNullSpace(PETSc.NullSpace().create(vectors=columns, comm=PETSc.COMM_SELF))
    return matrix


def _complexities(pc: Any) -> tuple[float, float]:
    """Operator and cycle complexity from the operators of the levels, the coarsest first."""
    smoothers = [pc.getMGSmoother(level) for level in range(pc.getMGLevels())]
    coarsest, *finer = (smoother.getOperators()[0].getInfo()["nz_used"] for smoother in smoothers)
    finest = finer[-1] if finer else coarsest
    return (coarsest + sum(finer)) / finest, (coarsest + 2 * sum(finer)) / finest


def _reason(PETSc: Any, reason: int, maxiter: int) -> str:
    names = {value: name for name, value in vars(PETSc.KSP.ConvergedReason).items() if isinstance(value, int)}
    if names.get(reason) == "DIVERGED_MAX_IT":
        return f"not converged in {maxiter} iterations"
    return f"PETSc: {names.get(reason, reason)}"
