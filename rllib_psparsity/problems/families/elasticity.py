"""Linear elasticity in two dimensions."""

from __future__ import annotations

import itertools

import numpy as np
from scipy.sparse import bsr_array, coo_array

from rllib_psparsity.problems.families.family import Family, Parameter, symmetric_csr
from rllib_psparsity.problems.problem import Problem
from rllib_psparsity.problems.rigid_body import rigid_body_modes


def make(rng: np.random.Generator, size: int, *, youngs_modulus: float, poisson_ratio: float) -> Problem:
    """Linear elasticity in 2D (plane strain), bilinear elements, clamped on the left: 2 x 2 blocks.

    A square of size x size grid points whose left column is clamped (u = 0 at x = 0) and whose other sides are free.
    The clamped unknowns are removed: (size - 1) size nodes, x fastest, with the displacements in x and y of a node
    side by side. B holds the three rigid body modes about the centre of the free nodes. Young's modulus only scales
    the matrix. Assembly and Lame parameters by scikit-fem; full integration (2 x 2 Gauss points), so elements lock
    as Poisson's ratio tends to 1/2.
    """
    from skfem import Basis, ElementQuad1, ElementVector, MeshQuad  # costs 0.3 s: only when needed
    from skfem.helpers import ddot, sym_grad
    from skfem.models.elasticity import lame_parameters, linear_stress

    points = np.stack([np.tile(np.arange(size), size), np.repeat(np.arange(size), size)]) / (size - 1)
    numbers = np.arange(size * size).reshape(size, size)
    corners = (numbers[:-1, :-1], numbers[:-1, 1:], numbers[1:, 1:], numbers[1:, :-1])  # counterclockwise
    mesh = MeshQuad(points, np.stack([corner.ravel() for corner in corners]))
    basis = Basis(mesh, ElementVector(ElementQuad1()), intorder=3)
    # As `linear_elasticity(...).assemble(basis)` of the library, which would find a stress anew for every pair.
    stress = linear_stress(*lame_parameters(youngs_modulus, poisson_ratio))
    strains = [sym_grad(function[0]) for function in basis.basis]
    pairs = itertools.product(map(stress, strains), strains)
    entries = np.concatenate([np.sum(ddot(sigma, strain) * basis.dx, axis=1) for sigma, strain in pairs])
    dofs = np.asarray(basis.element_dofs)
    rows, columns = np.tile(dofs, (len(dofs), 1)).ravel(), np.repeat(dofs, len(dofs), axis=0).ravel()
    used = entries != 0
    stiffness = symmetric_csr(coo_array((entries[used], (rows[used], columns[used])), shape=(basis.N, basis.N)))

    nodes = np.flatnonzero(points[0] > 0)
    unknowns = np.asarray(basis.nodal_dofs)[:, nodes].T.ravel()
    matrix = stiffness[unknowns][:, unknowns]
    matrix.sort_indices()
    blocks = bsr_array(matrix.tobsr((2, 2)))
    parameters = {"size": size, "youngs_modulus": float(youngs_modulus), "poisson_ratio": float(poisson_ratio)}
    return Problem(blocks, rigid_body_modes(points[:, nodes].T), f"{FAMILY.name}-{size}", FAMILY.name, parameters)


FAMILY = Family(
    "elasticity",
    make,
    {
        "youngs_modulus": Parameter(1e3, 1e6, minimum=1e-12, maximum=1e15, log=True),
        "poisson_ratio": Parameter(0.1, 0.499, minimum=0.0, maximum=0.4999, easy="low"),
    },
)
