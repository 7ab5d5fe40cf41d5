"""Diffusion through a random medium whose conductivity jumps by decades."""

from __future__ import annotations

import numpy as np

from rllib_psparsity.problems.families.family import Family, Parameter, scalar_problem
from rllib_psparsity.problems.families.finite_volumes import finite_volume_matrix, lognormal_field
from rllib_psparsity.problems.problem import Problem


def make(rng: np.random.Generator, size: int, *, decades: float, correlation: float) -> Problem:
    """Diffusion with a lognormal conductivity per cell, five-point finite volumes.

    -div(k grad u) on the unit square, u = 0 on the boundary, size x size cells with the unknowns in their centres, x
    fastest. k is `lognormal_field`: `decades` is log10 of its largest over its smallest value, `correlation` its
    length as a share of the side. Harmonic means on the faces.
    """
    k = lognormal_field(rng, size, decades, correlation)
    matrix = finite_volume_matrix([k, k], fixed=(0, 1))
    return scalar_problem(matrix, FAMILY.name, size, decades=decades, correlation=correlation)


FAMILY = Family(
    "jump_diffusion",
    make,
    {
        "decades": Parameter(1.0, 6.0, minimum=0.0, maximum=8.0, easy="low"),
        "correlation": Parameter(0.005, 0.3, minimum=1e-4, maximum=1.0, log=True, easy="high"),
    },
)
