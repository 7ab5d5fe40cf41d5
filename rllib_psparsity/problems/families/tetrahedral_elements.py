"""Diffusion by elements of degree one and two on tetrahedra, as mesh generators make them."""

from __future__ import annotations

from itertools import product

import numpy as np
from scipy.spatial import Delaunay

from rllib_psparsity.problems.families.family import Family, Parameter, scalar_problem
from rllib_psparsity.problems.families.line_elements import assembled
from rllib_psparsity.problems.families.simplex_elements import interior_numbers, stiffness
from rllib_psparsity.problems.problem import Problem

FLAT = 1e-9
"""A tetrahedron of less than this part of the mean volume is none: Delaunay's choice between the two diagonals of a
square on the boundary can leave one over."""


def lattice(cells: int) -> tuple[np.ndarray, np.ndarray]:
    """(M, 3) points of a body-centred lattice of cells^3 cubes in the unit cube, and which of them are interior.

    The corners of the cubes, then their centres; Delaunay's tetrahedra between these are all alike inside, nearly
    regular and without a choice.
    """
    corners = np.array(list(product(range(cells + 1), repeat=3))) / cells
    centres = (np.array(list(product(range(cells), repeat=3))) + 0.5) / cells
    points = np.concatenate([corners, centres])
    return points, np.all((points > 0) & (points < 1), axis=1)


def shaken_mesh(rng: np.random.Generator, cells: int, jitter: float, grading: float) -> tuple[np.ndarray, np.ndarray]:
    """(M, 3) points of the unit cube and (T, 4) tetrahedra, their corners sorted.

    Interior points of the `lattice` are moved by up to `jitter` cubes along each axis, and all points p go to
    ``p |p|^grading`` once they are triangulated by Delaunay.
    """
    points, interior = lattice(cells)
    points[interior] += rng.uniform(-jitter, jitter, (int(interior.sum()), 3)) / cells
    tetrahedra = np.sort(Delaunay(points).simplices, axis=1)
    volumes = abs(np.linalg.det(points[tetrahedra[:, 1:]] - points[tetrahedra[:, :1]]))
    points *= np.linalg.norm(points, axis=1, keepdims=True) ** grading
    return points, tetrahedra[volumes > FLAT * volumes.mean()]


def make(
    rng: np.random.Generator, size: int, *, degree: float, epsilon: float, jitter: float, grading: float
) -> Problem:
    """Diffusion in 3D, elements of degree 1 or 2 on a lattice of tetrahedra that is shaken and graded.

    -u_xx - u_yy - epsilon u_zz, u = 0 on the boundary of the unit cube, on a `shaken_mesh`. Whole parts of `degree`
    count; some size^3 unknowns, at corners first, then at the middles of sides.
    """
    p = int(degree)
    cells = max(2, round((size + 1) / p / 2 ** (1 / 3)))
    points, tetrahedra = shaken_mesh(rng, cells, jitter, grading)
    unknowns = interior_numbers(tetrahedra, len(points), p)
    matrix = assembled(unknowns, stiffness(points[tetrahedra], np.diag([1.0, 1.0, epsilon]), p))
    parameters = {"degree": degree, "epsilon": epsilon, "jitter": jitter, "grading": grading}
    return scalar_problem(matrix, FAMILY.name, size, **parameters)


FAMILY = Family(
    "tetrahedral_elements",
    make,
    {
        "degree": Parameter(1.0, 2.5, minimum=1.0, maximum=2.99, easy="low"),
        "epsilon": Parameter(0.1, 1.0, minimum=1e-8, maximum=1.0, log=True, easy="high"),
        "jitter": Parameter(0.0, 0.15, minimum=0.0, maximum=0.25),
        "grading": Parameter(0.0, 1.0, minimum=0.0, maximum=2.0, easy="low"),
    },
)
