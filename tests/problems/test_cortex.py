"""The surface Laplacian against scikit-fem's and its own laws; the surfaces themselves are in the suite's tests."""

from __future__ import annotations

import numpy as np
import pytest

from rllib_psparsity.errors import InputError
from rllib_psparsity.problems.real import real_problem
from rllib_psparsity.problems.surface_laplacian import surface_laplacian


def _mesh():
    from skfem import MeshTri

    mesh = MeshTri.init_circle(3)
    return mesh, np.column_stack([mesh.p.T, np.zeros(mesh.p.shape[1])])


def test_on_a_plane_it_is_the_laplacian_of_linear_elements():
    from skfem import Basis, ElementTriP1
    from skfem.models.poisson import laplace

    mesh, points = _mesh()
    expected = laplace.assemble(Basis(mesh, ElementTriP1()))
    assert abs(surface_laplacian(points, mesh.t.T) - expected).max() <= 1e-12


def test_it_depends_on_lengths_alone_and_not_on_their_unit():
    mesh, points = _mesh()
    points[:, 2] = np.sin(3 * points[:, 0])
    rotation, _ = np.linalg.qr(np.random.default_rng(0).standard_normal((3, 3)))
    matrix = surface_laplacian(points, mesh.t.T)
    assert abs(surface_laplacian(7.0 * points @ rotation + 1.0, mesh.t.T) - matrix).max() <= 1e-12
    assert abs(matrix.sum(axis=1)).max() <= 1e-12 and abs(matrix - matrix.T).max() <= 1e-12


def test_an_unknown_surface_is_refused_with_the_nearest():
    with pytest.raises(InputError, match=r"^there is no surface 'pial_lift'; did you mean 'pial_left'\?$"):
        real_problem("nilearn/pial_lift")
