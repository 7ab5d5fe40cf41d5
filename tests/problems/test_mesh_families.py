"""Families on meshes and graphs: exact energies, nullspaces and structure."""

from __future__ import annotations

import logging

import numpy as np
import pytest
from scipy.sparse.csgraph import connected_components
from scipy.spatial import Delaunay

from rllib_psparsity.problems.families import FAMILIES
from rllib_psparsity.problems.families.unstructured_diffusion import jittered_points


def make(name, seed, size, **parameters):
    return FAMILIES[name].make(np.random.default_rng(seed), size, **parameters)


def elasticity(size, modulus=1000.0, ratio=0.3):
    problem = make("elasticity", 0, size, youngs_modulus=modulus, poisson_ratio=ratio)
    x, y = np.tile(np.arange(1, size), size) / (size - 1), np.repeat(np.arange(size), size - 1) / (size - 1)
    return problem, x, y


def test_elasticity_blocks_and_clamped_side():
    problem, x, _ = elasticity(6)
    assert problem.block_size == 2
    assert problem.A.blocksize == (2, 2)
    assert problem.num_unknowns == 2 * 6 * 5 == 2 * len(x)
    assert np.diff(problem.A.indptr).max() == 9
    assert np.diff(problem.A.indptr).min() == 4


def test_elasticity_near_nullspace():
    problem, x, y = elasticity(6, ratio=0.45)
    assert problem.B.shape == (problem.num_unknowns, 3)
    np.testing.assert_array_equal(problem.B[:, 0], np.tile([1, 0], len(x)))
    np.testing.assert_array_equal(problem.B[:, 1], np.tile([0, 1], len(x)))
    np.testing.assert_allclose(problem.B[:, 2], np.stack([y.mean() - y, x - x.mean()], axis=1).ravel(), atol=1e-15)
    np.testing.assert_allclose(problem.B[:, :2].T @ problem.B[:, 2], 0, atol=1e-12)
    residual = np.abs(problem.A @ problem.B).max(axis=1).reshape(-1, 2)
    far = x > x.min()
    assert residual[far].max() < 1e-10
    assert residual[~far].max() > 1


@pytest.mark.parametrize("ratio", [0.1, 0.3, 0.499])
def test_elasticity_energies_of_uniform_strain(ratio):
    """u = (x, 0) stores lambda + 2 mu and u = (0, x) stores mu on the unit square; both vanish on the clamped side."""
    modulus = 2e3
    problem, x, _ = elasticity(7, modulus, ratio)
    lame, shear = modulus * ratio / (1 + ratio) / (1 - 2 * ratio), modulus / 2 / (1 + ratio)
    stretch, slide = (np.stack(u, axis=1).ravel() for u in ((x, 0 * x), (0 * x, x)))
    assert stretch @ (problem.A @ stretch) == pytest.approx(lame + 2 * shear, rel=1e-10)
    assert slide @ (problem.A @ slide) == pytest.approx(shear, rel=1e-10)


def test_elasticity_is_scikit_fems():
    """Its form for the whole square, the clamped nodes then removed."""
    from skfem import Basis, ElementQuad1, ElementVector, MeshQuad
    from skfem.models.elasticity import lame_parameters, linear_elasticity

    problem, x, y = elasticity(5, 30.0, 0.4)
    mesh = MeshQuad.init_tensor(np.linspace(0, 1, 5), np.linspace(0, 1, 5))
    basis = Basis(mesh, ElementVector(ElementQuad1()))
    whole = linear_elasticity(*lame_parameters(30.0, 0.4)).assemble(basis).toarray()
    nodes = [int(np.argmin(np.abs(mesh.p.T - point).sum(axis=1))) for point in np.stack([x, y], axis=1)]
    unknowns = basis.nodal_dofs[:, nodes].T.ravel()
    np.testing.assert_allclose(problem.A.toarray(), whole[np.ix_(unknowns, unknowns)], rtol=0, atol=1e-12)


def test_youngs_modulus_only_scales():
    soft, hard = (elasticity(5, modulus)[0].A.toarray() for modulus in (1e3, 1e6))
    np.testing.assert_allclose(1e3 * soft, hard, rtol=1e-9, atol=1e-6)


def unstructured(seed, size, **parameters):
    problem = make("unstructured_diffusion", seed, size, **parameters)
    points, interior = jittered_points(np.random.default_rng(seed), size)
    return problem, points, interior


@pytest.mark.parametrize("seed", range(8))
def test_triangulation_covers_the_square_without_flat_triangles(seed):
    points, interior = jittered_points(np.random.default_rng(seed), 12)
    corners = points[Delaunay(points).simplices]
    areas = np.abs(np.linalg.det(corners[:, 1:] - corners[:, :1])) / 2
    assert areas.sum() == pytest.approx(1, abs=1e-12)
    assert areas.min() > 1e-3 / 13**2
    assert interior.sum() == 144
    assert set(np.abs(points[~interior] - 0.5).max(axis=1)) == {0.5}


