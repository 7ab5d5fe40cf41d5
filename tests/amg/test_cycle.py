from __future__ import annotations

import numpy as np
import pyamg
import pytest
from scipy.sparse import block_diag, bsr_array, csr_array

from rllib_psparsity.amg.cycle import BlockVCycle, coarse_solver
from rllib_psparsity.amg.hierarchy import PINV_LIMIT, Hierarchy, Level, build_hierarchy
from rllib_psparsity.amg.limits import Limits
from rllib_psparsity.errors import SetupFailure
from tests.amg.cases import MENU, prior, problem

SCALAR_CASES = [
    (name, recipe) for name in ("five_point", "nine_point", "jump", "three_d") for recipe in range(len(MENU))
]
BLOCK_CASES = [("elasticity", recipe) for recipe, entry in enumerate(MENU) if not entry.scalar_only]


def hierarchy(name: str, recipe: int, max_coarse: int = 12) -> Hierarchy:
    case = problem(name)
    result = build_hierarchy(case.A, case.B, prior(MENU, recipe), menu=MENU, limits=Limits(max_coarse=max_coarse))
    assert not result.failed and len(result.levels) > 1
    return result


def vectors(n: int, num_vectors: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(4)
    return rng.standard_normal((n, num_vectors)), rng.standard_normal((n, num_vectors))


def assert_as_pyamg(h: Hierarchy) -> None:
    cycle, ml = BlockVCycle(h.levels), h.to_pyamg()
    b, x = vectors(h.levels[0].A.shape[0], 3)
    ours, from_zero = cycle(b, x), cycle(b)
    for k in range(3):
        theirs = ml.solve(b[:, k], x0=x[:, k].copy(), maxiter=1, tol=1e-30)
        np.testing.assert_allclose(ours[:, k], theirs, rtol=0, atol=1e-12 * np.abs(theirs).max())
        theirs = ml.solve(b[:, k], maxiter=1, tol=1e-30)
        np.testing.assert_allclose(from_zero[:, k], theirs, rtol=0, atol=1e-12 * np.abs(theirs).max())


@pytest.mark.parametrize(("name", "recipe"), SCALAR_CASES + BLOCK_CASES)
def test_equals_the_cycle_of_pyamg(name, recipe):
    assert_as_pyamg(hierarchy(name, recipe))


@pytest.mark.parametrize("name", ["nine_point", "elasticity"])
def test_equals_the_cycle_of_pyamg_with_a_large_coarsest_level(name):
    case = problem(name, size=40)
    h = build_hierarchy(case.A, case.B, prior(MENU, 4), menu=MENU, limits=Limits(max_levels=2))
    assert h.end == "levels" and h.levels[-1].A.shape[0] > 100
    assert_as_pyamg(h)


@pytest.mark.parametrize("name", ["five_point", "elasticity"])
def test_a_block_of_vectors_equals_its_columns_one_by_one(name):
    h = hierarchy(name, 1)
    cycle = BlockVCycle(h.levels)
    b, x = vectors(h.levels[0].A.shape[0], 5)
    together = cycle(b, x)
    for k in range(5):
        alone = cycle(b[:, k : k + 1], x[:, k : k + 1])
        np.testing.assert_allclose(together[:, k : k + 1], alone, rtol=0, atol=1e-13 * np.abs(alone).max())


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("name", ["five_point", "elasticity"])
def test_inputs_stay_untouched(name, order):
    h = hierarchy(name, 1)
    b, x = (np.array(values, order=order) for values in vectors(h.levels[0].A.shape[0], 4))
    kept = b.copy(), x.copy()
    result = BlockVCycle(h.levels)(b, x)
    np.testing.assert_array_equal(b, kept[0])
    np.testing.assert_array_equal(x, kept[1])
    assert not np.shares_memory(result, b) and not np.shares_memory(result, x)


@pytest.mark.parametrize("recipe", range(len(MENU)))
def test_the_cycle_is_a_symmetric_positive_definite_preconditioner(recipe):
    h = hierarchy("nine_point", recipe)
    M = BlockVCycle(h.levels)(np.eye(h.levels[0].A.shape[0]))
    np.testing.assert_allclose(M, M.T, rtol=0, atol=1e-12 * np.abs(M).max())
    assert np.linalg.eigvalsh(M).min() > 0


def test_a_single_level_is_solved_exactly():
    case = problem("five_point", size=6)
    h = build_hierarchy(case.A, case.B, prior(MENU, 0), menu=MENU)
    assert len(h.levels) == 1
    b, x = vectors(36, 3)
    np.testing.assert_allclose(case.A @ BlockVCycle(h.levels)(b, x), b, atol=1e-12)


def test_the_first_levels_alone_are_closed_by_an_exact_solve():
    h = hierarchy("five_point", 1)
    assert len(h.levels) > 2
    A, P = (matrix.toarray() for matrix in (h.levels[0].A, h.levels[0].P))
    # Written out: M = I - (I - M_s A)^T (I - P A_c^-1 P^T A) (I - M_s A), for symmetric Gauss-Seidel M_s.
    lower, upper = np.tril(A), np.triu(A)
    smooth = np.linalg.solve(upper, upper - A) @ np.linalg.solve(lower, lower - A)
    correct = np.eye(len(A)) - P @ np.linalg.solve(P.T @ A @ P, P.T @ A)
    errors = vectors(len(A), 3)[0]
    ours = BlockVCycle(h.levels[:2])(np.zeros_like(errors), errors)
    np.testing.assert_allclose(ours, smooth @ correct @ smooth @ errors, atol=1e-12)


def test_rows_without_a_diagonal_keep_their_value_in_the_smoother():
    """Against the sweeps themselves and SciPy's products, for a matrix with an empty row and one without a diagonal."""
    rng = np.random.default_rng(1)
    A = rng.standard_normal((12, 12)) * (rng.random((12, 12)) < 0.5)
    A = A + A.T + 20.0 * np.eye(12)
    A[4], A[:, 4], A[7, 7] = 0.0, 0.0, 0.0
    P = rng.standard_normal((12, 3)) * (rng.random((12, 3)) < 0.6)
    fine, coarse = Level(csr_array(A), np.ones((12, 1))), Level(csr_array(P.T @ P + np.eye(3)), np.ones((3, 1)))
    fine.P = csr_array(P)
    b, x = vectors(12, 4)
    ours = BlockVCycle([fine, coarse])(b, x)
    expected = x.copy()
    fine.relaxation()(b, expected)
    expected += P @ np.linalg.solve(coarse.A.toarray(), P.T @ (b - A @ expected))
    fine.relaxation()(b, expected)
    np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-12 * np.abs(expected).max())


