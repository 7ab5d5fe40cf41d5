"""Pressure in layered rock: diffusion in three dimensions through a medium that varies from cell to cell."""

from __future__ import annotations

import numpy as np

from rllib_psparsity.problems.families.family import Family, Parameter, scalar_problem
from rllib_psparsity.problems.families.finite_volumes import finite_volume_matrix, smooth_noise
from rllib_psparsity.problems.problem import Problem


def make(
    rng: np.random.Generator,
    size: int,
    *,
    decades: float,
    correlation: float,
    flatness: float,
    rocks: float,
    vertical: float,
) -> Problem:
    """Diffusion with a random conductivity per cell in three dimensions, seven-point finite volumes.

    -div(K grad u) on size x size x size cells, x fastest, then y; u = 0 at both ends of the x axis, and nothing flows
    through the other sides. The logarithm of the conductivity is white noise smoothed over `correlation` sides of the
    domain along x and y, over `flatness` times as much along z. With `rocks` below 2 it varies smoothly; else its whole
    part is the number of rocks, each with one conductivity and the same volume. Either way log10 of the largest over
    the smallest value is `decades`. Along z it is multiplied by `vertical`: of rocks that conduct less upwards, and of
    cells thinner than they are wide, by whose aspect ratio squared it grows. Harmonic means on the faces.

    Such fields, with 85 x 220 x 60 cells, are those of the comparison of Christie and Blunt (2001), whose rock conducts
    up to eight decades differently.
    """
    wide = correlation * size
    unit = smooth_noise(rng, (size, size, size), (flatness * wide, wide, wide))
    if rocks >= 2:
        unit = _rocks(rng, unit, int(rocks))
    k = 10.0 ** (decades * (unit - 0.5))
    parameters = {"decades": decades, "correlation": correlation, "flatness": flatness, "rocks": rocks}
    matrix = finite_volume_matrix([vertical * k, k, k], fixed=(2,))
    return scalar_problem(matrix, FAMILY.name, size, **parameters, vertical=vertical)


def _rocks(rng: np.random.Generator, unit: np.ndarray, count: int) -> np.ndarray:
    """Values evenly from 0 to 1, in random order, for the `count` parts of equal volume between quantiles."""
    rank = np.empty(unit.size, dtype=np.int64)
    rank[np.argsort(unit, axis=None, kind="stable")] = np.arange(unit.size)
    return rng.permutation(np.linspace(0.0, 1.0, count))[rank * count // unit.size].reshape(unit.shape)


FAMILY = Family(
    "reservoir",
    make,
    {
        "decades": Parameter(1.0, 6.0, minimum=0.0, maximum=8.0, easy="low"),
        "correlation": Parameter(0.02, 0.3, minimum=1e-4, maximum=1.0, log=True, easy="high"),
        "flatness": Parameter(0.02, 1.0, minimum=1e-3, maximum=10.0, log=True, easy="high"),
        "rocks": Parameter(1.0, 5.99, minimum=1.0, maximum=100.0, easy="low"),
        "vertical": Parameter(0.01, 100.0, minimum=1e-6, maximum=1e6, log=True),
    },
)
