"""Rotated anisotropic diffusion by finite differences."""

from __future__ import annotations

import math

import numpy as np

from rllib_psparsity.problems.families.family import Family, Parameter, scalar_problem
from rllib_psparsity.problems.families.stencil import stencil_matrix
from rllib_psparsity.problems.problem import Problem

ROTATED_PARAMETERS = {
    "epsilon": Parameter(0.001, 0.5, minimum=1e-8, maximum=1.0, log=True, easy="high"),
    "theta": Parameter(0.0, 2 * math.pi, minimum=-4 * math.pi, maximum=4 * math.pi),
}


def rotated_tensor(epsilon: float, theta: float) -> tuple[float, float, float]:
    """k_xx, k_xy, k_yy of the tensor K = R diag(1, epsilon) R^T, R the rotation by theta (radians).

    So heat flows with conductivity 1 along the direction (cos theta, sin theta), the angle measured from the x axis
    towards the y axis, and with conductivity epsilon across it. theta = 0 couples neighbours in x strongly.
    """
    c, s = math.cos(theta), math.sin(theta)
    return c * c + epsilon * s * s, (1 - epsilon) * c * s, s * s + epsilon * c * c


def make(rng: np.random.Generator, size: int, *, epsilon: float, theta: float) -> Problem:
    """Rotated anisotropic diffusion, finite differences with nine points.

    -div(K grad u) on the unit square, u = 0 on the boundary, K of `rotated_tensor`: constant, conductivity 1 along the
    angle theta from the x axis, epsilon across it. size x size interior points, x fastest in the numbering, rows
    multiplied by h^2; u_xy by the central difference over the four corners. PyAMG's
    `diffusion_stencil_2d(epsilon, theta, "FD")` has the same tensor but numbers y fastest: its matrix for the same
    theta is this one with x and y exchanged.
    """
    k_xx, k_xy, k_yy = rotated_tensor(epsilon, theta)
    corner = 0.5 * k_xy
    stencil = np.array(
        [
            [-corner, -k_yy, corner],
            [-k_xx, 2 * (k_xx + k_yy), -k_xx],
            [corner, -k_yy, -corner],
        ]
    )
    return scalar_problem(stencil_matrix(stencil, (size, size)), FAMILY.name, size, epsilon=epsilon, theta=theta)


FAMILY = Family("anisotropic_diffusion_fd", make, ROTATED_PARAMETERS)
