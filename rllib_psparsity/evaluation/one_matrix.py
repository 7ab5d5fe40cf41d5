"""Methods beside one another on one matrix and right-hand side, as `psparsity solve --compare` shows them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np

from rllib_psparsity.amg.measurement import digits_gained, measure_solve
from rllib_psparsity.amg.portfolio import PORTFOLIO, PYAMG_DEFAULT
from rllib_psparsity.amg.preconditioned_cg import STOPPED, Watch
from rllib_psparsity.evaluation.external_methods import ExternalMethod, external_methods
from rllib_psparsity.evaluation.method import Attempt, Method, attempt

if TYPE_CHECKING:
    from rllib_psparsity.problems.problem import Problem

FINALISTS = 2
"""Members of the portfolio that are shown."""
ROUNDS = 5
"""Of which the median time is taken, unless they took longer than `ROUNDS_SECONDS`: then fewer."""
ROUNDS_SECONDS = 30.0


@dataclass(frozen=True)
class MethodResult:
    """One method's line of the table.

    Attributes
    ----------
    name : str
    setup_seconds, solve_seconds : float
        Medians over the rounds; `solve_seconds` is NaN after a set-up that failed.
    iterations : int or None
    operator_complexity, work_per_digit : float
        See `SolveMeasurement`; NaN where the method does not tell.
    residuals : (iterations + 1,) float64
        Relative to the right-hand side; empty after a set-up that failed.
    failure : str, empty if converged
    """

    name: str
    setup_seconds: float
    solve_seconds: float
    iterations: int | None
    operator_complexity: float
    work_per_digit: float
    residuals: np.ndarray
    failure: str

    @property
    def total_seconds(self) -> float:
        return self.setup_seconds + self.solve_seconds


@dataclass(frozen=True)
class OneMatrixComparison:
    """Lines in a fixed order, and what is not in them.

    Attributes
    ----------
    results : the given methods, PyAMG's default, the portfolio's best by total time, external methods
    rounds : int, rounds that were timed
    tried : int, members of the portfolio that apply to the matrix
    failed : member of the portfolio -> why it did not solve the system
    unavailable : external method -> why it is not here, and what to do
    """

    results: tuple[MethodResult, ...]
    rounds: int
    tried: int
    failed: dict[str, str] = field(default_factory=dict)
    unavailable: dict[str, str] = field(default_factory=dict)


def compare_on(
    problem: Problem,
    b: np.ndarray,
    methods: Iterable[Method],
    *,
    tol: float,
    max_iterations: int,
    progress: Callable[[str], None] = lambda text: None,
) -> OneMatrixComparison:
    """Set up and solve with `methods` and their competitors, one after the other in each round.

    Every member of the portfolio is tried once; one that is slower than the best two so far is stopped. `progress` is
    told what is being done. An exception of a method is a failure in its line.
    """
    members = [Method.classical(member) for member in PORTFOLIO if member.applies_to(problem)]
    best, failed = _screen(problem, b, members, tol, max_iterations, progress)
    external, unavailable = external_methods()
    runs: dict[str, Callable[[], MethodResult]] = {}
    for method in (*methods, Method.classical(PYAMG_DEFAULT), *best):
        runs[method.name] = lambda method=method: _of_attempt(
            method.name,
            attempt(problem, method, lambda ml: measure_solve(ml, tol=tol, max_iterations=max_iterations, b=b)),
        )
    for name, solve in external.items():
        runs[name] = lambda name=name, solve=solve: _of_external(name, solve, problem, b, tol, max_iterations)
    held: dict[str, list[MethodResult]] = {name: [] for name in runs}
    rounds, start = 0, perf_counter()
    while rounds < ROUNDS and (rounds == 0 or (perf_counter() - start) * (rounds + 1) / rounds < ROUNDS_SECONDS):
        rounds += 1
        for name, run in runs.items():
            if not held[name] or not held[name][0].failure:
                progress(f"round {rounds}: {name}")
                held[name].append(run())
    return OneMatrixComparison(tuple(map(_median, held.values())), rounds, len(members), failed, unavailable)


def _screen(
    problem: Problem,
    b: np.ndarray,
    members: list[Method],
    tol: float,
    max_iterations: int,
    progress: Callable[[str], None],
) -> tuple[list[Method], dict[str, str]]:
    """The fastest of the portfolio, and the reasons of those that fail."""
    seconds: dict[str, float] = {}
    failed: dict[str, str] = {}
    for number, member in enumerate(reversed(members), 1):  # Ruge and Stueben's, often the fastest, come first
        progress(f"portfolio, {number} of {len(members)}: {member.name}")
        fastest = sorted(seconds.values())
        limit = fastest[FINALISTS - 1] if len(fastest) >= FINALISTS else math.inf
        watch = _until(perf_counter() + limit)
        made = attempt(
            problem,
            member,
            lambda ml, watch=watch: measure_solve(ml, tol=tol, max_iterations=max_iterations, b=b, watch=watch),
        )
        if not made.failure:
            seconds[member.name] = made.setup_seconds + made.solve_seconds
        elif made.failure != STOPPED:
            failed[member.name] = made.failure
    names = sorted(seconds, key=lambda name: seconds[name])[:FINALISTS]
    by_name = {member.name: member for member in members}
    return [by_name[name] for name in names], failed


def _until(end: float) -> Watch:
    return lambda iteration, residual: perf_counter() > end


def _of_attempt(name: str, made: Attempt) -> MethodResult:
    solve = made.solve
    return MethodResult(
        name=name,
        setup_seconds=made.setup_seconds,
        solve_seconds=made.solve_seconds,
        iterations=solve.iterations if solve else None,
        operator_complexity=solve.operator_complexity if solve else math.nan,
        work_per_digit=solve.work_per_digit if solve else math.inf,
        residuals=solve.residuals / solve.residuals[0] if solve else np.empty(0),
        failure=made.failure,
    )


def _of_external(
    name: str, method: ExternalMethod, problem: Problem, b: np.ndarray, tol: float, max_iterations: int
) -> MethodResult:
    start = perf_counter()
    try:
        solve = method(problem.A, problem.B, b, tol, max_iterations)
    except Exception as error:  # PETSc's, and whatever petsc4py makes of a matrix
        failure = " ".join(f"{type(error).__name__}: {error}".split())
        return MethodResult(name, perf_counter() - start, math.nan, None, math.nan, math.inf, np.empty(0), failure)
    work_per_digit = math.inf
    if solve.converged:
        work_per_digit = (solve.cycle_complexity + 1) * solve.iterations / digits_gained(solve.residuals)
    return MethodResult(
        name=name,
        setup_seconds=solve.setup_seconds,
        solve_seconds=solve.solve_seconds,
        iterations=solve.iterations,
        operator_complexity=solve.operator_complexity,
        work_per_digit=work_per_digit,
        residuals=solve.residuals / solve.residuals[0] if len(solve.residuals) else np.empty(0),
        failure=solve.reason,
    )


def _median(same: list[MethodResult]) -> MethodResult:
    """The first round's figures with the median times of all."""
    return replace(
        same[0],
        setup_seconds=float(np.median([result.setup_seconds for result in same])),
        solve_seconds=float(np.median([result.solve_seconds for result in same])),
    )
