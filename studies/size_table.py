"""How long the learned solver takes beside PyAMG's default, relaxation, hypre and GAMG, by the number of unknowns."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

from rllib_psparsity.amg.portfolio import PYAMG_DEFAULT
from rllib_psparsity.evaluation.arms import LEARNED_SOLVER, RELAXATION_ALONE, TRAINED_POLICY
from rllib_psparsity.evaluation.comparison import geometric_mean
from rllib_psparsity.evaluation.external_methods import BOOMERAMG, GAMG
from studies.target_table import Key, Solved, SuiteRows, solved_by

OTHERS = (PYAMG_DEFAULT.name, RELAXATION_ALONE, GAMG, BOOMERAMG)
BOUNDS = (0, 2_000, 8_000, 30_000, 250_000, math.inf)
"""Of the ranges of unknowns, the smaller one included."""
LEGEND = (
    "Total time, set-up included, of the learned solver over that of another method, and in brackets of the policy "
    "alone, without checks and guard: geometric means over the problems of all suites that both solved, with their "
    "number where they are not all."
)


def size_table(suites: Sequence[SuiteRows]) -> list[str]:
    """Lines of Markdown; empty where no other method but PyAMG's default was measured."""
    others = {name: solved_by(suites, name) for name in OTHERS}
    if not others[GAMG] and not others[BOOMERAMG]:
        return []
    own = [solved_by(suites, name) for name in (LEARNED_SOLVER, TRAINED_POLICY)]
    lines = [
        "| unknowns | problems | " + " | ".join(f"/ {name}" for name in OTHERS) + " |",
        "|---" * (len(OTHERS) + 2) + "|",
    ]
    for low, high in pairwise(BOUNDS):
        keys = [key for key, case in own[0].items() if low <= case.unknowns < high]
        if keys:
            name = f"from {low:,} on" if high == math.inf else f"{low:,} to {high:,}"
            cells = [_cell(own, cases, keys) for cases in others.values()]
            lines.append(f"| {name} | {len(keys)} | " + " | ".join(cells) + " |")
    return [*lines, "", LEGEND]


def _cell(own: Sequence[dict[Key, Solved]], cases: dict[Key, Solved], keys: Sequence[Key]) -> str:
    """Mean ratios of both in time; the virtual best of a case, which all are relative to, cancels."""
    ratios = [
        [one[key].ratios.time / cases[key].ratios.time for key in keys if key in one and key in cases] for one in own
    ]
    means = [geometric_mean(values) if values else math.nan for values in ratios]
    if math.isnan(means[0]):
        return "-"
    solved = len(ratios[0])
    return f"{means[0]:.2f} ({means[1]:.2f})" + (f", {solved} of {len(keys)}" if solved < len(keys) else "")
