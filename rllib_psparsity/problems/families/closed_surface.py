"""Diffusion on closed surfaces, as scanners, anatomy and computer graphics have them: meshes without a boundary."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
from scipy.spatial import ConvexHull

from rllib_psparsity.problems.families.family import Family, Parameter, scalar_problem, symmetric_csr
from rllib_psparsity.problems.problem import Problem
from rllib_psparsity.problems.surface_laplacian import surface_laplacian

FOLDS = 6
"""Waves that bend the surface."""
WAVES = (2.0, 10.0)
"""Their wave numbers, in units of the inverse radius."""


def icosahedron() -> np.ndarray:
    """(12, 3) corners."""
    golden = (1 + math.sqrt(5)) / 2
    corners = np.array([(0.0, one, other) for one, other in product((-1.0, 1.0), (-golden, golden))])
    return np.concatenate([np.roll(corners, shift, axis=1) for shift in range(3)])


def sphere_points(frequency: int) -> np.ndarray:
    """(10 frequency^2 + 2, 3) points of the unit sphere: the faces of an icosahedron, each cut into frequency^2."""
    corners = icosahedron()
    one, two = np.indices((frequency + 1, frequency + 1)).reshape(2, -1)
    one, two = one[one + two <= frequency], two[one + two <= frequency]
    # Each point as whole multiples of the corners, by which faces that share an edge know their common points.
    multiples = np.zeros((20, len(one), 12), dtype=np.int64)
    for face, (a, b, c) in enumerate(np.sort(ConvexHull(corners).simplices, axis=1)):
        multiples[face][:, [a, b, c]] = np.stack([one, two, frequency - one - two], axis=1)
    return _on_sphere(np.unique(multiples.reshape(-1, 12), axis=0) @ corners)


def surface(
    rng: np.random.Generator, size: int, stretch: float, folds: float, jitter: float
) -> tuple[np.ndarray, np.ndarray]:
    """(n, 3) points and (t, 3) triangles of `make`."""
    points = sphere_points(max(1, round(size / math.sqrt(10))))
    width = math.sqrt(8 * math.pi / math.sqrt(3) / len(points))  # of equilateral triangles, two a point
    points = _on_sphere(points + rng.uniform(-jitter, jitter, points.shape) * width)
    triangles = np.sort(ConvexHull(points).simplices, axis=1)
    directions = _on_sphere(rng.standard_normal((FOLDS, 3)))
    numbers, phases = rng.uniform(*WAVES, FOLDS), rng.uniform(0, 2 * math.pi, FOLDS)
    radius = 1 + folds * np.cos(points @ (directions.T * numbers) + phases).mean(axis=1)
    return points * radius[:, None] * [1, 1, stretch], triangles


def make(rng: np.random.Generator, size: int, *, shift: float, stretch: float, folds: float, jitter: float) -> Problem:
    """Diffusion on a closed surface, linear elements: -Laplace-Beltrami(u) + shift u, the mass lumped.

    Some size^2 points of a sphere of radius 1, the corners of triangles that are nearly equilateral and meet in sixes,
    but in fives at twelve points; moved by up to `jitter` widths along each axis. Then the radius is multiplied by 1
    and up to `folds` more or less, in waves along random directions, and the third axis by `stretch`. Without a
    boundary nothing but the shift keeps the matrix from being singular.
    """
    points, triangles = surface(rng, size, stretch, folds, jitter)
    matrix = symmetric_csr(surface_laplacian(points, triangles))
    a, b, c = points[triangles.T]
    area = 0.5 * np.linalg.norm(np.cross(b - a, c - a), axis=1)
    mass = np.bincount(triangles.ravel(), np.repeat(area / 3, 3), len(points))
    matrix.setdiag(matrix.diagonal() + shift * mass)
    parameters = {"shift": shift, "stretch": stretch, "folds": folds, "jitter": jitter}
    return scalar_problem(matrix, FAMILY.name, size, **parameters)


def _on_sphere(points: np.ndarray) -> np.ndarray:
    return points / np.linalg.norm(points, axis=1, keepdims=True)


FAMILY = Family(
    "closed_surface",
    make,
    {
        "shift": Parameter(1e-3, 100.0, minimum=1e-6, maximum=1e6, log=True, easy="high"),
        "stretch": Parameter(1.0, 2.0, minimum=0.1, maximum=10.0, easy="low"),
        "folds": Parameter(0.0, 0.5, minimum=0.0, maximum=0.9, easy="low"),
        "jitter": Parameter(0.0, 0.25, minimum=0.0, maximum=0.3),
    },
)
