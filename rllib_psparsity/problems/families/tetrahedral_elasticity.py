"""Linear elasticity of a solid body, on tetrahedra."""

from __future__ import annotations

import numpy as np
from scipy.sparse import bsr_array

from rllib_psparsity.problems.families.family import Family, Parameter
from rllib_psparsity.problems.families.line_elements import assembled
from rllib_psparsity.problems.families.tetrahedral_elements import shaken_mesh
from rllib_psparsity.problems.problem import Problem
from rllib_psparsity.problems.rigid_body import rigid_body_modes


def element_matrices(corners: np.ndarray, poisson_ratio: float) -> np.ndarray:
    """(T, 12, 12) of linear elements on tetrahedra with corners (T, 4, 3), for Young's modulus 1; x, y, z by corner.

    With the gradients g of the four functions, of corners a and b: the volume times
    ``lambda g_a g_b^T + mu (g_b g_a^T + (g_a . g_b) I)``.
    """
    lam = poisson_ratio / ((1 + poisson_ratio) * (1 - 2 * poisson_ratio))
    mu = 0.5 / (1 + poisson_ratio)
    edges = corners[:, 1:] - corners[:, :1]
    others = np.linalg.inv(edges).swapaxes(1, 2)
    g = np.concatenate([-others.sum(axis=1, keepdims=True), others], axis=1)
    pairs = np.einsum("tai,tbj->taibj", g, g)
    dots = np.einsum("tai,tbi->tab", g, g)
    stiffness = lam * pairs + mu * pairs.transpose(0, 1, 4, 3, 2)
    stiffness += mu * dots[:, :, None, :, None] * np.eye(3)[:, None, :]
    return (stiffness * (abs(np.linalg.det(edges)) / 6)[:, None, None, None, None]).reshape(-1, 12, 12)


def make(
    rng: np.random.Generator,
    size: int,
    *,
    poisson_ratio: float,
    height: float,
    jitter: float,
    grading: float,
    rotations: float,
) -> Problem:
    """Linear elasticity in 3D, linear elements on tetrahedra, clamped on one side: 3 x 3 blocks.

    The mesh of `tetrahedral_elements`, a cube, with z times `height`: from a block to a plate. Clamped at x = 0, free
    elsewhere; some size^3 nodes are left, with their displacements in x, y and z side by side. B holds the six rigid
    body modes if `rotations` is 1 or more, else the three translations, which is all that a matrix alone tells of them.
    """
    cells = max(2, round(size / 2 ** (1 / 3) - 1 / 3))
    points, tetrahedra = shaken_mesh(rng, cells, jitter, grading)
    points[:, 2] *= height
    nodes = np.flatnonzero(points[:, 0] > 0)
    number = np.full(len(points), -1)
    number[nodes] = np.arange(len(nodes))
    of_corners = number[tetrahedra]
    unknowns = np.where(of_corners[:, :, None] < 0, -1, 3 * of_corners[:, :, None] + np.arange(3)).reshape(-1, 12)
    matrix = assembled(unknowns, element_matrices(points[tetrahedra], poisson_ratio))
    modes = rigid_body_modes(points[nodes])[:, : 6 if rotations >= 1 else 3]
    parameters = {
        "size": size,
        "poisson_ratio": float(poisson_ratio),
        "height": float(height),
        "jitter": float(jitter),
        "grading": float(grading),
        "rotations": float(rotations),
    }
    blocks = bsr_array(matrix.tobsr((3, 3)))
    return Problem(blocks, modes, f"{FAMILY.name}-{size}", FAMILY.name, parameters)


FAMILY = Family(
    "tetrahedral_elasticity",
    make,
    {
        "poisson_ratio": Parameter(0.1, 0.45, minimum=0.0, maximum=0.499, easy="low"),
        "height": Parameter(0.1, 1.0, minimum=0.01, maximum=1.0, log=True, easy="high"),
        "jitter": Parameter(0.0, 0.15, minimum=0.0, maximum=0.25),
        "grading": Parameter(0.0, 1.0, minimum=0.0, maximum=2.0, easy="low"),
        "rotations": Parameter(0.0, 2.0, minimum=0.0, maximum=2.0),
    },
)
