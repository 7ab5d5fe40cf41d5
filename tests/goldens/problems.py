"""Golden problems: patterns exactly, entries and candidates to rounding, which differs between mathematical libraries.

``python -m tests.goldens.problems`` in the repository root writes ``problems.json`` anew.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from rllib_psparsity.config.schema import FamilyConfig, ProblemsConfig
from rllib_psparsity.problems.distribution import ProblemDistribution
from rllib_psparsity.problems.families import FAMILIES
from rllib_psparsity.problems.problem import Problem

FILE = Path(__file__).with_name("problems.json")
IN_SPACE = ("diffusion_3d", "hexahedral_elements", "tetrahedral_elements", "tetrahedral_elasticity", "reservoir")


def problems() -> Iterator[tuple[str, Problem]]:
    """Of each family three small ones and three of the size that training uses."""
    for name in sorted(FAMILIES):
        for size in ((3, 6), (7, 11) if name in IN_SPACE else (24, 40)):
            family = FamilyConfig(family=name, size=size)
            distribution = ProblemDistribution(ProblemsConfig(families=(family,)), seed=11)
            for index in range(3):
                problem = distribution.training(index)
                yield f"{problem.name} from {size[0]}", problem


def summary(problem: Problem) -> dict:
    A, B = problem.A, problem.B
    return {
        "parameters": problem.parameters,
        "pattern": zlib.crc32(A.indices.astype("<i4").tobytes(), zlib.crc32(A.indptr.astype("<i4").tobytes())),
        "entries": [float(f"{np.abs(A.data).sum():.14g}"), _projection(A.data)],
        "candidates": [float(f"{np.abs(B).sum():.14g}"), _projection(B)],
    }


def _projection(values: np.ndarray) -> float:
    """A sum that a changed, exchanged or moved value changes, relative to the sum of all sizes."""
    values = values.ravel()
    return float(f"{values @ np.cos(np.arange(values.size)) / np.abs(values).sum():.14f}")


if __name__ == "__main__":
    FILE.write_text(json.dumps({key: summary(problem) for key, problem in problems()}, indent=1) + "\n")
