"""Diffusion by elements of degree one to three on meshes that were made coarse and then refined."""

from __future__ import annotations

from functools import lru_cache
from itertools import combinations

import numpy as np
from scipy.spatial import Delaunay

from rllib_psparsity.problems.families.anisotropic_diffusion_fd import ROTATED_PARAMETERS
from rllib_psparsity.problems.families.family import Family, Parameter, scalar_problem
from rllib_psparsity.problems.families.line_elements import assembled
from rllib_psparsity.problems.families.triangular_mesh import lattice
from rllib_psparsity.problems.problem import Problem

SIDES = np.array(list(combinations(range(3), 2)))
"""Corners of a triangle's sides: 01, 02, 12."""
COARSEST = 3
"""Fewest cells a side that a mesh starts from; it is refined less often where it would have fewer."""


def make(
    rng: np.random.Generator,
    size: int,
    *,
    degree: float,
    epsilon: float,
    theta: float,
    jitter: float,
    grading: float,
    refinements: float,
) -> Problem:
    """Anisotropic diffusion, elements of degree 1 to 3 on a refined triangular mesh.

    -div(K grad u), u = 0 on the boundary of the unit square; K has conductivity 1 along theta (radians) and epsilon
    across it. A coarse lattice is shaken and graded as in `triangular_mesh`; then every triangle is divided into four,
    `refinements` times. Whole parts of `degree` and `refinements` count. Some size x size unknowns, at the points of a
    triangle whose barycentric coordinates are multiples of 1 / degree: corners first, then sides, then the inside.
    """
    p = int(degree)
    cells = max(COARSEST, round((size + 1) / p))
    times = min(int(refinements), int(np.log2(cells / COARSEST)))
    points, interior = lattice(round(cells / 2**times) - 1)
    points[interior] += rng.uniform(-jitter, jitter, (int(interior.sum()), 2)) / (cells / 2**times)
    triangles = np.sort(Delaunay(points).simplices, axis=1)
    points *= np.linalg.norm(points, axis=1, keepdims=True) ** grading
    for _ in range(times):
        points, triangles = refined(points, triangles)
    unknowns = interior_numbers(triangles, len(points), p)
    matrix = assembled(unknowns, stiffness(points[triangles], epsilon, theta, p))
    parameters = {"degree": degree, "epsilon": epsilon, "theta": theta, "jitter": jitter, "grading": grading}
    return scalar_problem(matrix, FAMILY.name, size, **parameters, refinements=refinements)


def sides_of(triangles: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(S, 2) ends of every side, once; (T, 3) sides of the triangles (T, 3); (S,) how many triangles have it."""
    ends, numbers, counts = np.unique(
        triangles[:, SIDES].reshape(-1, 2), axis=0, return_inverse=True, return_counts=True
    )
    return ends, numbers.reshape(-1, 3), counts


def refined(points: np.ndarray, triangles: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Every triangle divided into four by the midpoints of its sides; corners sorted."""
    ends, sides, _ = sides_of(triangles)
    middle = sides + len(points)
    corner = [np.stack([triangles[:, k], *middle[:, np.any(k == SIDES, axis=1)].T], axis=1) for k in range(3)]
    return np.concatenate([points, points[ends].mean(axis=1)]), np.sort(np.concatenate([*corner, middle]), axis=1)


def interior_numbers(triangles: np.ndarray, corners: int, degree: int) -> np.ndarray:
    """(T, d) number of every point of the triangles, -1 on the boundary; in the order of `lagrange_points`."""
    ends, sides, counts = sides_of(triangles)
    inside = np.ones(corners + len(ends) * (degree - 1), dtype=bool)
    inside[ends[counts == 1]] = False
    on_sides = corners + np.arange(len(ends) * (degree - 1)).reshape(len(ends), -1)
    inside[on_sides[counts == 1]] = False
    of_cells = (degree - 1) * (degree - 2) // 2
    number = np.where(inside, np.cumsum(inside) - 1, -1)
    own = inside.sum() + np.arange(len(triangles) * of_cells).reshape(len(triangles), of_cells)
    return np.concatenate([number[triangles], number[on_sides[sides]].reshape(len(triangles), -1), own], axis=1)


def lagrange_points(degree: int) -> np.ndarray:
    """(d, 3) barycentric coordinates, times degree: corners; sides, from their lower corner; the inside."""
    corners = degree * np.eye(3, dtype=int)
    sides = [(corners[i] * (degree - k) + corners[j] * k) // degree for i, j in SIDES for k in range(1, degree)]
    inside = [(degree - i - j, i, j) for j in range(1, degree) for i in range(1, degree - j)]
    return np.array([*corners, *sides, *inside])


@lru_cache(maxsize=8)
def unit_triangle(degree: int) -> np.ndarray:
    """(2, 2, d, d) integrals of the products of both derivatives of the basis over the triangle (0, 0), (1, 0), (0, 1).

    By monomials x^a y^b, whose integral is a! b! / (a + b + 2)!: exact but for rounding.
    """
    powers = np.array([(a, b) for a in range(degree + 1) for b in range(degree + 1 - a)])
    x = lagrange_points(degree)[:, 1:] / degree
    to_basis = np.linalg.inv(np.prod(x[:, None] ** powers, axis=2))  # columns: the basis, in monomials
    integral = monomial_integrals(2 * degree)
    result = np.empty((2, 2, len(powers), len(powers)))
    for i in range(2):
        for j in range(2):
            lowered = [powers - np.eye(2, dtype=int)[axis] for axis in (i, j)]
            sums = np.maximum(lowered[0][:, None] + lowered[1], 0)
            products = np.outer(powers[:, i], powers[:, j]) * integral[sums[..., 0], sums[..., 1]]
            result[i, j] = to_basis.T @ products @ to_basis
    return result


def monomial_integrals(largest: int) -> np.ndarray:
    """(largest + 1, largest + 1): of x^a y^b over the unit triangle."""
    factorial = np.cumprod([1.0, *range(1, 2 * largest + 3)])
    a, b = np.indices((largest + 1, largest + 1))
    return factorial[a] * factorial[b] / factorial[a + b + 2]


def stiffness(corners: np.ndarray, epsilon: float, theta: float, degree: int) -> np.ndarray:
    """(T, d, d) element matrices of triangles with corners (T, 3, 2); K as `make` has it."""
    sides = (corners[:, 1:] - corners[:, :1]).swapaxes(1, 2)  # the affine map's matrix
    inverse = np.linalg.inv(sides)
    along = np.array([np.cos(theta), np.sin(theta)])
    across = np.array([-along[1], along[0]])
    K = np.outer(along, along) + epsilon * np.outer(across, across)
    metric = inverse @ K @ inverse.swapaxes(1, 2) * abs(np.linalg.det(sides))[:, None, None]
    return np.einsum("tij,ijab->tab", metric, unit_triangle(degree))


FAMILY = Family(
    "triangular_elements",
    make,
    {
        "degree": Parameter(1.0, 3.99, minimum=1.0, maximum=5.0, easy="low"),
        "epsilon": Parameter(0.1, 1.0, minimum=1e-8, maximum=1.0, log=True, easy="high"),
        "theta": ROTATED_PARAMETERS["theta"],
        "jitter": Parameter(0.0, 0.25, minimum=0.0, maximum=0.3),
        "grading": Parameter(0.0, 2.0, minimum=0.0, maximum=4.0, easy="low"),
        "refinements": Parameter(0.0, 3.99, minimum=0.0, maximum=8.0),
    },
)
