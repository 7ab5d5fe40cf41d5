"""Anisotropic diffusion on an unstructured triangulation."""

from __future__ import annotations

import math

import numpy as np
from scipy.sparse import coo_array, csr_array
from scipy.spatial import Delaunay

from rllib_psparsity.problems.families.anisotropic_diffusion_fd import ROTATED_PARAMETERS
from rllib_psparsity.problems.families.family import Family, Parameter, scalar_problem
from rllib_psparsity.problems.problem import Problem

JITTER = 0.35
"""Largest displacement of an interior point along each axis, in grid widths."""

QUADRATURE = np.array([[1, 4, 1], [1, 1, 4]]) / 6
"""Barycentric coordinates 1 and 2 of the three points of the rule of degree two, of equal weights."""


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
    (radians). Quadrature at three points a triangle (exact for the constant tensor).
    """
    points, interior = jittered_points(rng, size)
    triangles = np.sort(Delaunay(points).simplices, axis=1)
    elements = element_matrices(points[triangles], epsilon, theta, turn)
    matrix = assembled(triangles, elements, interior)
    return scalar_problem(matrix, FAMILY.name, size, epsilon=epsilon, theta=theta, turn=turn)


def element_matrices(corners: np.ndarray, epsilon: float, theta: float, turn: float) -> np.ndarray:
    """(3, 3, T) stiffness of linear elements on triangles with (T, 3, 2) corners; K as `make` has it."""
    edges = corners[:, 1:] - corners[:, :1]  # (T, 2, 2), the columns of the affine map's matrix
    area = edges[:, 0, 0] * edges[:, 1, 1] - edges[:, 1, 0] * edges[:, 0, 1]  # twice the area, with a sign
    # Gradients of the barycentric coordinates, (2, T) each.
    one = np.stack([edges[:, 1, 1], -edges[:, 1, 0]]) / area
    two = np.stack([-edges[:, 0, 1], edges[:, 0, 0]]) / area
    gradients = (-one - two, one, two)
    x = np.outer(QUADRATURE[0], edges[:, 0, 0]) + np.outer(QUADRATURE[1], edges[:, 1, 0]) + corners[:, 0, 0]
    angle = theta + turn * x  # (3, T), as all that follows
    c, s = np.cos(angle), np.sin(angle)
    along = [c * g_x + s * g_y for g_x, g_y in gradients]
    across = [c * g_y - s * g_x for g_x, g_y in gradients]
    weight = np.abs(area) * (1 / 6)
    elements = np.empty((3, 3, len(corners)))
    for i in range(3):
        for j in range(i + 1):
            energy = along[i] * along[j] + epsilon * (across[i] * across[j])
            elements[i, j] = elements[j, i] = np.sum(energy * weight, axis=0)
    return elements


def assembled(triangles: np.ndarray, elements: np.ndarray, interior: np.ndarray) -> csr_array:
    """Sum of (3, 3, T) symmetric element matrices, rows and columns of the interior points only.

    Symmetric to the last bit: two triangles at most share an edge, and their sum does not depend on the order.
    """
    rows = np.tile(triangles.T, (3, 1)).ravel()
    columns = np.repeat(triangles.T, 3, axis=0).ravel()
    entries = elements.ravel()
    used = interior[rows] & (entries != 0)
    numbers = (np.cumsum(interior) - 1).astype(np.int32)
    shape = (int(interior.sum()), len(interior))
    matrix = coo_array((entries[used], (numbers[rows[used]], columns[used])), shape=shape).tocsr()
    kept = interior[matrix.indices] & (matrix.data != 0)
    indptr = np.concatenate([[0], np.cumsum(kept)])[matrix.indptr].astype(np.int32)
    return csr_array((matrix.data[kept], numbers[matrix.indices[kept]], indptr), shape=(shape[0], shape[0]))


FAMILY = Family(
    "unstructured_diffusion",
    make,
    {**ROTATED_PARAMETERS, "turn": Parameter(0.0, math.pi, minimum=0.0, maximum=4 * math.pi, easy="low")},
)
