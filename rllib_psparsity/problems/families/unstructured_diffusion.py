"""Anisotropic diffusion on an unstructured triangulation."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy.spatial import Delaunay

from rllib_psparsity.problems.families.anisotropic_diffusion_fd import ROTATED_PARAMETERS
from rllib_psparsity.problems.families.family import Family, Parameter, scalar_problem, symmetric_csr
from rllib_psparsity.problems.problem import Problem

JITTER = 0.35
"""Largest displacement of an interior point along each axis, in grid widths."""


def jittered_points(rng: np.random.Generator, size: int) -> tuple[np.ndarray, np.ndarray]:
    """((size + 2)^2, 2) points of the unit square, x fastest, and which of them are interior; only those move."""
    side = np.linspace(0, 1, size + 2)
    points = np.stack([np.tile(side, size + 2), np.repeat(side, size + 2)], axis=1)
    interior = np.all((points > 0) & (points < 1), axis=1)
    points[interior] += rng.uniform(-JITTER, JITTER, (size * size, 2)) / (size + 1)
    return points, interior


def make(rng: np.random.Generator, size: int, *, epsilon: float, theta: float, turn: float) -> Problem:
    """Anisotropic diffusion, constant or turning, linear elements on an unstructured triangulation.

    -div(K grad u) on the unit square, u = 0 on the boundary, on a Delaunay triangulation of a jittered grid with
    size x size interior points; the unknowns are those points. K has conductivity 1 along an angle and epsilon across
    it, as in `anisotropic_diffusion_fd`; the angle grows linearly with x from theta at x = 0 to theta + turn at x = 1
    (radians). Assembly by scikit-fem, with its default quadrature (exact for the constant tensor).
    """
    from skfem import Basis, BilinearForm, ElementTriP1, MeshTri  # costs 0.3 s: only for those who need it

    points, interior = jittered_points(rng, size)
    triangles = Delaunay(points).simplices.astype(np.int64)
    basis = Basis(MeshTri(np.ascontiguousarray(points.T), np.ascontiguousarray(triangles.T)), ElementTriP1())
    angle = theta + turn * basis.global_coordinates()[0]
    c, s = np.cos(angle), np.sin(angle)

    def energy(u: Any, v: Any, _: Any) -> Any:
        along = (c * u.grad[0] + s * u.grad[1]) * (c * v.grad[0] + s * v.grad[1])
        across = (c * u.grad[1] - s * u.grad[0]) * (c * v.grad[1] - s * v.grad[0])
        return along + epsilon * across

    stiffness = symmetric_csr(BilinearForm(energy).assemble(basis))
    matrix = stiffness[interior][:, interior]
    return scalar_problem(matrix, FAMILY.name, size, epsilon=epsilon, theta=theta, turn=turn)


FAMILY = Family(
    "unstructured_diffusion",
    make,
    {**ROTATED_PARAMETERS, "turn": Parameter(0.0, math.pi, minimum=0.0, maximum=4 * math.pi, easy="low")},
)
