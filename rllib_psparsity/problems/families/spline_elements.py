"""Isogeometric analysis: diffusion and reaction by tensor products of B-splines."""

from __future__ import annotations

import numpy as np

from rllib_psparsity.problems.families.family import Family, Parameter, scalar_problem
from rllib_psparsity.problems.families.line_elements import splines, tensor_matrix, widths
from rllib_psparsity.problems.families.tensor_elements import GRADING, REACTION
from rllib_psparsity.problems.problem import Problem


def make(
    rng: np.random.Generator, size: int, *, degree: float, epsilon: float, grading: float, reaction: float
) -> Problem:
    """Diffusion and reaction, B-splines of degree 2 to 4 on a grid of rectangles, as smooth as their degree allows.

    -u_xx - epsilon u_yy + reaction u, u = 0 on the boundary; the whole part of `degree` counts. Widths of columns and
    rows of cells are lognormal, `grading` the standard deviation of their logarithm, their mean the unit of length.
    size x size unknowns, those of splines that vanish on the boundary, x fastest; each couples ``2 degree + 1`` along
    an axis. With the degree the splines get smoother, the mass of what oscillates smaller, and the matrix harder for
    multigrid.
    """
    cells = max(1, size + 2 - int(degree))
    axes = [splines(widths(rng, cells, grading), int(degree)) for _ in range(2)]
    matrix = tensor_matrix(axes, [1.0, epsilon], reaction)
    parameters = {"degree": degree, "epsilon": epsilon, "grading": grading, "reaction": reaction}
    return scalar_problem(matrix, FAMILY.name, size, **parameters)


FAMILY = Family(
    "spline_elements",
    make,
    {
        "degree": Parameter(2.0, 4.99, minimum=1.0, maximum=5.0, easy="low"),
        "epsilon": Parameter(0.01, 1.0, minimum=1e-8, maximum=1.0, log=True, easy="high"),
        "grading": GRADING,
        "reaction": REACTION,
    },
)
