"""Every method on every problem, and what the rows say."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from rllib_psparsity.amg.portfolio import PYAMG_DEFAULT
from rllib_psparsity.errors import InputError
from rllib_psparsity.evaluation.method import FAILED, PORTFOLIO_NAMES, Measurable
from rllib_psparsity.evaluation.rows import COLUMNS, Row

if TYPE_CHECKING:
    from rllib_psparsity.problems.problem import Problem

BEST_OF_PORTFOLIO = "best of portfolio"


def compare(
    problems: Sequence[Problem],
    methods: Sequence[Measurable],
    seed: int,
    progress: Callable[[int, int], None] | None = None,
    repeats: int = 1,
) -> list[Row]:
    """One row (`COLUMNS`) for every method on every problem.

    The right-hand side of a problem is the same for all methods. Times are CPU seconds of this thread, which other
    processes disturb less than they do a clock, and medians of `repeats` rounds; in each round the methods follow one
    another on a problem, so that a busy machine slows all of them alike, in an order of its own (`measure_rounds`). An
    exception of a method is a failure in its row. `progress` is called with the number of rows done and to do.
    """
    for kind, names in (("problem", [p.name for p in problems]), ("method", [m.name for m in methods])):
        twice = [name for name in dict.fromkeys(names) if names.count(name) > 1]
        if twice:
            raise InputError(f"the {kind} name {twice[0]!r} occurs twice in a comparison; give every {kind} its own")
    cases = [(problem, [m for m in methods if m.applies_to(problem)]) for problem in problems]
    total = sum(len(applicable) for _, applicable in cases)
    rows: list[Row] = []
    for problem, applicable in cases:
        rounds: list[Row] = []
        for row in measure_rounds(problem, applicable, seed, repeats):
            rounds.append(row)
            in_last = len(rounds) - (repeats - 1) * len(applicable)
            if progress is not None and in_last > 0:
                progress(len(rows) + in_last, total)
        rows += median_rows(rounds, applicable)
    return rows


def measure_rounds(problem: Problem, methods: Sequence[Measurable], seed: int, repeats: int) -> Iterator[Row]:
    """A row (``repeats`` is 1) for every method in every round, in the order in which they are measured.

    It is drawn anew for each round. On a large problem the first to need much memory waits for the system to give it,
    and whoever follows finds it there, which took the half of a set-up of 262,144 unknowns: in a fixed order always the
    same method would pay.
    """
    rng = np.random.default_rng([seed, *problem.name.encode()])
    for _ in range(repeats):
        for k in rng.permutation(len(methods)):
            yield _row(problem, methods[k], seed)


def median_rows(rounds: Iterable[Row], methods: Sequence[Measurable]) -> list[Row]:
    """One row for each of the methods that was measured on this problem, in their order, with medians of the times."""
    held: dict[str, list[Row]] = {}
    for row in rounds:
        held.setdefault(row["method"], []).append(row)
    return [
        same[0] | {key: float(np.median([row[key] for row in same])) for key in _TIMES} | {"repeats": len(same)}
        for same in (held[method.name] for method in methods if method.name in held)
    ]


_TIMES = ("setup_seconds", "solve_seconds")


def _row(problem: Problem, method: Measurable, seed: int) -> Row:
    try:
        measured = method.measure(problem, seed)
    except Exception as error:
        measured = FAILED | {"failure": f"{type(error).__name__}: {error}"}
    known = {
        "problem": problem.name,
        "family": problem.family,
        "unknowns": problem.num_unknowns,
        "nonzeros": int(problem.A.nnz),
        "method": method.name,
        "seed": seed,
        "repeats": 1,
    }
    row = known | measured
    return {name: row[name] for name in COLUMNS}


def work_per_digit(row: Row) -> float:
    """The figure of a row; infinite for a failure."""
    return row["work_per_digit"]


def total_seconds(row: Row) -> float:
    """Set-up and solve; NaN after a failed set-up."""
    return row["setup_seconds"] + row["solve_seconds"]


def virtual_best(
    rows: Iterable[Row],
    among: Sequence[str] = PORTFOLIO_NAMES,
    figure: Callable[[Row], float] = work_per_digit,
) -> dict[str, Row]:
    """Problem name -> the row of least `figure` there: the best of the portfolio in hindsight. Rows of one seed."""
    best: dict[str, Row] = {}
    for row in rows:
        if row["method"] in among and row["converged"]:
            held = best.get(row["problem"])
            if held is None or figure(row) < figure(held):
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
