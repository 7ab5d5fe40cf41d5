"""Every method against the virtual best of the portfolio, in work per digit and in time, by family and over all."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rllib_psparsity.evaluation.comparison import geometric_mean, total_seconds, virtual_best, work_per_digit
from rllib_psparsity.evaluation.rows import Row

Case = tuple[str, int]
"""The name of a problem and the seed of the right-hand side."""


@dataclass(frozen=True)
class CaseRatios:
    """One method on one case that it solved: its figures over those of the virtual bests, 1 being as good.

    Attributes
    ----------
    family : str
    work, time : float
        The virtual best in work and that in time are two rows, each the portfolio's best in hindsight. NaN where no
        member of the portfolio solved the case, or where the method has no such figure.
    """

    family: str
    work: float
    time: float


@dataclass(frozen=True)
class MethodRatios:
    """One line of the table.

    Attributes
    ----------
    method : str
    work, time : float
        Geometric means over the cases that this method solved; NaN without any.
    solved, cases : int
        Cases that it solved, and that it was tried on.
    failures : tuple of (problem, reason)
    """

    method: str
    work: float
    time: float
    solved: int
    cases: int
    failures: tuple[tuple[str, str], ...]


def case_ratios(rows: Sequence[Row]) -> dict[str, dict[Case, CaseRatios]]:
    """Method -> case -> ratios, of the cases that it solved; methods in order of appearance."""
    found: dict[str, dict[Case, CaseRatios]] = {row["method"]: {} for row in rows}
    for seed in dict.fromkeys(row["seed"] for row in rows):
        of_seed = [row for row in rows if row["seed"] == seed]
        best_work = virtual_best(of_seed, figure=work_per_digit)
        best_time = virtual_best(of_seed, figure=total_seconds)
        for row in of_seed:
            if row["converged"]:
                found[row["method"]][row["problem"], seed] = CaseRatios(
                    row["family"],
                    _over(row, best_work.get(row["problem"]), work_per_digit),
                    _over(row, best_time.get(row["problem"]), total_seconds),
                )
    return found


def _over(row: Row, best: Row | None, figure: Callable[[Row], float]) -> float:
    return math.nan if best is None else figure(row) / figure(best)


def method_ratios(rows: Sequence[Row], family: str | None = None) -> dict[str, MethodRatios]:
    """Method -> its line, over all rows or those of one family."""
    rows = [row for row in rows if family is None or row["family"] == family]
    lines = {}
    for method, ratios in case_ratios(rows).items():
        own = [row for row in rows if row["method"] == method]
        lines[method] = MethodRatios(
            method,
            geometric_mean(ratio.work for ratio in ratios.values() if math.isfinite(ratio.work)),
            geometric_mean(ratio.time for ratio in ratios.values() if math.isfinite(ratio.time)),
            len(ratios),
            len(own),
            tuple((row["problem"], row["failure"]) for row in own if not row["converged"]),
        )
    return lines
