"""Diffusion in three dimensions."""

from __future__ import annotations

import numpy as np

from rllib_psparsity.problems.families.family import Family, Parameter, scalar_problem
from rllib_psparsity.problems.families.stencil import stencil_matrix
from rllib_psparsity.problems.problem import Problem

CONDUCTIVITY = Parameter(0.001, 1.0, minimum=1e-8, maximum=1e8, log=True, easy="high")


def make(rng: np.random.Generator, size: int, *, k_x: float, k_y: float, k_z: float) -> Problem:
    """Diffusion in 3D with a conductivity per axis, seven-point finite differences.

    -(k_x u_xx + k_y u_yy + k_z u_zz) on the unit cube, u = 0 on the boundary, rows multiplied by h^2. Size is the
    number of interior points a side here too: size^3 unknowns, x fastest, then y.
    """
    stencil = np.zeros((3, 3, 3))
    stencil[1, 1, 1] = 2 * (k_x + k_y + k_z)
    stencil[1, 1, [0, 2]] = -k_x
    stencil[1, [0, 2], 1] = -k_y
    stencil[[0, 2], 1, 1] = -k_z
    return scalar_problem(stencil_matrix(stencil, (size, size, size)), FAMILY.name, size, k_x=k_x, k_y=k_y, k_z=k_z)


FAMILY = Family("diffusion_3d", make, {"k_x": CONDUCTIVITY, "k_y": CONDUCTIVITY, "k_z": CONDUCTIVITY})
