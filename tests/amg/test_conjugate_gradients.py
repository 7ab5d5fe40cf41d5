from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import csr_array

from rllib_psparsity.amg.conjugate_gradients import solve_block
from tests.amg.cases import problem


def one_by_one(A: np.ndarray, b: np.ndarray, M: np.ndarray, tolerance: float, most: int) -> tuple[np.ndarray, int]:
    """The textbook's loop for one system: residual and iterations."""
    r, z = b.copy(), M @ b
    p, rz, iteration = z.copy(), b @ z, 0
    while iteration < most:
        iteration += 1
        alpha = rz / (p @ A @ p)
        r = r - alpha * (A @ p)
        if np.linalg.norm(r) <= tolerance * np.linalg.norm(b):
            break
        z = M @ r
        rz, before = r @ z, rz
        p = z + rz / before * p
    return r, iteration


@pytest.mark.parametrize("num_vectors", [1, 4, 6])
@pytest.mark.parametrize("name", ["five_point", "elasticity"])
def test_equals_the_textbook_system_by_system(name, num_vectors):
    A = problem(name, size=7).A
    dense = A.toarray()
    M = np.diag(1.0 / np.diag(dense))
    rng = np.random.default_rng(0)
    b = rng.standard_normal((len(dense), num_vectors))
    # An eigenvector of M A is solved in one iteration, and stands still while the others go on.
    values, vectors = np.linalg.eig(M @ dense)
    b[:, 0] = dense @ vectors[:, values.argmax()].real
    kept = b.copy()
    solve = solve_block(A, b, lambda r: M @ r, 1e-5, 400)
    np.testing.assert_array_equal(b, kept)
    for k in range(num_vectors):
        residual, iterations = one_by_one(dense, b[:, k], M, 1e-5, 400)
        assert solve.iterations[k] == iterations < 400
        np.testing.assert_allclose(solve.residuals[:, k], residual, atol=1e-7 * np.linalg.norm(b[:, k]))
        relative = np.linalg.norm(solve.residuals[:, k]) / np.linalg.norm(b[:, k])
        assert solve.relative[k] == pytest.approx(relative, rel=1e-12, abs=0) and relative <= 1e-5
    assert solve.iterations[0] == 1 and (num_vectors == 1 or solve.iterations[1:].min() > 5)


def test_stops_at_the_most_iterations():
    A = problem("five_point").A
    b = np.random.default_rng(0).standard_normal((A.shape[0], 4))
    solve = solve_block(A, b, lambda r: r, 1e-12, 3)
    assert (solve.iterations == 3).all() and (solve.relative > 1e-12).all()


def test_stops_when_it_is_enough():
    A = problem("five_point").A
    b = np.random.default_rng(0).standard_normal((A.shape[0], 4))
    seen = []

    def enough(iteration: int, relative: np.ndarray) -> bool:
        seen.append((iteration, relative.max()))
        return iteration == 2

    solve = solve_block(A, b, lambda r: r, 1e-12, 50, enough)
    assert (solve.iterations == 2).all()
    assert seen == [(k, solve_block(A, b, lambda r: r, 1e-12, k).relative.max()) for k in (1, 2)]


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_stops_when_a_system_is_not_finite(value):
    calls = []

    def broken(r: np.ndarray) -> np.ndarray:
        calls.append(None)
        z = r.copy()
        if len(calls) == 3:
            z[0, 1] = value
        return z

    A = csr_array(np.diag(np.arange(1.0, 31.0)))
    solve = solve_block(A, np.ones((30, 4)), broken, 1e-12, 50)
    assert len(calls) == 3 and np.isnan(solve.relative[1]) and (solve.iterations == 3).all()
