"""Elasticity on tetrahedra against scikit-fem, and the candidates against what a rigid body may do."""

from __future__ import annotations

import numpy as np
import pytest

from rllib_psparsity.problems.families.tetrahedral_elasticity import element_matrices, make
from rllib_psparsity.problems.families.tetrahedral_elements import shaken_mesh
from rllib_psparsity.problems.rigid_body import rigid_body_modes
from tests.problems.order import assert_same_but_for_order

SIZE = 3
CELLS = 2


@pytest.mark.parametrize("poisson_ratio", [0.0, 0.4])
@pytest.mark.parametrize("height", [0.2, 1.0])
def test_it_is_scikit_fems(poisson_ratio, height):
    import skfem
    from skfem.models.elasticity import lame_parameters, linear_elasticity

    problem = make(
        np.random.default_rng(3), SIZE, poisson_ratio=poisson_ratio, height=height, jitter=0.1, grading=0.4, rotations=1
    )
    points, tetrahedra = shaken_mesh(np.random.default_rng(3), CELLS, 0.1, 0.4)
    mesh = skfem.MeshTet((points * [1, 1, height]).T, tetrahedra.T)
    basis = skfem.Basis(mesh, skfem.ElementVector(skfem.ElementTetP1()))
    whole = linear_elasticity(*lame_parameters(1.0, poisson_ratio)).assemble(basis)
    free = basis.complement_dofs(basis.get_dofs(lambda x: x[0] == 0))
    assert problem.block_size == 3
    assert_same_but_for_order(problem.A.toarray(), whole[free][:, free].toarray())


def test_a_rigid_body_costs_no_energy():
    """Translations and infinitesimal rotations, and nothing else: twelve unknowns, six modes."""
    corners = np.random.default_rng(0).standard_normal((4, 3))
    (element,) = element_matrices(corners[None], 0.3)
    modes = rigid_body_modes(corners)
    assert np.linalg.matrix_rank(modes) == 6
    np.testing.assert_allclose(element @ modes, 0, atol=1e-12 * np.abs(element).max())
    assert np.sum(np.linalg.eigvalsh(element) > 1e-10 * np.abs(element).max()) == 6


@pytest.mark.parametrize(("rotations", "modes"), [(0.0, 3), (0.99, 3), (1.0, 6), (2.0, 6)])
def test_candidates(rotations, modes):
    problem = make(
        np.random.default_rng(0), 5, poisson_ratio=0.3, height=0.5, jitter=0.1, grading=0.0, rotations=rotations
    )
    assert problem.B.shape == (problem.num_unknowns, modes)
    np.testing.assert_array_equal(problem.B[:, :3], np.tile(np.eye(3), (problem.num_unknowns // 3, 1)))


@pytest.mark.parametrize("size", [5, 10, 16])
def test_size_is_that_of_a_side(size):
    problem = make(
        np.random.default_rng(0), size, poisson_ratio=0.3, height=1.0, jitter=0.1, grading=0.5, rotations=1.0
    )
    assert 0.6 * size**3 < problem.num_unknowns / 3 < 1.4 * size**3
