"""Families on regular grids, against slow references, other libraries and exact values."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import scipy.sparse as sp

from rllib_psparsity.problems.families import FAMILIES
from rllib_psparsity.problems.families.anisotropic_diffusion_fd import rotated_tensor
from rllib_psparsity.problems.families.finite_volumes import finite_volume_matrix, lognormal_field
from rllib_psparsity.problems.families.stencil import stencil_matrix

UNUSED = np.random.default_rng(0)


def make(name, size, **parameters):
    return FAMILIES[name].make(UNUSED, size, **parameters).A


def reference_stencil_matrix(stencil, shape):
    dense = np.zeros((np.prod(shape), np.prod(shape)))
    for i, point in enumerate(itertools.product(*map(range, shape))):
        for offset in itertools.product(range(3), repeat=len(shape)):
            neighbour = tuple(p + o - 1 for p, o in zip(point, offset, strict=True))
            if all(0 <= p < n for p, n in zip(neighbour, shape, strict=True)):
                dense[i, np.ravel_multi_index(neighbour, shape)] = stencil[offset]
    return dense


@pytest.mark.parametrize("shape", [(1,), (5,), (3, 4), (1, 3), (2, 3, 4)])
def test_stencil_matrix_against_loops(shape):
    stencil = np.random.default_rng(1).standard_normal((3,) * len(shape))
    stencil.flat[::3] = 0
    A = stencil_matrix(stencil, shape)
    np.testing.assert_array_equal(A.toarray(), reference_stencil_matrix(stencil, shape))
    assert np.all(A.data != 0)
    assert sp.csr_array((A.data, A.indices, A.indptr), shape=A.shape).has_canonical_format


@pytest.mark.parametrize("kind", ["FD", "FE"])
@pytest.mark.parametrize(("epsilon", "theta"), [(0.01, 0.7), (0.3, 2.0), (1.0, 0.0), (0.001, 5.5)])
def test_anisotropic_diffusion_is_pyamgs_with_the_axes_exchanged(kind, epsilon, theta):
    from pyamg.gallery import diffusion_stencil_2d, stencil_grid

    n = 5
    theirs = stencil_grid(diffusion_stencil_2d(epsilon, theta, kind), (n, n)).toarray()
    exchanged = np.arange(n * n).reshape(n, n).T.ravel()
    ours = make(f"anisotropic_diffusion_{kind.lower()}", n, epsilon=epsilon, theta=theta)
    np.testing.assert_allclose(ours.toarray(), theirs[np.ix_(exchanged, exchanged)], rtol=1e-13, atol=1e-15)


def test_bilinear_elements_are_scikit_fems():
    from skfem import Basis, BilinearForm, ElementQuad1, MeshQuad

    n, epsilon, theta = 4, 0.02, 1.1
    k_xx, k_xy, k_yy = rotated_tensor(epsilon, theta)
    side = np.linspace(0, 1, n + 2)
    mesh = MeshQuad.init_tensor(side, side)

    def energy(u, v, _):
        return (k_xx * u.grad[0] + k_xy * u.grad[1]) * v.grad[0] + (k_xy * u.grad[0] + k_yy * u.grad[1]) * v.grad[1]

    full = BilinearForm(energy).assemble(Basis(mesh, ElementQuad1())).toarray()
    nodes = np.lexsort(mesh.p)
    nodes = nodes[((mesh.p[:, nodes] > 0) & (mesh.p[:, nodes] < 1)).all(axis=0)]
    ours = make("anisotropic_diffusion_fe", n, epsilon=epsilon, theta=theta)
    np.testing.assert_allclose(ours.toarray(), full[np.ix_(nodes, nodes)], atol=1e-13)


@pytest.mark.parametrize("name", ["anisotropic_diffusion_fd", "anisotropic_diffusion_fe"])
@pytest.mark.parametrize(
    ("theta", "strong"), [(0.0, (0, 1)), (np.pi / 4, (1, 1)), (np.pi / 2, (1, 0)), (3 * np.pi / 4, (1, -1))]
)
def test_strong_direction_is_theta_from_the_x_axis(name, theta, strong):
    """Of the four sides, or corners, those along theta, (dy, dx) away, couple by far the most."""
    n, middle = 5, 12
    row = make(name, n, epsilon=0.001, theta=theta).toarray()[middle]
    dy, dx = strong
    along, across = n * dy + dx, n * dx - dy
    assert row[middle + along] == pytest.approx(row[middle - along])
    assert row[middle + along] < -0.2
    assert row[middle + across] == pytest.approx(row[middle - across])
    assert row[middle + across] > 0.25 * row[middle + along]


@pytest.mark.parametrize("theta", [0.0, 0.4, 1.3, 2.9])
@pytest.mark.parametrize("name", ["anisotropic_diffusion_fd", "anisotropic_diffusion_fe"])
def test_stencils_are_exact_on_quadratics(name, theta):
    """Applied to u = (p . x)^2 / 2 in grid units, an inner row gives -p^T K p, the operator's value times h^2."""
    epsilon, n = 0.05, 5
    A = make(name, n, epsilon=epsilon, theta=theta)
    y, x = np.indices((n, n)).reshape(2, -1)
    along, across = (np.array([np.cos(theta), np.sin(theta)]), np.array([-np.sin(theta), np.cos(theta)]))
    for p, expected in ((along, -1.0), (across, -epsilon), (along + across, -1.0 - epsilon)):
        assert (A @ ((p[0] * x + p[1] * y) ** 2 / 2))[12] == pytest.approx(expected, abs=1e-12)
    np.testing.assert_allclose(
        A @ np.ones(n * n), np.where((x > 0) & (x < n - 1) & (y > 0) & (y < n - 1), 0, A.sum(axis=1)), atol=1e-13
    )


