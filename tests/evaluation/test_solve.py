from __future__ import annotations

import numpy as np
import pyamg
import pytest
from scipy.sparse import csr_array, diags_array

from rllib_psparsity.amg.preconditioned_cg import preconditioned_cg
from rllib_psparsity.evaluation.solve import solve_system

A = csr_array(pyamg.gallery.poisson((20, 20), format="csr"))
M = pyamg.smoothed_aggregation_solver(A, max_coarse=20).aspreconditioner()
b = np.random.default_rng(0).standard_normal(400)


def test_the_residual_itself_meets_the_tolerance() -> None:
    seen: list[tuple[int, float]] = []
    solution = solve_system(A, b, M, 1e-8, 100, watch=lambda *step: seen.append(step))
    assert solution.converged
    assert np.linalg.norm(b - A @ solution.x) <= 1e-8 * np.linalg.norm(b)
    assert solution.relative_residual == pytest.approx(np.linalg.norm(b - A @ solution.x) / np.linalg.norm(b))
    assert len(solution.residuals) == solution.iterations + 1
    assert seen == list(zip(range(1, solution.iterations), solution.residuals[1:-1], strict=True))


def test_a_second_pass_mends_what_rounding_has_spoilt() -> None:
    """Scales of eight decades: the recurrence residual of the first pass says less than is true."""
    tol = 5e-10
    stencil = pyamg.gallery.diffusion_stencil_2d(epsilon=0.001, theta=0.5, type="FD")
    scales = diags_array(np.logspace(-4, 4, 1600))
    bad = csr_array(scales @ pyamg.gallery.stencil_grid(stencil, (40, 40), format="csr") @ scales)
    jacobi = diags_array(1 / bad.diagonal())
    right = np.random.default_rng(0).standard_normal(1600)
    one_pass = preconditioned_cg(bad, right, jacobi, tol, 1000)
    assert one_pass.converged
    assert np.linalg.norm(right - bad @ one_pass.x) > tol * np.linalg.norm(right)
    solution = solve_system(bad, right, jacobi, tol, 1000)
    assert solution.converged
    assert np.linalg.norm(right - bad @ solution.x) <= tol * np.linalg.norm(right)
    assert len(solution.residuals) == solution.iterations + 1


@pytest.mark.parametrize("power", [-250, 250])
def test_scale_of_the_right_hand_side_changes_nothing(power: int) -> None:
    """Squares of its norm would be zero or infinite."""
    plain, scaled = solve_system(A, b, M, 1e-8, 100), solve_system(A, 10.0**power * b, M, 1e-8, 100)
    assert scaled.converged and abs(scaled.iterations - plain.iterations) <= 1
    np.testing.assert_allclose(scaled.x / 10.0**power, plain.x, rtol=1e-5, atol=1e-7)


def test_the_largest_numbers_neither_overflow_nor_pass_for_a_solution() -> None:
    largest = b / np.abs(b).max() * np.finfo(float).max
    small = solve_system(1e10 * A, largest, M, 1e-8, 100)
    assert small.converged and np.isfinite(small.x).all()
    assert solve_system(1e-10 * A, largest, M, 1e-8, 100).failure == "the solution is too large for double precision"


def test_failures_have_reasons() -> None:
    short = solve_system(A, b, M, 1e-8, 2)
    assert (short.converged, short.iterations, short.failure) == (False, 2, "not converged in 2 iterations")
    assert short.relative_residual == pytest.approx(short.residuals[-1])
    unreachable = solve_system(A, b, M, 1e-18, 100)
    assert unreachable.failure.startswith("rounding holds the relative residual at ")
    indefinite = solve_system(-A, b, M, 1e-8, 100)
    assert indefinite.failure == "the matrix is not positive definite along a search direction"
