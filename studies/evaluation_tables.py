"""What `psparsity evaluate` found for the shipped policies: by suite, by family and on the largest problems."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rllib_psparsity.amg.portfolio import PYAMG_DEFAULT
from rllib_psparsity.evaluation.arms import (
    LEARNED_SOLVER,
    PRIOR_ALONE,
    RELAXATION_ALONE,
    TRAINED_POLICY,
    UNTRAINED_NETWORK,
)
from rllib_psparsity.evaluation.comparison import geometric_mean
from rllib_psparsity.evaluation.external_methods import BOOMERAMG, GAMG
from rllib_psparsity.evaluation.ratios import MethodRatios, method_ratios
from rllib_psparsity.evaluation.rows import Row, read_rows
from rllib_psparsity.evaluation.selector import SELECTOR
from studies.size_table import size_table
from studies.target_table import LARGE, solved_by, target_table

METHODS = (
    LEARNED_SOLVER,
    TRAINED_POLICY,
    UNTRAINED_NETWORK,
    PRIOR_ALONE,
    PYAMG_DEFAULT.name,
    f"{SELECTOR}, work",
    f"{SELECTOR}, time",
    RELAXATION_ALONE,
    GAMG,
    BOOMERAMG,
)
CLONE_OF = "clone_of_"
"""Before a policy's name, that of its behaviour clone."""
FARTHEST = 5
"""So many problems are named on which a policy's solver takes the most work."""
LEGEND = (
    "Each cell: work per digit and total time, set-up included, in ratio to the virtual best of the 27 classical "
    "configurations, once in work and once in time; geometric means over the problems that the method solved. Of the "
    "policies only the learned solver has the guard."
)


@dataclass(frozen=True)
class Evaluation:
    """One file: a policy on a suite."""

    policy: str
    suite: str
    rows: list[Row]
    repeats: int
    commit: str


@dataclass(frozen=True)
class Case:
    """A problem that a method solved, and its ratios to the virtual best."""

    suite: str
    problem: str
    family: str
    unknowns: int
    work: float
    time: float


def read_evaluations(directory: Path) -> list[Evaluation]:
    """Of every ``SUITE_POLICY.parquet`` there."""
    found = []
    for path in sorted(directory.glob("*.parquet")):
        rows, metadata = read_rows(path)
        suite = metadata["settings"]["suite"]
        repeats, commit = min(row["repeats"] for row in rows), metadata["calls"][-1]["commit"]
        found.append(Evaluation(path.stem.removeprefix(f"{suite}_"), suite, rows, repeats, commit))
    return found


def evaluation_section(evaluations: Sequence[Evaluation]) -> list[str]:
    """The tables of every policy, as lines of Markdown."""
    lines = [LEGEND]
    for policy in dict.fromkeys(one.policy for one in evaluations):
        own = [one for one in evaluations if one.policy == policy]
        lines += ["", f"### `{policy}`", "", *_suite_table(own), "", *_family_table(own), "", _farthest(own)]
        by_size = size_table([(one.suite, one.rows) for one in own])
        lines += ["", *by_size] if by_size else []
        if not policy.startswith(CLONE_OF):
            clone = [one for one in evaluations if one.policy == CLONE_OF + policy]
            suites, clones = ([(one.suite, one.rows) for one in found] for found in (own, clone))
            lines += ["", *target_table(suites, clones)]
    return lines


def ratio_cell(ratios: MethodRatios | None) -> str:
    """Work and time, and how many problems were not solved, if any; a dash for what there is not."""
    if ratios is None:
        return "-"
    unsolved = ratios.cases - ratios.solved
    figures = ("-" if math.isnan(value) else f"{value:.2f}" for value in (ratios.work, ratios.time))
    return ", ".join(figures) + (f" ({unsolved} not solved)" if unsolved else "")


def _suite_table(evaluations: Sequence[Evaluation]) -> list[str]:
    lines = [
        "| suite | problems | rounds | " + " | ".join(METHODS) + " | not solved by the learned solver | commit |",
        "|---" * (len(METHODS) + 5) + "|",
    ]
    for one in evaluations:
        ratios = method_ratios(one.rows)
        cells = [ratio_cell(ratios.get(method)) for method in METHODS]
        learned = ratios[LEARNED_SOLVER]
        failures = "; ".join(f"{problem} ({reason})" for problem, reason in learned.failures) or "none"
        lines.append(
            f"| `{one.suite}` | {learned.cases} | {one.repeats} | " + " | ".join(cells) + f" | {failures} | "
            f"{one.commit[:7]} |"
        )
    return lines


def _family_table(evaluations: Sequence[Evaluation]) -> list[str]:
    """The learned solver and the policy alone, over the problems of all suites."""
    methods = (LEARNED_SOLVER, TRAINED_POLICY)
    solved = [_cases(evaluations, method) for method in methods]
    families = sorted({case.family for case in solved[0]})
    groups = {name: [[case for case in cases if case.family == name] for cases in solved] for name in families}
    groups[f"from {LARGE:,} unknowns on"] = [[case for case in cases if case.unknowns >= LARGE] for cases in solved]
    lines = ["| family, all suites | problems | " + " | ".join(methods) + " |", "|---" * (len(methods) + 2) + "|"]
    for name, of_methods in groups.items():
        lines.append(f"| {name} | {len(of_methods[0])} | " + " | ".join(map(_means, of_methods)) + " |")
    return lines


def _farthest(evaluations: Sequence[Evaluation]) -> str:
    cases = sorted(_cases(evaluations, LEARNED_SOLVER), key=lambda case: -case.work)
    named = ", ".join(f"`{case.suite}` {case.problem} ({case.work:.2f})" for case in cases[:FARTHEST])
    return f"Most work of the learned solver, in ratio to the virtual best: {named}."


def _cases(evaluations: Sequence[Evaluation], method: str) -> list[Case]:
    """What both the method and the portfolio solved, of all suites."""
    found = []
    for (suite, problem, _), one in solved_by([(one.suite, one.rows) for one in evaluations], method).items():
        if math.isfinite(one.ratios.work):
            found.append(Case(suite, problem, one.ratios.family, one.unknowns, one.ratios.work, one.ratios.time))
    return found


def _means(cases: Sequence[Case]) -> str:
    if not cases:
        return "-"
    return f"{geometric_mean(case.work for case in cases):.2f}, {geometric_mean(case.time for case in cases):.2f}"
