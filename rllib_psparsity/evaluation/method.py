"""What a comparison measures: a named way to set up a hierarchy, timed."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from time import perf_counter, thread_time
from typing import TYPE_CHECKING, Protocol

from pyamg import MultilevelSolver

from rllib_psparsity.amg.measurement import SolveMeasurement, measure_solve
from rllib_psparsity.amg.portfolio import MAX_COARSE, PORTFOLIO, PYAMG_DEFAULT, ClassicalMethod, without_caches
from rllib_psparsity.evaluation.right_hand_side import right_hand_side
from rllib_psparsity.evaluation.rows import Row

if TYPE_CHECKING:
    from rllib_psparsity.problems.problem import Problem

PORTFOLIO_NAMES = tuple(method.name for method in PORTFOLIO)


class Measurable(Protocol):
    """What a comparison measures. A problem that `applies_to` refuses gets no row, so it is no failure."""

    @property
    def name(self) -> str: ...

    @property
    def applies_to(self) -> Callable[[Problem], bool]: ...

    def measure(self, problem: Problem, seed: int) -> Row:
        """The columns of `FAILED`, with the right-hand side of `seed`; an exception is a failure."""
        ...


FAILED: Row = {
    "work_per_digit": math.inf,
    "iterations": None,
    "operator_complexity": math.nan,
    "cycle_complexity": math.nan,
    "setup_seconds": math.nan,
    "solve_seconds": math.nan,
    "converged": False,
    "failure": "",
}
"""The measured columns where there is no solve."""


@dataclass(frozen=True)
class Method:
    """A named way to set up a hierarchy for a problem; `build` is all that is timed as set-up."""

    name: str
    build: Callable[[Problem], MultilevelSolver]
    applies_to: Callable[[Problem], bool] = lambda problem: True

    @classmethod
    def classical(cls, method: ClassicalMethod) -> Method:
        return cls(method.name, lambda problem: method.build(problem.A, problem.B), method.applies_to)

    def measure(self, problem: Problem, seed: int) -> Row:
        b = right_hand_side(problem, seed)
        made = attempt(problem, self, lambda ml: measure_solve(ml, b=b), cpu_time=True)
        times = {"setup_seconds": made.setup_seconds, "solve_seconds": made.solve_seconds, "failure": made.failure}
        if made.solve is None:
            return FAILED | times
        return {
            "work_per_digit": made.solve.work_per_digit,
            "iterations": made.solve.iterations,
            "operator_complexity": made.solve.operator_complexity,
            "cycle_complexity": made.solve.cycle_complexity,
            "converged": made.solve.converged,
            **times,
        }


def classical_methods() -> tuple[Method, ...]:
    """PyAMG's default and the 27 of the portfolio."""
    return tuple(Method.classical(method) for method in (PYAMG_DEFAULT, *PORTFOLIO))


@dataclass(frozen=True)
class Attempt:
    """One set-up and solve. `solve` is None, and `solve_seconds` NaN, after a set-up that failed; `failure` is empty
    for a solve that converged."""

    setup_seconds: float
    solve_seconds: float
    solve: SolveMeasurement | None
    failure: str


def attempt(
    problem: Problem,
    method: Method,
    measure: Callable[[MultilevelSolver], SolveMeasurement],
    *,
    cpu_time: bool = False,
) -> Attempt:
    """Set up and `measure` once; an exception of the method is a failure with its reason.

    Seconds are of a clock, or of this thread's CPU time, which other processes disturb less.
    """
    clock = thread_time if cpu_time else perf_counter
    problem = replace(problem, A=without_caches(problem.A))
    solve: SolveMeasurement | None = None
    failure = ""
    setup_seconds = solve_seconds = math.nan
    start = clock()
    try:
        ml = method.build(problem)
        setup_seconds = clock() - start
        if len(ml.levels) == 1 and problem.num_unknowns > MAX_COARSE:
            # It would converge in one iteration whose work no complexity counts.
            raise RuntimeError(f"nothing of {problem.num_unknowns} unknowns was coarsened: a direct solver")
        start = clock()
        solve = measure(ml)
        solve_seconds = clock() - start
    except Exception as error:
        setup_seconds = clock() - start if math.isnan(setup_seconds) else setup_seconds
        failure = f"{type(error).__name__}: {error}"
    if solve is not None and not solve.converged:
        failure = solve.reason
    return Attempt(setup_seconds, solve_seconds, solve, failure)
