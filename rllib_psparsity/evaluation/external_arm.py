"""hypre and GAMG as methods of a comparison."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from rllib_psparsity.amg.measurement import digits_gained
from rllib_psparsity.evaluation.external_methods import ExternalMethod
from rllib_psparsity.evaluation.right_hand_side import right_hand_side
from rllib_psparsity.evaluation.rows import Row
from rllib_psparsity.problems.problem import Problem

TOLERANCE, MAX_ITERATIONS = 1e-8, 400
"""Those of `measure_solve`."""


@dataclass(frozen=True)
class ExternalArm:
    """One of `external_methods`, with the figures that it tells, and the seconds of its clock."""

    name: str
    method: ExternalMethod
    applies_to: Callable[[Problem], bool] = lambda problem: True

    def measure(self, problem: Problem, seed: int) -> Row:
        """The measured columns. Work per digit is NaN where the complexity of the cycle is not told."""
        b = right_hand_side(problem, seed)
        solve = self.method(problem.A, problem.B, b, TOLERANCE, MAX_ITERATIONS)
        work = math.inf
        if solve.converged:
            work = (solve.cycle_complexity + 1) * solve.iterations / digits_gained(solve.residuals)
        return {
            "work_per_digit": work,
            "iterations": solve.iterations,
            "operator_complexity": solve.operator_complexity,
            "cycle_complexity": solve.cycle_complexity,
            "setup_seconds": solve.setup_seconds,
            "solve_seconds": solve.solve_seconds,
            "converged": solve.converged,
            "failure": "" if solve.converged else solve.reason,
        }