def test_a_result_outlives_the_next_cycle():
    h = hierarchy("five_point", 1)
    cycle, (b, other) = BlockVCycle(h.levels), vectors(h.levels[0].A.shape[0], 4)
    first = cycle(b)
    kept = first.copy()
    cycle(other)
    np.testing.assert_array_equal(first, kept)


def large(n: int) -> csr_array:
    return csr_array(pyamg.gallery.poisson((n,), format="csr"))


@pytest.mark.parametrize("n", [PINV_LIMIT, PINV_LIMIT + 1])
def test_coarse_solver_on_both_sides_of_the_limit(n):
    A = csr_array(large(n) + csr_array(np.eye(n)))
    b = vectors(n, 3)[0]
    np.testing.assert_allclose(coarse_solver(A)(b), np.linalg.solve(A.toarray(), b), atol=1e-10)


def test_coarse_solver_takes_blocks():
    case = problem("elasticity", size=18)
    assert isinstance(case.A, bsr_array) and case.num_unknowns > PINV_LIMIT
    b = vectors(case.num_unknowns, 2)[0]
    x = coarse_solver(case.A)(b)
    np.testing.assert_allclose(case.A @ x, b, atol=1e-8)


@pytest.mark.parametrize("shift", [0.0, 2.7, 3.9])
def test_coarse_solver_of_a_large_matrix_however_indefinite(shift):
    A = csr_array(pyamg.gallery.poisson((30, 31), format="csr") - shift * np.eye(30 * 31))
    b = vectors(A.shape[0], 3)[0]
    assert A.shape[0] > PINV_LIMIT
    np.testing.assert_allclose(A @ coarse_solver(A)(b), b, atol=1e-8)


@pytest.mark.parametrize("n", [40, PINV_LIMIT + 40])
def test_coarse_solver_with_empty_rows(n):
    A = csr_array(block_diag([np.zeros((1, 1)), large(n), np.zeros((2, 2))]))
    b = vectors(n + 3, 2)[0]
    b[[0, -2, -1]] = 0.0  # P^T r is zero where a column of P is
    x = coarse_solver(A)(b)
    assert np.isfinite(x).all()
    np.testing.assert_allclose(A @ x, b, atol=1e-8)


def test_a_small_singular_matrix_is_solved_in_the_least_squares_sense():
    A = csr_array(np.array([[1.0, -1.0], [-1.0, 1.0]]))
    np.testing.assert_allclose(coarse_solver(A)(np.array([[2.0], [0.0]])), [[0.5], [-0.5]])


def test_a_large_singular_matrix_is_a_failed_set_up():
    A = csr_array(block_diag([large(PINV_LIMIT), np.ones((2, 2))]))
    with pytest.raises(SetupFailure, match=r"^the coarsest matrix is singular: "):
        coarse_solver(A)


def test_a_small_matrix_that_is_not_finite_is_a_failed_set_up():
    with pytest.raises(SetupFailure, match=r"^the coarsest matrix has no pseudo-inverse: "):
        coarse_solver(csr_array(np.array([[1.0, np.nan], [np.nan, 1.0]])))
