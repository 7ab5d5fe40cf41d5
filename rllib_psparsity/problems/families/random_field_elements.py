"""Bilinear elements in a random medium."""

from __future__ import annotations

import numpy as np

from rllib_psparsity.problems.families.family import Family, Parameter, scalar_problem
from rllib_psparsity.problems.families.finite_volumes import lognormal_field
from rllib_psparsity.problems.families.line_elements import assembled
from rllib_psparsity.problems.problem import Problem

ELEMENT = np.array([[4, -1, -1, -2], [-1, 4, -2, -1], [-1, -2, 4, -1], [-2, -1, -1, 4]]) / 6
"""Stiffness of the unit square; corners with x fastest."""


def make(rng: np.random.Generator, size: int, *, decades: float, correlation: float) -> Problem:
    """Diffusion with a lognormal conductivity per cell, bilinear finite elements on squares.

    -div(k grad u) on the unit square, u = 0 on the boundary, size x size interior points, x fastest; k is constant on
    each of the (size + 1)^2 cells, drawn as by `finite_volumes.lognormal_field`.
    """
    k = lognormal_field(rng, size + 1, decades, correlation)
    points = np.full((size + 2, size + 2), -1)
    points[1:-1, 1:-1] = np.arange(size * size).reshape(size, size)
    corners = np.stack([points[:-1, :-1], points[:-1, 1:], points[1:, :-1], points[1:, 1:]], axis=-1).reshape(-1, 4)
    matrix = assembled(corners, k.reshape(-1, 1, 1) * ELEMENT)
    return scalar_problem(matrix, FAMILY.name, size, decades=decades, correlation=correlation)


FAMILY = Family(
    "random_field_elements",
    make,
    {
        "decades": Parameter(0.0, 5.0, minimum=0.0, maximum=8.0, easy="low"),
        "correlation": Parameter(0.005, 0.3, minimum=1e-4, maximum=1.0, log=True, easy="high"),
    },
)
