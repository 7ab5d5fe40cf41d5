"""Elements on a line against exact energies and solutions, and their tensor products against scikit-fem."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.polynomial import Polynomial, legendre

from rllib_psparsity.problems.families import FAMILIES
from rllib_psparsity.problems.families.line_elements import continuous, discontinuous, splines, widths

DEGREES = [1, 2, 3, 4]


def points(h: np.ndarray, degree: int) -> np.ndarray:
    """(cells, d) Gauss-Lobatto points."""
    inner = legendre.legroots(legendre.legder(np.eye(degree + 1)[degree]))
    unit = (np.concatenate([[-1.0], np.sort(inner), [1.0]]) + 1) / 2
    return np.concatenate([[0.0], np.cumsum(h)[:-1]])[:, None] + h[:, None] * unit


def bump(h: np.ndarray, degree: int) -> Polynomial:
    """Zero at both ends; of at least degree two."""
    return Polynomial([0.0, 1.0]) * Polynomial([h.sum(), -1.0]) * Polynomial([1.0, 0.3]) ** (degree - 2)


@pytest.mark.parametrize("degree", DEGREES[1:])
@pytest.mark.parametrize("kind", ["continuous", "discontinuous"])
def test_energy_and_norm_of_a_polynomial_are_exact(kind, degree):
    h = widths(np.random.default_rng(0), 5, 0.8)
    u, x = bump(h, degree), points(h, degree)
    if kind == "continuous":
        (K, M), values = continuous(h, degree), u(np.unique(x.round(12)))[1:-1]
    else:
        (K, M), values = discontinuous(h, degree, 3.0), u(x.ravel())
    slope, square = (u.deriv() ** 2).integ(), (u**2).integ()
    assert values @ K @ values == pytest.approx(slope(h.sum()), rel=1e-10)
    assert values @ M @ values == pytest.approx(square(h.sum()), rel=1e-10)


@pytest.mark.parametrize("degree", DEGREES[1:])
def test_energy_and_norm_of_a_parabola_of_splines_are_exact(degree):
    """x (w - x), whose coefficient of a spline is its blossom at the spline's inner knots (Ramshaw 1987)."""
    h = widths(np.random.default_rng(0), 7, 0.8)
    ends, width = np.concatenate([[0.0], np.cumsum(h)]), h.sum()
    knots = np.concatenate([np.zeros(degree - 1), ends, np.full(degree - 1, width)])
    inner = np.stack([knots[i : i + degree] for i in range(len(h) + degree)])
    pairs = np.triu_indices(degree, 1)
    c = width * inner.mean(axis=1) - (inner[:, pairs[0]] * inner[:, pairs[1]]).mean(axis=1)
    assert c[0] == 0 and c[-1] == pytest.approx(0)
    K, M = splines(h, degree)
    assert K.shape == M.shape == (len(h) + degree - 2,) * 2
    u = Polynomial([0.0, width, -1.0])
    assert c[1:-1] @ K @ c[1:-1] == pytest.approx((u.deriv() ** 2).integ()(width), rel=1e-10)
    assert c[1:-1] @ M @ c[1:-1] == pytest.approx((u**2).integ()(width), rel=1e-10)


@pytest.mark.parametrize("degree", DEGREES)
def test_splines_reach_their_neighbours_and_sum_up_to_one(degree):
    h = widths(np.random.default_rng(1), 12, 0.5)
    K, M = (X.toarray() for X in splines(h, degree))
    i, j = np.indices(K.shape)
    assert ((M != 0) == (abs(i - j) <= degree)).all()
    inside = slice(degree, -degree)  # those that no spline left out touches
    np.testing.assert_allclose(K[inside].sum(axis=1), 0, atol=1e-12)
    assert M[inside].sum() == pytest.approx(
        sum(h[k : k + degree + 1].sum() for k in range(1, 12 - degree - 1)) / (degree + 1)
    )


def test_splines_of_degree_one_are_linear_elements():
    h = widths(np.random.default_rng(2), 9, 0.8)
    for spline, linear in zip(splines(h, 1), continuous(h, 1), strict=True):
        np.testing.assert_allclose(spline.toarray(), linear.toarray(), atol=1e-13)


@pytest.mark.parametrize("degree", [2, 3, 4])
def test_tensor_splines_have_the_lowest_eigenvalues_of_the_rectangle(degree):
    size = 16
    family, same = FAMILIES["spline_elements"], {"degree": float(degree), "epsilon": 0.25, "grading": 0.0}
    A, B = (family.make(np.random.default_rng(0), size, reaction=r, **same).A.toarray() for r in (1.0, 2.0))
    mass, width = B - A, size + 2 - degree
    root = np.linalg.inv(np.linalg.cholesky(mass))
    found = np.linalg.eigvalsh(root @ A @ root.T)[:4] - 1
    exact = sorted((np.pi / width) ** 2 * (p * p + 0.25 * q * q) for p in range(1, 4) for q in range(1, 6))[:4]
    np.testing.assert_allclose(found, exact, rtol=2e-3)


