from __future__ import annotations

import numpy as np
import pyamg
import pytest
from scipy.linalg import pinv
from scipy.sparse import block_diag, csr_array, diags_array

from rllib_psparsity.amg import envelope_cholesky as module
from rllib_psparsity.amg.cycle import coarse_solver
from rllib_psparsity.amg.envelope_cholesky import envelope_cholesky
from tests.amg.cases import SCALAR, coarse_level, problem


def right_hand_sides(n: int) -> np.ndarray:
    return np.random.default_rng(2).standard_normal((n, 4))


def neumann(n: int) -> np.ndarray:
    """The Laplacian of a path: singular, the constant its null vector."""
    A = np.diag(np.full(n, 2.0)) - np.eye(n, k=1) - np.eye(n, k=-1)
    A[0, 0] = A[-1, -1] = 1.0
    return A


@pytest.mark.parametrize("name", [*SCALAR, "coarse nine_point", "coarse elasticity", "elasticity"])
def test_solves_as_a_dense_solver(name):
    A = coarse_level(name.removeprefix("coarse "))[0] if name.startswith("coarse") else problem(name).A
    A = csr_array(A)
    b = right_hand_sides(A.shape[0])
    kept, factors = b.copy(), envelope_cholesky(A)
    assert factors is not None
    x, expected = factors.solve(b), np.linalg.solve(A.toarray(), b)
    tolerance = 1e-15 * np.linalg.cond(A.toarray()) + 1e-13
    np.testing.assert_allclose(x, expected, rtol=0, atol=tolerance * np.abs(expected).max())
    np.testing.assert_array_equal(b, kept)


def test_the_numbering_does_not_matter():
    A = csr_array(pyamg.gallery.poisson((9, 8), format="csr"))
    order = np.random.default_rng(0).permutation(72)
    b = right_hand_sides(72)
    x, shuffled = envelope_cholesky(A).solve(b), envelope_cholesky(csr_array(A[order][:, order])).solve(b[order])
    np.testing.assert_allclose(shuffled, x[order], rtol=0, atol=1e-13)


def test_parts_that_are_not_connected_are_solved_each():
    parts = [neumann(5) + np.eye(5), np.array([[3.0]]), neumann(4) + 2 * np.eye(4)]
    A = block_diag(parts, format="csr")
    b = right_hand_sides(10)
    np.testing.assert_allclose(envelope_cholesky(csr_array(A)).solve(b), np.linalg.solve(A.toarray(), b), atol=1e-13)


@pytest.mark.parametrize(
    "A",
    [
        neumann(12),
        neumann(12) + 1e-10 * np.eye(12),
        np.diag([1.0, 0.0, 2.0]),
        np.diag([1.0, -1.0, 2.0]),
        np.diag([-1.0, -2.0]),
        np.array([[1.0, 2.0], [2.0, 1.0]]),
        np.array([[1.0, np.nan], [np.nan, 1.0]]),
        np.diag([np.inf, 1.0]),
    ],
)
def test_only_a_safely_definite_matrix_is_factored(A):
    assert envelope_cholesky(csr_array(A)) is None


def test_a_large_envelope_is_left_to_others(monkeypatch):
    A = csr_array(diags_array([-np.ones(9), 2 * np.ones(10), -np.ones(9)], offsets=[-1, 0, 1]))
    assert envelope_cholesky(A) is not None
    monkeypatch.setattr(module, "MAX_ENTRIES", 18)  # its envelope has 10 + 9
    assert envelope_cholesky(A) is None
    b = right_hand_sides(10)
    np.testing.assert_allclose(coarse_solver(A)(b), np.linalg.solve(A.toarray(), b), atol=1e-12)


@pytest.mark.parametrize("shift", [0.0, 1e-16, 1e-14, 1e-11, 1e-9, 1e-7, 1e-4, 1.0])
def test_coarse_solver_is_the_pseudo_inverse_however_near_to_singular(shift):
    A = neumann(40) + shift * np.eye(40)
    b = right_hand_sides(40)
    expected = pinv(A) @ b
    # The null vector's part loses digits with the condition number, whoever solves.
    tolerance = 1e-13 + 1e-14 / shift if shift > 1e-12 else 1e-12
    np.testing.assert_allclose(coarse_solver(csr_array(A))(b), expected, rtol=0, atol=tolerance * abs(expected).max())


@pytest.mark.parametrize("decades", [4.0, 8.0, 12.0])
def test_coarse_solver_is_the_pseudo_inverse_for_graded_matrices(decades):
    scale = np.sqrt(10.0 ** np.linspace(0, -decades, 30))
    A = csr_array(diags_array(scale) @ (neumann(30) + 0.1 * np.eye(30)) @ diags_array(scale))
    b = right_hand_sides(30) * scale[:, None]
    ours, expected = coarse_solver(A)(b), pinv(A.toarray()) @ b
    np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-16 * 10**decades * abs(expected).max() + 1e-11)
