"""Every method on every problem, and what the rows say."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np
from pyamg import MultilevelSolver

from rllib_psparsity.amg.measurement import SolveMeasurement, measure_solve
from rllib_psparsity.amg.portfolio import MAX_COARSE, PORTFOLIO, PYAMG_DEFAULT, ClassicalMethod, without_caches
from rllib_psparsity.errors import InputError
from rllib_psparsity.reporting.atomic import write_atomically

if TYPE_CHECKING:
    from rllib_psparsity.problems.problem import Problem

Row = dict[str, Any]

COLUMNS = {
    "problem": "string",
    "family": "string",
    "unknowns": "int64",
    "method": "string",
    "work_per_digit": "float64",
    "iterations": "int64",
    "operator_complexity": "float64",
    "cycle_complexity": "float64",
    "setup_seconds": "float64",
    "solve_seconds": "float64",
    "converged": "bool",
    "failure": "string",
}
"""Column -> Arrow type; one row a problem and method. After a failed set-up ``work_per_digit`` is infinite,
``iterations`` null, complexities and ``solve_seconds`` NaN. ``failure`` is the reason, empty for a converged solve."""

PORTFOLIO_NAMES = tuple(method.name for method in PORTFOLIO)
BEST_OF_PORTFOLIO = "best of portfolio"


@dataclass(frozen=True)
class Method:
    """A named way to set up a hierarchy for a problem.

    `build` is all that is timed as set-up. A problem that `applies_to` refuses gets no row, so it is no failure.
    """

    name: str
    build: Callable[[Problem], MultilevelSolver]
    applies_to: Callable[[Problem], bool] = lambda problem: True

    @classmethod
    def classical(cls, method: ClassicalMethod) -> Method:
        return cls(method.name, lambda problem: method.build(problem.A, problem.B), method.applies_to)


def classical_methods() -> tuple[Method, ...]:
    """PyAMG's default and the 27 of the portfolio."""
    return tuple(Method.classical(method) for method in (PYAMG_DEFAULT, *PORTFOLIO))


def compare(
    problems: Sequence[Problem],
    methods: Sequence[Method],
    seed: int,
    progress: Callable[[int, int], None] | None = None,
    repeats: int = 1,
) -> list[Row]:
    """One row (`COLUMNS`) for every method on every problem.

    The right-hand side of a problem is the same for all methods. Times are medians of `repeats` rounds; in each round
    the methods follow one another on a problem, so that a busy machine slows all of them alike. An exception of a
    method is a failure in its row. `progress` is called with the number of rows done and to do.
    """
    for kind, names in (("problem", [p.name for p in problems]), ("method", [m.name for m in methods])):
        twice = [name for name in dict.fromkeys(names) if names.count(name) > 1]
        if twice:
            raise InputError(f"the {kind} name {twice[0]!r} occurs twice in a comparison; give every {kind} its own")
    cases = [(problem, [m for m in methods if m.applies_to(problem)]) for problem in problems]
    total = sum(len(applicable) for _, applicable in cases)
    rows: list[Row] = []
    for problem, applicable in cases:
        rounds: list[list[Row]] = [[] for _ in applicable]
        for turn in range(repeats):
            for index, method in enumerate(applicable):
                rounds[index].append(_row(problem, method, seed))
                if progress is not None and turn == repeats - 1:
                    progress(len(rows) + index + 1, total)
        for of_method in rounds:
            medians = {key: float(np.median([row[key] for row in of_method])) for key in _TIMES}
            rows.append(of_method[0] | medians)
    return rows


_TIMES = ("setup_seconds", "solve_seconds")


@dataclass(frozen=True)
class Attempt:
    """One set-up and solve. `solve` is None, and `solve_seconds` NaN, after a set-up that failed; `failure` is empty
    for a solve that converged."""

    setup_seconds: float
    solve_seconds: float
    solve: SolveMeasurement | None
    failure: str


def attempt(problem: Problem, method: Method, measure: Callable[[MultilevelSolver], SolveMeasurement]) -> Attempt:
    """Set up and `measure` once, timed; an exception of the method is a failure with its reason."""
    problem = replace(problem, A=without_caches(problem.A))
    solve: SolveMeasurement | None = None
    failure = ""
    setup_seconds = solve_seconds = math.nan
    start = perf_counter()
    try:
        ml = method.build(problem)
        setup_seconds = perf_counter() - start
        if len(ml.levels) == 1 and problem.num_unknowns > MAX_COARSE:
            # It would converge in one iteration whose work no complexity counts.
            raise RuntimeError(f"nothing of {problem.num_unknowns} unknowns was coarsened: a direct solver")
        start = perf_counter()
        solve = measure(ml)
        solve_seconds = perf_counter() - start
    except Exception as error:
        setup_seconds = perf_counter() - start if math.isnan(setup_seconds) else setup_seconds
        failure = f"{type(error).__name__}: {error}"
    if solve is not None and not solve.converged:
        failure = solve.reason
    return Attempt(setup_seconds, solve_seconds, solve, failure)


