"""Diffusion by elements of degree one to three on meshes that were made coarse and then refined."""

from __future__ import annotations

import numpy as np
from scipy.spatial import Delaunay

from rllib_psparsity.problems.families.anisotropic_diffusion_fd import ROTATED_PARAMETERS
from rllib_psparsity.problems.families.family import Family, Parameter, scalar_problem
from rllib_psparsity.problems.families.line_elements import assembled
from rllib_psparsity.problems.families.simplex_elements import interior_numbers, sides_of, stiffness
from rllib_psparsity.problems.families.triangular_mesh import lattice
from rllib_psparsity.problems.problem import Problem

OF_CORNERS = ((0, 0, 1), (1, 0, 2), (2, 1, 2))
"""Of each corner of a triangle, itself and its two sides."""
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
    along = np.array([np.cos(theta), np.sin(theta)])
    across = np.array([-along[1], along[0]])
    K = np.outer(along, along) + epsilon * np.outer(across, across)
    matrix = assembled(unknowns, stiffness(points[triangles], K, p))
    parameters = {"degree": degree, "epsilon": epsilon, "theta": theta, "jitter": jitter, "grading": grading}
    return scalar_problem(matrix, FAMILY.name, size, **parameters, refinements=refinements)


def refined(points: np.ndarray, triangles: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Every triangle divided into four by the midpoints of its sides; corners sorted."""
    ends, sides = sides_of(triangles)
    middle = sides + len(points)  # of the sides 01, 02, 12
    corner = [np.stack([triangles[:, k], middle[:, one], middle[:, other]], axis=1) for k, one, other in OF_CORNERS]
    return np.concatenate([points, points[ends].mean(axis=1)]), np.sort(np.concatenate([*corner, middle]), axis=1)


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
