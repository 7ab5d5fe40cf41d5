import numpy as np
import pytest
import scipy.sparse as sp
from pyamg.gallery import poisson

from rllib_psparsity.amg import direct_solver
from rllib_psparsity.amg.direct_solver import DirectSolver
from rllib_psparsity.amg.vanishing import clear_vanishing
from rllib_psparsity.errors import SetupFailure


@pytest.mark.parametrize("limit", [500, 10])
@pytest.mark.parametrize("units", [0, 8])
def test_solves_in_any_units(monkeypatch, limit, units):
    monkeypatch.setattr(direct_solver, "DENSE_LIMIT", limit)
    rng = np.random.default_rng(0)
    s = sp.diags_array(10.0 ** rng.uniform(-units, units, 100))
    A = sp.csr_array(s @ poisson((10, 10), format="csr") @ s)
    solver = DirectSolver(A)
    assert solver.null_vectors.shape == (100, 0) and solver.work >= 100
    x = rng.standard_normal((100, 3)) / s.diagonal()[:, None]
    np.testing.assert_allclose(solver.solve(A @ x) * s.diagonal()[:, None], x * s.diagonal()[:, None], atol=1e-8)
    np.testing.assert_array_equal(solver(None, A @ x[:, 0]), solver.solve(A @ x[:, 0]))


def test_a_singular_matrix_is_solved_within_its_range_and_the_solver_stays_semidefinite():
    A = poisson((6, 6), format="csr")
    A = sp.csr_array(A - sp.diags_array(A.sum(axis=1)))
    solver = DirectSolver(A)
    (x,) = solver.null_vectors.T
    np.testing.assert_allclose(x, x[0])
    b = A @ np.random.default_rng(0).standard_normal(36)
    np.testing.assert_allclose(A @ solver.solve(b), b, atol=1e-12)
    inverse = solver.solve(np.eye(36))
    np.testing.assert_allclose(inverse, inverse.T, atol=1e-12)
    assert np.linalg.eigvalsh(inverse)[0] > -1e-12


def test_an_indefinite_matrix_shows_a_vector_and_is_solved_semidefinitely():
    A = np.array([[1.0, 0.9, 0.9], [0.9, 1.0, -0.9], [0.9, -0.9, 1.0]])
    solver = DirectSolver(sp.csr_array(A))
    (x,) = solver.null_vectors.T
    assert x @ A @ x < -0.5 * (x @ x)
    assert np.linalg.eigvalsh(solver.solve(np.eye(3)))[0] > -1e-12


def test_unknowns_without_an_equation_become_zero():
    solver = DirectSolver(sp.csr_array(np.diag([2.0, 0.0, 4.0])))
    np.testing.assert_array_equal(solver.solve(np.ones(3)), [0.5, 0.0, 0.25])
    np.testing.assert_array_equal(solver.null_vectors, [[0.0], [1.0], [0.0]])


def test_what_cannot_be_solved_is_a_failed_set_up(monkeypatch):
    with pytest.raises(SetupFailure, match="not finite"):
        DirectSolver(sp.csr_array(np.array([[np.nan]])))
    monkeypatch.setattr(direct_solver, "SPARSE_LIMIT", 5)
    with pytest.raises(SetupFailure, match="6 unknowns, too many"):
        DirectSolver(sp.eye_array(6, format="csr"))


@pytest.mark.parametrize("block", [1, 2])
def test_rounding_in_place_of_energy_is_cleared_and_nothing_else(block):
    """Two halves without any coupling or boundary: the first shrinks to a coarse node without energy."""
    coarse = np.diag([-1e-17, 3e-17, 2.0, 1e-9])
    coarse[0, 2] = coarse[2, 0] = 1e-18
    R = np.array([[1.0, 1, 0, 0], [1, -1, 0, 0], [0, 0, 1, 1], [0, 0, 1, -1]])
    as_stored = (lambda M: sp.csr_array(M)) if block == 1 else (lambda M: sp.csr_array(M).tobsr((2, 2)))
    A_c = as_stored(coarse)
    clear_vanishing(A_c, as_stored(R), np.ones(4))
    np.testing.assert_array_equal(A_c.toarray(), np.diag([0.0, 0.0, 2.0, 1e-9]))


def test_a_null_vector_that_no_pivot_shows_is_found():
    """The last unknown has little part in it: an eigenvalue of rounding, and no pivot anywhere near it."""
    null = np.array([1.0, -2.0, 1.5, 1.0, 1e-4])
    basis = np.linalg.qr(np.column_stack([null, np.eye(5)[:, :4]]))[0]
    A = basis @ np.diag([0.0, 1.0, 1.2, 1.4, 1.6]) @ basis.T
    scale = 1 / np.sqrt(A.diagonal())
    A = scale[:, None] * A * scale + 1e-14 * np.eye(5)
    assert (np.linalg.cholesky(A).diagonal() ** 2).min() > 1e-8 and np.linalg.eigvalsh(A)[0] < 1e-13
    solver = DirectSolver(sp.csr_array(A))
    assert solver.null_vectors.shape == (5, 1)
    b = A @ np.arange(5.0)
    np.testing.assert_allclose(A @ solver.solve(b), b, atol=1e-10)
