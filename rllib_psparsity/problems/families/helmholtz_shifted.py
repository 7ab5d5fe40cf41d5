"""The Helmholtz operator below its first resonance."""

from __future__ import annotations

import math

import numpy as np

from rllib_psparsity.problems.families.family import Family, Parameter, scalar_problem
from rllib_psparsity.problems.families.stencil import stencil_matrix
from rllib_psparsity.problems.problem import Problem


def smallest_laplace_eigenvalue(size: int) -> float:
    """Smallest eigenvalue of the five-point stencil (4; -1) on size x size interior points, Dirichlet, exactly."""
    return 8 * math.sin(math.pi / (2 * (size + 1))) ** 2


def make(rng: np.random.Generator, size: int, *, shift: float) -> Problem:
    """Helmholtz operator -Laplace - k^2, shifted to less than the first resonance: positive definite.

    -Laplace(u) - k^2 u on the unit square, u = 0 on the boundary, five-point finite differences with rows multiplied
    by h^2, size x size interior points, x fastest. The wavenumber is given by k^2 = shift x lambda_1, lambda_1 the
    smallest eigenvalue of the *discrete* Laplacian, so the smallest eigenvalue left is (1 - shift) lambda_1 > 0. This
    is a real, negative shift of the Laplacian, not the complex-shifted preconditioner of indefinite problems.
    """
    stencil = np.array(
        [[0.0, -1.0, 0.0], [-1.0, 4.0 - shift * smallest_laplace_eigenvalue(size), -1.0], [0.0, -1.0, 0.0]]
    )
    return scalar_problem(stencil_matrix(stencil, (size, size)), FAMILY.name, size, shift=shift)


FAMILY = Family("helmholtz_shifted", make, {"shift": Parameter(0.0, 0.9, minimum=0.0, maximum=0.999, easy="low")})