def reference_finite_volumes(k):
    """Every face of every cell, one at a time; outside of the grid u = 0 at half the distance."""
    rows, columns = k.shape
    dense = np.zeros((k.size, k.size))
    for y in range(rows):
        for x in range(columns):
            i = y * columns + x
            for yn, xn in ((y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)):
                if 0 <= yn < rows and 0 <= xn < columns:
                    flux = 1 / (0.5 / k[y, x] + 0.5 / k[yn, xn])
                    dense[i, yn * columns + xn] -= flux
                else:
                    flux = k[y, x] / 0.5
                dense[i, i] += flux
    return dense


@pytest.mark.parametrize("shape", [(3, 3), (4, 4), (2, 5), (1, 3)])
def test_jump_diffusion_against_loops(shape):
    k = 10.0 ** np.random.default_rng(2).uniform(-3, 3, shape)
    A = finite_volume_matrix([k, k], fixed=(0, 1))
    np.testing.assert_allclose(A.toarray(), reference_finite_volumes(k), rtol=1e-13)
    assert A.has_canonical_format


def test_jump_diffusion_uses_the_field():
    problem = FAMILIES["jump_diffusion"].make(np.random.default_rng(3), 4, decades=3.0, correlation=0.1)
    k = lognormal_field(np.random.default_rng(3), 4, 3.0, 0.1)
    np.testing.assert_allclose(problem.A.toarray(), reference_finite_volumes(k), rtol=1e-13)


@pytest.mark.parametrize("decades", [0.0, 1.0, 6.0])
@pytest.mark.parametrize("correlation", [0.001, 0.2])
def test_contrast_of_the_field(decades, correlation):
    k = lognormal_field(np.random.default_rng(4), 12, decades, correlation)
    assert np.log10(k.max() / k.min()) == pytest.approx(decades, abs=1e-12)
    assert np.sqrt(k.max() * k.min()) == pytest.approx(1)


def test_correlation_of_the_field():
    """Neighbours of a field without length are unrelated, those of a long one alike; the logarithm is normal."""
    rough, smooth = (np.log(lognormal_field(np.random.default_rng(5), 100, 2.0, length)) for length in (0.001, 0.1))
    assert abs(np.corrcoef(rough[:, 1:].ravel(), rough[:, :-1].ravel())[0, 1]) < 0.03
    assert np.corrcoef(smooth[:, 1:].ravel(), smooth[:, :-1].ravel())[0, 1] > 0.98
    z = (rough - rough.mean()) / rough.std()
    assert abs((z**3).mean()) < 0.1
    assert (z**4).mean() == pytest.approx(3, abs=0.2)


@pytest.mark.parametrize("shift", [0.0, 0.5, 0.9])
def test_helmholtz_keeps_the_share_of_the_lowest_eigenvalue(shift):
    n = 6
    laplace = make("helmholtz_shifted", n, shift=0.0).toarray()
    T = sp.diags_array([-np.ones(n - 1), 2 * np.ones(n), -np.ones(n - 1)], offsets=[-1, 0, 1]).toarray()
    np.testing.assert_array_equal(laplace, np.kron(T, np.eye(n)) + np.kron(np.eye(n), T))
    lowest = np.linalg.eigvalsh(laplace)[0]
    A = make("helmholtz_shifted", n, shift=shift).toarray()
    assert np.linalg.eigvalsh(A)[0] == pytest.approx((1 - shift) * lowest, rel=1e-10)
    np.testing.assert_allclose(laplace - A, shift * lowest * np.eye(n * n), atol=1e-13)


def test_diffusion_3d_against_kronecker_products():
    n, k_x, k_y, k_z = 4, 1.0, 0.1, 0.01
    T = sp.diags_array([-np.ones(n - 1), 2 * np.ones(n), -np.ones(n - 1)], offsets=[-1, 0, 1]).toarray()
    eye = np.eye(n)
    expected = (
        k_x * np.kron(eye, np.kron(eye, T)) + k_y * np.kron(eye, np.kron(T, eye)) + k_z * np.kron(T, np.kron(eye, eye))
    )
    A = make("diffusion_3d", n, k_x=k_x, k_y=k_y, k_z=k_z)
    np.testing.assert_allclose(A.toarray(), expected, atol=1e-15)
    assert A.nnz == 7 * n**3 - 6 * n**2
