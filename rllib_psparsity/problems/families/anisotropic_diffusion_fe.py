"""Rotated anisotropic diffusion by bilinear finite elements."""

from __future__ import annotations

import numpy as np

from rllib_psparsity.problems.families.anisotropic_diffusion_fd import ROTATED_PARAMETERS, rotated_tensor
from rllib_psparsity.problems.families.family import Family, scalar_problem
from rllib_psparsity.problems.families.stencil import stencil_matrix
from rllib_psparsity.problems.problem import Problem

STIFFNESS = np.array([-1.0, 2.0, -1.0])
MASS = np.array([1.0, 4.0, 1.0]) / 6
SLOPE = np.array([-1.0, 0.0, 1.0]) / 2


def make(rng: np.random.Generator, size: int, *, epsilon: float, theta: float) -> Problem:
    """Rotated anisotropic diffusion, bilinear finite elements on squares.

    The problem and the convention of epsilon and theta are those of `anisotropic_diffusion_fd`: conductivity 1 along
    the angle theta from the x axis, epsilon across it. The stencil is the sum of tensor products of the stiffness,
    mass and derivative matrices of linear elements in one dimension; in two dimensions it has no factor of h.
    size x size interior points, x fastest.
    """
    k_xx, k_xy, k_yy = rotated_tensor(epsilon, theta)
    stencil = k_xx * np.outer(MASS, STIFFNESS) + k_yy * np.outer(STIFFNESS, MASS) - 2 * k_xy * np.outer(SLOPE, SLOPE)
    return scalar_problem(stencil_matrix(stencil, (size, size)), FAMILY.name, size, epsilon=epsilon, theta=theta)


FAMILY = Family("anisotropic_diffusion_fe", make, ROTATED_PARAMETERS)
