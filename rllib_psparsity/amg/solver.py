"""PyAMG solvers of this package's hierarchies; as a preconditioner their V-cycle runs in this package's kernels."""

from __future__ import annotations

from typing import Any

import numpy as np
from pyamg.multilevel import MultilevelSolver
from pyamg.relaxation.smoothing import change_smoothers
from scipy.sparse.linalg import LinearOperator

from rllib_psparsity.amg.cycle import BlockVCycle
from rllib_psparsity.amg.hierarchy import Level


class HierarchySolver(MultilevelSolver):
    """A `pyamg.multilevel.MultilevelSolver` with PyAMG's default smoothers: one symmetric Gauss-Seidel sweep before and
    one after the coarse correction.

    As a preconditioner, so too in ``solve(accel="cg")``, its V-cycle is PyAMG's to rounding, but takes half of the
    time. PyAMG's is a solve of one iteration: it smooths a zero as if it were anything, and computes two residuals for
    a stopping test. Here the cycle starts from zero, in kernels that go through half a row wherever the other half is
    known. Other cycles are left to PyAMG, and those of a solver whose user has put other matrices or smoothers in the
    place of what it was made of.

    Parameters
    ----------
    levels : of the hierarchy
    coarse_solver : as PyAMG takes it
    finest : matrix, candidates and prolongator of the finest level, where they are not the hierarchy's: that one is
        made for S A S then
    s : (n,) diagonal of S
    inverses : those of the diagonal blocks (N, block, block) of a block matrix, for every level but the coarsest; PyAMG
        computes them otherwise
    """

    def __init__(
        self,
        levels: list[Level],
        coarse_solver: Any,
        finest: MultilevelSolver.Level | None = None,
        s: np.ndarray | None = None,
        inverses: list[np.ndarray] | None = None,
    ) -> None:
        entries = [pyamg_level(level.A, level.B, level.P, level.R) for level in levels]
        if finest is not None:
            entries[0] = finest
        super().__init__(entries, coarse_solver=coarse_solver)
        options = [{"Dinv": inverse} for inverse in inverses] if inverses else [{}]
        smoothers = [("block_gauss_seidel", {"sweep": "symmetric", **of_level}) for of_level in options]
        change_smoothers(self, presmoother=smoothers, postsmoother=smoothers)
        self._v_cycle = _VCycle(self, levels, s) if len(levels) > 1 else None

    def aspreconditioner(self, cycle: str = "V") -> LinearOperator:
        """One cycle from zero, for SciPy's and PyAMG's Krylov methods; `cycle` as in PyAMG's method."""
        theirs = super().aspreconditioner(cycle)
        if str(cycle).upper() != "V":
            return theirs

        def matvec(b: np.ndarray) -> np.ndarray:
            ours = self._v_cycle
            if ours is None or np.iscomplexobj(b) or not ours.is_of(self):
                return theirs.matvec(b)
            return ours(b)

        return LinearOperator(theirs.shape, matvec, dtype=theirs.dtype)


def pyamg_level(A: Any, B: np.ndarray, P: Any = None, R: Any = None) -> MultilevelSolver.Level:
    """A level as PyAMG holds it."""
    level = MultilevelSolver.Level()
    level.A, level.B = A, B
    if P is not None:
        level.P, level.R = P, R
    return level


class _VCycle:
    """The cycle of a solver as long as the solver stays what it was."""

    def __init__(self, solver: MultilevelSolver, levels: list[Level], s: np.ndarray | None) -> None:
        self._parts, self._s = _parts(solver), s
        self._coarse_solver, self._coarsest = solver.coarse_solver, levels[-1].A
        self._cycle = BlockVCycle(levels, self._solve_coarsest)

    def is_of(self, solver: MultilevelSolver) -> bool:
        now = _parts(solver)
        return len(now) == len(self._parts) and all(a is b for a, b in zip(now, self._parts, strict=True))

    def __call__(self, b: np.ndarray) -> np.ndarray:
        r = np.asarray(b, dtype=float).ravel()
        return self._cycle(r) if self._s is None else self._s * self._cycle(self._s * r)

    def _solve_coarsest(self, b: np.ndarray) -> np.ndarray:
        return self._coarse_solver(self._coarsest, b)


def _parts(solver: MultilevelSolver) -> list[Any]:
    """What a user may replace."""
    of_levels = [
        part
        for level in solver.levels[:-1]
        for part in (level.A, level.P, level.R, level.presmoother, level.postsmoother)
    ]
    return [*of_levels, solver.levels[-1].A, solver.coarse_solver]
