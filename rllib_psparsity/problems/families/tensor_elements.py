"""Diffusion and reaction by elements of degree one to three on rectangles."""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_array

from rllib_psparsity.problems.families.family import Family, Parameter, scalar_problem
from rllib_psparsity.problems.families.line_elements import continuous, tensor_matrix, widths
from rllib_psparsity.problems.problem import Problem

GRADING = Parameter(0.0, 1.0, minimum=0.0, maximum=2.0, easy="low")
REACTION = Parameter(1e-6, 10.0, minimum=1e-8, maximum=1e4, log=True, easy="high")


def make(
    rng: np.random.Generator, size: int, *, degree: float, epsilon: float, grading: float, reaction: float
) -> Problem:
    """Diffusion and reaction, tensor-product elements of degree 1 to 3 on a grid of rectangles.

    -u_xx - epsilon u_yy + reaction u, u = 0 on the boundary; the whole part of `degree` counts. Widths of columns and
    rows of cells are lognormal, `grading` the standard deviation of their logarithm, their mean the unit of length: an
    implicit step of the heat equation is a large `reaction`. Some size x size unknowns, at the Gauss-Lobatto points of
    the cells, x fastest.
    """
    matrix = elements_matrix(rng, size, [1.0, epsilon], int(degree), grading, reaction)
    parameters = {"degree": degree, "epsilon": epsilon, "grading": grading, "reaction": reaction}
    return scalar_problem(matrix, FAMILY.name, size, **parameters)


def elements_matrix(
    rng: np.random.Generator, size: int, conductivity: list[float], degree: int, grading: float, reaction: float
) -> csr_array:
    """The matrix of `make`, for a conductivity by axis; some `size` unknowns along each."""
    cells = max(2, round((size + 1) / degree))
    axes = [continuous(widths(rng, cells, grading), degree) for _ in conductivity]
    return tensor_matrix(axes, conductivity, reaction)


FAMILY = Family(
    "tensor_elements",
    make,
    {
        "degree": Parameter(1.0, 3.99, minimum=1.0, maximum=5.0, easy="low"),
        "epsilon": Parameter(0.1, 1.0, minimum=1e-8, maximum=1.0, log=True, easy="high"),
        "grading": GRADING,
        "reaction": REACTION,
    },
)
