"""The golden hierarchies: their sizes and numbers must not drift unseen.

``python -m tests.goldens.hierarchies`` in the repository root writes ``hierarchies.json`` anew.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from rllib_psparsity.amg.hierarchy import Hierarchy, build_hierarchy
from rllib_psparsity.amg.limits import Limits
from rllib_psparsity.amg.recipe import parse_menu
from tests.amg.cases import prior, problem

FILE = Path(__file__).with_name("hierarchies.json")
PROBLEMS = ("fd", "nine_point", "jump", "unstructured", "three_d", "elasticity")
MENU = parse_menu(("sa/energy1/evolution", "rootnode/energy2/symmetric", "sa/jacobi/classical"))


def hierarchies() -> Iterator[tuple[str, Hierarchy]]:
    """The prior's mask on six problems, with three recipes each."""
    for name in PROBLEMS:
        case = problem(name, size=20)
        for number, recipe in enumerate(MENU):
            limits = Limits(max_coarse=12)
            yield (
                f"{name} {recipe.name}",
                build_hierarchy(case.A, case.B, prior(MENU, number), menu=MENU, limits=limits),
            )


def summary(h: Hierarchy) -> dict:
    return {
        "end": h.end,
        "unknowns": [level.A.shape[0] for level in h.levels],
        "nnz": [int(level.A.nnz) for level in h.levels],
        "sum_abs": [float(f"{np.abs(level.A.data).sum():.10g}") for level in h.levels],
    }


if __name__ == "__main__":
    FILE.write_text(json.dumps({key: summary(h) for key, h in hierarchies()}, indent=2) + "\n")