@pytest.mark.parametrize("degree", DEGREES)
def test_the_discontinuous_solution_is_the_parabola(degree):
    h = widths(np.random.default_rng(1), 8, 0.7)
    K, M = discontinuous(h, degree, 2.0)
    x = points(h, degree).ravel()
    solution = np.linalg.solve(K.toarray(), M @ np.ones(len(x)))
    error = abs(solution - x * (h.sum() - x) / 2).max() / solution.max()
    assert error < (0.05 if degree == 1 else 1e-10)


@pytest.mark.parametrize("degree", DEGREES)
def test_a_penalty_above_one_makes_it_positive_definite_and_half_of_that_does_not(degree):
    h = widths(np.random.default_rng(2), 9, 1.5)
    assert np.linalg.eigvalsh(discontinuous(h, degree, 1.001)[0].toarray())[0] > 0
    assert np.linalg.eigvalsh(discontinuous(h, degree, 0.3)[0].toarray())[0] < 0


def test_jumps_cost_their_penalty():
    """One at one cell and zero elsewhere: two faces, and no slope."""
    h = np.array([1.0, 0.5, 2.0, 1.0])
    K, _ = discontinuous(h, 2, 3.0)
    u = np.zeros((4, 3))
    u[1] = 1.0
    assert u.ravel() @ K @ u.ravel() == pytest.approx(3.0 * 4 * ((1 + 2) / 2 + (2 + 0.5) / 2))


@pytest.mark.parametrize(("degree", "element"), [(1, "ElementQuad1"), (2, "ElementQuad2")])
def test_rectangles_are_scikit_fems(degree, element):
    import skfem
    from skfem.helpers import dot, grad

    size, epsilon, reaction = 7, 0.3, 0.01
    problem = FAMILIES["tensor_elements"].make(
        np.random.default_rng(3), size, degree=float(degree), epsilon=epsilon, grading=0.8, reaction=reaction
    )
    rng = np.random.default_rng(3)
    cells = 8 // degree
    lines = [np.concatenate([[0.0], np.cumsum(widths(rng, cells, 0.8))]) for _ in range(2)]
    basis = skfem.Basis(skfem.MeshQuad.init_tensor(*lines), getattr(skfem, element)())
    k = np.array([1.0, epsilon])
    form = skfem.BilinearForm(lambda u, v, w: dot(k[:, None, None] * grad(u), grad(v)) + reaction * u * v)
    inside = basis.complement_dofs(basis.get_dofs())
    order = inside[np.lexsort(basis.doflocs[:, inside].round(9))]  # x fastest
    assert problem.A.toarray() == pytest.approx(form.assemble(basis).toarray()[np.ix_(order, order)], abs=1e-12)


def test_boxes_are_scikit_fems():
    import skfem
    from skfem.helpers import dot, grad

    problem = FAMILIES["hexahedral_elements"].make(
        np.random.default_rng(4), 3, degree=1.0, epsilon=0.2, grading=0.5, reaction=0.1
    )
    rng = np.random.default_rng(4)
    lines = [np.concatenate([[0.0], np.cumsum(widths(rng, 4, 0.5))]) for _ in range(3)]
    basis = skfem.Basis(skfem.MeshHex.init_tensor(*lines), skfem.ElementHex1())
    k = np.array([1.0, 1.0, 0.2])
    form = skfem.BilinearForm(lambda u, v, w: dot(k[:, None, None] * grad(u), grad(v)) + 0.1 * u * v)
    inside = basis.complement_dofs(basis.get_dofs())
    order = inside[np.lexsort(basis.doflocs[:, inside].round(9))]
    assert problem.A.toarray() == pytest.approx(form.assemble(basis).toarray()[np.ix_(order, order)], abs=1e-12)


def test_a_constant_medium_has_the_nine_point_stencil():
    medium = FAMILIES["random_field_elements"].make(np.random.default_rng(0), 6, decades=0.0, correlation=0.1)
    plain = FAMILIES["anisotropic_diffusion_fe"].make(np.random.default_rng(0), 6, epsilon=1.0, theta=0.0)
    assert medium.A.toarray() == pytest.approx(plain.A.toarray(), abs=1e-14)


def test_cells_of_a_random_medium_weigh_their_element():
    from skfem import Basis, BilinearForm, ElementQuad0, ElementQuad1, MeshQuad
    from skfem.helpers import dot, grad

    from rllib_psparsity.problems.families.finite_volumes import lognormal_field

    problem = FAMILIES["random_field_elements"].make(np.random.default_rng(5), 5, decades=3.0, correlation=0.1)
    k = lognormal_field(np.random.default_rng(5), 6, 3.0, 0.1)
    side = np.linspace(0, 1, 7)
    mesh = MeshQuad.init_tensor(side, side)
    basis = Basis(mesh, ElementQuad1())
    column, row = np.floor(mesh.p[:, mesh.t].mean(axis=1) * 6).astype(int)
    of_cells = basis.with_element(ElementQuad0()).interpolate(k[row, column])
    full = BilinearForm(lambda u, v, w: w["k"] * dot(grad(u), grad(v))).assemble(basis, k=of_cells)
    inside = basis.complement_dofs(basis.get_dofs())
    order = inside[np.lexsort(basis.doflocs[:, inside].round(9))]
    assert problem.A.toarray() == pytest.approx(full.toarray()[np.ix_(order, order)], abs=1e-12)
