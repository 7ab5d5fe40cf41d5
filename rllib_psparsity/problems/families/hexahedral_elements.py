"""Diffusion and reaction by elements of degree one and two on boxes."""

from __future__ import annotations

import numpy as np

from rllib_psparsity.problems.families.family import Family, Parameter, scalar_problem
from rllib_psparsity.problems.families.tensor_elements import GRADING, REACTION, elements_matrix
from rllib_psparsity.problems.problem import Problem


def make(
    rng: np.random.Generator, size: int, *, degree: float, epsilon: float, grading: float, reaction: float
) -> Problem:
    """Diffusion and reaction in 3D, tensor-product elements of degree 1 or 2 on a grid of boxes.

    -u_xx - u_yy - epsilon u_zz + reaction u, else as `tensor_elements`; some size^3 unknowns, x fastest, then y.
    """
    matrix = elements_matrix(rng, size, [1.0, 1.0, epsilon], int(degree), grading, reaction)
    parameters = {"degree": degree, "epsilon": epsilon, "grading": grading, "reaction": reaction}
    return scalar_problem(matrix, FAMILY.name, size, **parameters)


FAMILY = Family(
    "hexahedral_elements",
    make,
    {
        "degree": Parameter(1.0, 2.5, minimum=1.0, maximum=3.0, easy="low"),
        "epsilon": Parameter(0.1, 1.0, minimum=1e-8, maximum=1.0, log=True, easy="high"),
        "grading": GRADING,
        "reaction": REACTION,
    },
)