def _row(problem: Problem, method: Method, seed: int) -> Row:
    made = attempt(problem, method, lambda ml: measure_solve(ml, seed))
    solve = made.solve
    return {
        "problem": problem.name,
        "family": problem.family,
        "unknowns": problem.num_unknowns,
        "method": method.name,
        "work_per_digit": solve.work_per_digit if solve else math.inf,
        "iterations": solve.iterations if solve else None,
        "operator_complexity": solve.operator_complexity if solve else math.nan,
        "cycle_complexity": solve.cycle_complexity if solve else math.nan,
        "setup_seconds": made.setup_seconds,
        "solve_seconds": made.solve_seconds,
        "converged": solve.converged if solve else False,
        "failure": made.failure,
    }


def virtual_best(rows: Iterable[Row], among: Sequence[str] = PORTFOLIO_NAMES) -> dict[str, Row]:
    """Problem name -> the row of least work per digit there: the best of the portfolio in hindsight."""
    best: dict[str, Row] = {}
    for row in rows:
        if row["method"] in among and row["converged"]:
            held = best.get(row["problem"])
            if held is None or row["work_per_digit"] < held["work_per_digit"]:
                best[row["problem"]] = row
    return best


def best_single_method(rows: Sequence[Row], among: Sequence[str] = PORTFOLIO_NAMES) -> str | None:
    """The portfolio's best method for all problems at once.

    That which solves the most problems, and among those the one of least geometric mean ratio to the virtual best.
    None if the rows hold no solve by the portfolio.
    """
    best = virtual_best(rows, among)
    logs: dict[str, list[float]] = {}
    for row in rows:
        if row["method"] in among and row["converged"]:
            ratio = row["work_per_digit"] / best[row["problem"]]["work_per_digit"]
            logs.setdefault(row["method"], []).append(math.log(ratio))
    return min(logs, key=lambda name: (-len(logs[name]), float(np.mean(logs[name])))) if logs else None


@dataclass(frozen=True)
class ArmSummary:
    """One line of the final table. All figures are over the `common` problems, those which every arm solved.

    Attributes
    ----------
    name : str
    work_per_digit : float
        Geometric mean; NaN without common problems, as the other figures.
    ratio_to_default, ratio_to_virtual_best : float
        Geometric mean of the ratio of work per digit, below 1 where this arm is better.
    operator_complexity : float
        Arithmetic mean.
    solved, problems, common : int
        Problems that this arm solved, all problems, and those that every arm solved.
    failures : tuple of str
        Names of the problems that this arm did not solve.
    """

    name: str
    work_per_digit: float
    ratio_to_default: float
    ratio_to_virtual_best: float
    operator_complexity: float
    solved: int
    problems: int
    common: int
    failures: tuple[str, ...]


def summarise(rows: Sequence[Row], arms: Sequence[str]) -> list[ArmSummary]:
    """A line for each of `arms` (names of methods), then the virtual best and the best single portfolio method.

    Without rows of the portfolio the last two lines are left out, and the ratio to the virtual best is NaN; likewise
    the ratio to PyAMG's default without rows of it. `InputError` if an arm has no row at all.
    """
    problems = list(dict.fromkeys(row["problem"] for row in rows))
    solved: dict[str, dict[str, Row]] = {}
    for row in rows:
        held = solved.setdefault(row["method"], {})
        if row["converged"]:
            held[row["problem"]] = row
    for arm in arms:
        if arm not in solved:
            raise InputError(f"the rows hold no method {arm!r}; choose from {', '.join(solved) or 'none'}")
    lines = {arm: solved[arm] for arm in arms}
    best = virtual_best(rows)
    single = best_single_method(rows)
    if single is not None:
        lines[BEST_OF_PORTFOLIO] = best
        lines[f"best single: {single}"] = solved[single]
    common = [problem for problem in problems if all(problem in held for held in lines.values())]

    def ratio(held: dict[str, Row], reference: dict[str, Row]) -> float:
        shared = [problem for problem in common if problem in reference]
        return geometric_mean(
            held[problem]["work_per_digit"] / reference[problem]["work_per_digit"] for problem in shared
        )

    return [
        ArmSummary(
            name=name,
            work_per_digit=geometric_mean(held[problem]["work_per_digit"] for problem in common),
            ratio_to_default=ratio(held, solved.get(PYAMG_DEFAULT.name, {})),
            ratio_to_virtual_best=ratio(held, best),
            operator_complexity=float(np.mean([held[p]["operator_complexity"] for p in common]))
            if common
            else math.nan,
            solved=len(held),
            problems=len(problems),
            common=len(common),
            failures=tuple(problem for problem in problems if problem not in held),
        )
        for name, held in lines.items()
    ]


def geometric_mean(values: Iterable[float]) -> float:
    """exp of the mean log of positive `values`; NaN if there are none."""
    logs = [math.log(value) for value in values]
    return math.exp(math.fsum(logs) / len(logs)) if logs else math.nan


def write_rows(path: Path, rows: Sequence[Row], metadata: Mapping[str, object]) -> None:
    """Write rows (`COLUMNS`) to a Parquet file, whole or not at all.

    `metadata` (seed, commit, command, ...) goes to the schema's metadata, each value as JSON under its own key.
    """
    import pyarrow as pa  # not needed by those who only solve and compare
    import pyarrow.parquet as pq

    fields = [(name, pa.type_for_alias(alias)) for name, alias in COLUMNS.items()]
    schema = pa.schema(fields, metadata={key: json.dumps(value) for key, value in metadata.items()})
    table = pa.Table.from_pylist([dict(row) for row in rows], schema=schema)
    write_atomically(Path(path), lambda temporary: pq.write_table(table, temporary))
