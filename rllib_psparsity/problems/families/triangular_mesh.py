"""Diffusion on meshes as mesh generators make them: triangles that are nearly equilateral, small where it matters."""

from __future__ import annotations

import math

import numpy as np
from scipy.spatial import Delaunay

from rllib_psparsity.problems.families.anisotropic_diffusion_fd import ROTATED_PARAMETERS
from rllib_psparsity.problems.families.family import Family, Parameter, scalar_problem
from rllib_psparsity.problems.families.unstructured_diffusion import assembled, element_matrices
from rllib_psparsity.problems.problem import Problem

ROW_HEIGHT = math.sqrt(0.75)
"""Of a row of equilateral triangles, in widths of one."""


def lattice(size: int) -> tuple[np.ndarray, np.ndarray]:
    """(M, 2) points of a triangular lattice in the unit square, x fastest, and which of them are interior.

    size interior points, give or take one, in a row; every other row is shifted by half a width.
    """
    rows = round((size + 1) / ROW_HEIGHT) + 1
    parts = []
    for k in range(rows):
        x = np.arange(size + 2) / (size + 1)
        if k % 2:
            x = np.concatenate([[0.0], x[:-1] + 0.5 / (size + 1), [1.0]])
        parts.append(np.stack([x, np.full(len(x), k / (rows - 1))], axis=1))
    points = np.concatenate(parts)
    return points, np.all((points > 0) & (points < 1), axis=1)


def make(
    rng: np.random.Generator, size: int, *, epsilon: float, theta: float, jitter: float, grading: float
) -> Problem:
    """Anisotropic diffusion, linear elements on a triangular lattice that is shaken and graded.

    -div(K grad u), u = 0 on the boundary; the unknowns are the interior points. They are moved by up to `jitter` widths
    along each axis, triangulated by Delaunay, and then all points p go to ``p |p|^grading``: widths near the corner at
    the origin shrink with the distance from it, and triangles there get 1 + grading times longer than wide. K has
    conductivity 1 along theta (radians) and epsilon across it.
    """
    points, interior = lattice(size)
    points[interior] += rng.uniform(-jitter, jitter, (int(interior.sum()), 2)) / (size + 1)
    triangles = np.sort(Delaunay(points).simplices, axis=1)
    points *= np.linalg.norm(points, axis=1, keepdims=True) ** grading
    matrix = assembled(triangles, element_matrices(points[triangles], epsilon, theta, 0.0), interior)
    parameters = {"epsilon": epsilon, "theta": theta, "jitter": jitter, "grading": grading}
    return scalar_problem(matrix, FAMILY.name, size, **parameters)


FAMILY = Family(
    "triangular_mesh",
    make,
    {
        "epsilon": Parameter(0.1, 1.0, minimum=1e-8, maximum=1.0, log=True, easy="high"),
        "theta": ROTATED_PARAMETERS["theta"],
        "jitter": Parameter(0.0, 0.25, minimum=0.0, maximum=0.3),
        "grading": Parameter(0.0, 2.0, minimum=0.0, maximum=4.0, easy="low"),
    },
)