def test_unstructured_is_scikit_fems():
    from skfem import Basis, BilinearForm, ElementTriP1, MeshTri

    epsilon, theta, turn = 0.02, 0.4, 2.0
    problem, points, interior = unstructured(3, 9, epsilon=epsilon, theta=theta, turn=turn)
    mesh = MeshTri(np.ascontiguousarray(points.T), np.ascontiguousarray(Delaunay(points).simplices.T.astype(np.int64)))

    def energy(u, v, w):
        c, s = np.cos(theta + turn * w.x[0]), np.sin(theta + turn * w.x[0])
        K = np.array(
            [[c * c + epsilon * s * s, (1 - epsilon) * c * s], [(1 - epsilon) * c * s, s * s + epsilon * c * c]]
        )
        return sum(K[p, q] * u.grad[p] * v.grad[q] for p in range(2) for q in range(2))

    whole = BilinearForm(energy).assemble(Basis(mesh, ElementTriP1())).toarray()
    np.testing.assert_allclose(problem.A.toarray(), whole[np.ix_(interior, interior)], rtol=0, atol=1e-12)


def test_unstructured_interior_rows_vanish_on_linear_functions():
    problem, points, interior = unstructured(1, 10, epsilon=0.01, theta=0.5, turn=0.0)
    triangles = Delaunay(points).simplices
    touching = np.unique(triangles[(~interior)[triangles].any(axis=1)])
    inner = ~np.isin(np.flatnonzero(interior), touching)
    assert inner.sum() > 30
    x, y = points[interior].T
    for u in (np.ones_like(x), x, y):
        np.testing.assert_allclose((problem.A @ u)[inner], 0, atol=1e-12)
    assert np.abs(problem.A @ problem.B)[~inner].max() > 1e-2
    assert len(set(np.diff(problem.A.indptr)[inner])) > 2


@pytest.mark.parametrize(("theta", "turn"), [(0.0, 0.0), (np.pi / 2, 0.0), (0.6, 0.0), (0.2, np.pi)])
def test_unstructured_energy_follows_the_tensor(theta, turn):
    """The energy of u = sin(2 pi x) sin(pi y) against its integral over a fine grid."""
    epsilon = 0.01
    problem, points, interior = unstructured(2, 40, epsilon=epsilon, theta=theta, turn=turn)
    x, y = points[interior].T
    u = np.sin(2 * np.pi * x) * np.sin(np.pi * y)
    y, x = (np.indices((200, 200)) + 0.5) / 200
    u_x, u_y = (
        2 * np.pi * np.cos(2 * np.pi * x) * np.sin(np.pi * y),
        np.pi * np.sin(2 * np.pi * x) * np.cos(np.pi * y),
    )
    c, s = np.cos(theta + turn * x), np.sin(theta + turn * x)
    exact = ((c * u_x + s * u_y) ** 2 + epsilon * (c * u_y - s * u_x) ** 2).mean()
    assert u @ (problem.A @ u) == pytest.approx(exact, rel=0.02)


def test_the_mesh_library_has_nothing_to_complain_about(caplog):
    """It warns about memory layout above a thousand vertices."""
    family = FAMILIES["elasticity"]
    with caplog.at_level(logging.WARNING):
        family.make(np.random.default_rng(0), 34, **{key: p.high for key, p in family.parameters.items()})
    assert not caplog.records


def test_graph_laplacian_is_connected_and_grounded():
    problem = make("graph_laplacian", 3, 20, degree=7.0, sigma=1.0, shift=1e-4)
    A = problem.A
    assert connected_components(A, directed=False)[0] == 1
    assert 300 < problem.num_unknowns <= 400
    np.testing.assert_allclose(A @ problem.B, 1e-4, rtol=1e-8)
    weights = -A.data[A.data < 0]
    assert len(weights) == A.nnz - problem.num_unknowns
    assert np.median(np.log(weights)) == pytest.approx(0, abs=0.1)
    assert np.log(weights).std() == pytest.approx(1.0, abs=0.1)
    assert len(weights) / problem.num_unknowns == pytest.approx(6.5, abs=0.7)  # 7 inside, fewer at the boundary


def test_graph_keeps_the_largest_part():
    problem = make("graph_laplacian", 4, 20, degree=2.0, sigma=0.5, shift=1e-2)
    assert problem.num_unknowns < 200
    assert connected_components(problem.A, directed=False)[0] == 1


@pytest.mark.parametrize("shift", [1e-6, 0.1])
def test_graph_shift_is_the_smallest_eigenvalue(shift):
    A = make("graph_laplacian", 5, 8, degree=8.0, sigma=0.5, shift=shift).A.toarray()
    assert np.linalg.eigvalsh(A)[0] == pytest.approx(shift, rel=1e-6)
