"""Diffusion by discontinuous elements."""

from __future__ import annotations

import numpy as np

from rllib_psparsity.problems.families.family import Family, Parameter, scalar_problem
from rllib_psparsity.problems.families.line_elements import discontinuous, tensor_matrix, widths
from rllib_psparsity.problems.families.tensor_elements import GRADING
from rllib_psparsity.problems.problem import Problem


def make(
    rng: np.random.Generator, size: int, *, degree: float, epsilon: float, grading: float, penalty: float
) -> Problem:
    """Diffusion, discontinuous Galerkin elements of degree 1 to 3 on a grid of rectangles.

    -u_xx - epsilon u_yy, u = 0 on the boundary, by the symmetric interior penalty method with `penalty` times what
    makes it positive definite (`line_elements.discontinuous`); the whole part of `degree` counts, `grading` is that of
    `tensor_elements`. Some size x size unknowns, at the Gauss-Lobatto points of the cells, those on faces once for
    every cell; x fastest.
    """
    p = int(degree)
    cells = max(2, round(size / (p + 1)))
    axes = [discontinuous(widths(rng, cells, grading), p, penalty) for _ in range(2)]
    matrix = tensor_matrix(axes, [1.0, epsilon], 0.0)
    parameters = {"degree": degree, "epsilon": epsilon, "grading": grading, "penalty": penalty}
    return scalar_problem(matrix, FAMILY.name, size, **parameters)


FAMILY = Family(
    "discontinuous_galerkin",
    make,
    {
        "degree": Parameter(1.0, 3.99, minimum=1.0, maximum=5.0, easy="low"),
        "epsilon": Parameter(0.1, 1.0, minimum=1e-8, maximum=1.0, log=True, easy="high"),
        "grading": GRADING,
        "penalty": Parameter(1.5, 10.0, minimum=1.1, maximum=100.0, log=True),
    },
)
