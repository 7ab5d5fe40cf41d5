"""What the shipped policies were to reach, beside what they reach: one table a policy, whatever the answer."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rllib_psparsity.evaluation.arms import LEARNED_SOLVER, PRIOR_ALONE, TRAINED_POLICY, UNTRAINED_NETWORK
from rllib_psparsity.evaluation.comparison import geometric_mean
from rllib_psparsity.evaluation.ratios import CaseRatios, case_ratios
from rllib_psparsity.evaluation.rows import Row
from rllib_psparsity.evaluation.selector import SELECTOR

LARGE = 250_000
"""Unknowns from which on a problem counts as large."""
MIDDLE = (5_000, 20_000)
"""Unknowns of problems that count as of some 10,000."""
LEGEND = (
    "Geometric means over all problems of all suites above; the learned solver, with its guard, against the virtual "
    "best and the recipe selector, the policy alone against its clone, the prior and the untrained network."
)

Key = tuple[str, str, int]
"""Suite, problem, and seed of the right-hand side."""
SuiteRows = tuple[str, list[Row]]
"""The name of a suite and what was measured on it."""


@dataclass(frozen=True, slots=True)
class Solved:
    """A case that a method solved."""

    ratios: CaseRatios
    unknowns: int


def target_table(own: Sequence[SuiteRows], clone: Sequence[SuiteRows]) -> list[str]:
    """Lines of Markdown for a policy's suites; `clone` are those of its behaviour clone, which may be fewer."""
    learned, alone = solved_by(own, LEARNED_SOLVER), solved_by(own, TRAINED_POLICY)
    unsolved = sum(row["method"] == LEARNED_SOLVER and not row["converged"] for _, rows in own for row in rows)
    middle = {key: case for key, case in learned.items() if MIDDLE[0] <= case.unknowns <= MIDDLE[1]}
    large = {key: case for key, case in learned.items() if case.unknowns >= LARGE}
    by_family = {
        family: _mean([case.ratios.work for case in learned.values() if case.ratios.family == family])
        for family in sorted({case.ratios.family for case in learned.values()})
    }
    worst = max((name for name in by_family if not math.isnan(by_family[name])), key=by_family.__getitem__, default="")
    lines = [
        _line("work per digit / virtual best", _mean_of(learned, _work), 1.0, 0.9),
        _line(f"total time / virtual best, {MIDDLE[0]:,} to {MIDDLE[1]:,} unknowns", _mean_of(middle, _time), 1.2, 1.0),
        _line(f"total time / virtual best, from {LARGE:,} unknowns on", _mean_of(large, _time), 1.0, 0.8),
        _line(
            "work per digit / recipe selector", _over(learned, solved_by(own, f"{SELECTOR}, work"), _work), 1.0, 0.85
        ),
        _line("total time / recipe selector", _over(learned, solved_by(own, f"{SELECTOR}, time"), _time), 1.0, 0.85),
        _line("problems not solved", float(unsolved), 0.0, 0.0, "{:.0f}"),
        _line("work per digit / behaviour clone", _over(alone, solved_by(clone, TRAINED_POLICY), _work), 0.97, 0.9),
        _line("work per digit / prior alone", _over(alone, solved_by(own, PRIOR_ALONE), _work), 0.85, 0.7),
        _line("work per digit / untrained network", _over(alone, solved_by(own, UNTRAINED_NETWORK), _work), 0.85, 0.7),
        _line(f"work per digit / virtual best, worst family ({worst})", by_family.get(worst, math.nan), 1.15, 1.0),
    ]
    return ["| aim | minimum | target | reached | |", "|---|---|---|---|---|", *lines, "", LEGEND]


def solved_by(suites: Sequence[SuiteRows], method: str) -> dict[Key, Solved]:
    """What a method solved, of all suites."""
    found = {}
    for suite, rows in suites:
        unknowns = {row["problem"]: row["unknowns"] for row in rows}
        for (problem, seed), ratios in case_ratios(rows).get(method, {}).items():
            found[suite, problem, seed] = Solved(ratios, unknowns[problem])
    return found


def _line(about: str, reached: float, minimum: float, target: float, form: str = "{:.3f}") -> str:
    if math.isnan(reached):
        return f"| {about} | {form.format(minimum)} | {form.format(target)} | - | not measured |"
    verdict = "target met" if reached <= target else "minimum met" if reached <= minimum else "**missed**"
    low, high, shown = (form.format(figure) for figure in (minimum, target, reached))
    if shown in (low, high) and reached not in (minimum, target):
        shown = f"{reached:.4f}"  # else it would not say on which side of the aim it is
    return f"| {about} | {low} | {high} | {shown} | {verdict} |"


def _work(case: Solved) -> float:
    return case.ratios.work


def _time(case: Solved) -> float:
    return case.ratios.time


def _mean_of(cases: dict[Key, Solved], figure: Callable[[Solved], float]) -> float:
    return _mean([figure(case) for case in cases.values()])


def _over(cases: dict[Key, Solved], others: dict[Key, Solved], figure: Callable[[Solved], float]) -> float:
    """Mean ratio on what both solved: the virtual best of a case, which both are relative to, cancels."""
    return _mean([figure(case) / figure(others[key]) for key, case in cases.items() if key in others])


def _mean(values: Sequence[float]) -> float:
    finite = [value for value in values if math.isfinite(value)]
    return geometric_mean(finite) if finite else math.nan
