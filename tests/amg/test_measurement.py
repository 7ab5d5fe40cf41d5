from __future__ import annotations

import dataclasses
import math

import numpy as np
import pyamg
import pytest
import scipy.sparse as sp
import scipy.sparse.linalg as sla

from rllib_psparsity.amg import measurement
from rllib_psparsity.amg.measurement import measure_solve
from rllib_psparsity.amg.preconditioned_cg import preconditioned_cg


@pytest.fixture(scope="module")
def ml():
    A = sp.csr_array(pyamg.gallery.poisson((16, 13), format="csr"))
    return pyamg.smoothed_aggregation_solver(A, np.ones((A.shape[0], 1)), max_coarse=20)


def reference_pcg(A: np.ndarray, V: np.ndarray, b: list[float], tol: float) -> list[float]:
    """Textbook PCG with dense loops; the residual is recomputed from x, not recurred."""
    n = len(b)

    def product(M, v):
        return [sum(M[i, j] * v[j] for j in range(n)) for i in range(n)]

    def dot(u, v):
        return sum(s * t for s, t in zip(u, v, strict=True))

    x, r = [0.0] * n, list(b)
    norms = [math.sqrt(dot(r, r))]
    z = product(V, r)
    p = list(z)
    while norms[-1] > tol * norms[0]:
        Ap = product(A, p)
        alpha = dot(r, z) / dot(p, Ap)
        x = [s + alpha * t for s, t in zip(x, p, strict=True)]
        old = dot(r, z)
        r = [s - t for s, t in zip(b, product(A, x), strict=True)]
        z = product(V, r)
        p = [s + dot(r, z) / old * t for s, t in zip(z, p, strict=True)]
        norms.append(math.sqrt(dot(r, r)))
    return norms


def test_matches_plain_python_reference():
    A = sp.csr_array(pyamg.gallery.poisson((8, 7), format="csr"))
    ml = pyamg.smoothed_aggregation_solver(A, max_coarse=8)
    n = A.shape[0]
    V = np.stack([ml.aspreconditioner() @ unit for unit in np.eye(n)], axis=1)
    b = np.random.default_rng(3).standard_normal(n)
    norms = reference_pcg(A.toarray(), V, list(b), 1e-8)

    nnz = [level.A.nnz for level in ml.levels]
    cycle = (sum(2 * count for count in nnz[:-1]) + nnz[-1]) / nnz[0]  # one sweep before, one after, one direct solve
    digits = math.log10(norms[0] / norms[-1])
    result = measure_solve(ml, seed=3)
    assert result.converged and result.reason == "converged"
    assert result.iterations == len(norms) - 1
    np.testing.assert_allclose(result.residuals, norms, rtol=1e-5)
    assert result.digits == pytest.approx(digits, rel=1e-6)
    assert result.work_per_digit == pytest.approx((cycle + 1) * (len(norms) - 1) / digits, rel=1e-6)
    assert result.operator_complexity == sum(nnz) / nnz[0]
    assert result.cycle_complexity == cycle


def test_matches_scipy(ml):
    A = ml.levels[0].A
    b = np.random.default_rng(5).standard_normal(A.shape[0])
    norms = [np.linalg.norm(b)]
    _, info = sla.cg(
        A, b, rtol=1e-8, atol=0, M=ml.aspreconditioner(), callback=lambda x: norms.append(np.linalg.norm(b - A @ x))
    )
    result = measure_solve(ml, seed=5)
    assert info == 0
    assert result.iterations == len(norms) - 1
    np.testing.assert_allclose(result.residuals, norms, rtol=1e-4)


def test_deterministic_and_seeded(ml):
    first, again, other = measure_solve(ml, 1), measure_solve(ml, 1), measure_solve(ml, 2)
    assert np.array_equal(first.residuals, again.residuals)
    assert first.work_per_digit == again.work_per_digit
    assert first.residuals[0] != other.residuals[0]


def test_not_converged_is_infinite(ml):
    result = measure_solve(ml, max_iterations=2)
    assert not result.converged
    assert result.work_per_digit == math.inf
    assert result.reason == "not converged in 2 iterations"
    assert result.iterations == 2
    assert result.digits > 0


@pytest.mark.parametrize(("error", "converged"), [(0.9e-2, True), (1.1e-2, False)])
def test_a_quarter_of_the_digits_is_there_in_the_residual_itself(ml, monkeypatch, error, converged):
    def drifted(*args):
        solve = preconditioned_cg(*args)
        return dataclasses.replace(solve, x=(1.0 + error) * solve.x)

    monkeypatch.setattr(measurement, "preconditioned_cg", drifted)
    result = measure_solve(ml)
    assert result.converged == converged
    assert math.isfinite(result.work_per_digit) == converged
    expected = "converged" if converged else "the recurrence residual has converged, but |b - A x| is 1.1e-02 |b|"
    assert result.reason == expected


def test_singular_system_without_a_solution_never_converges():
    """Whatever rounding makes of it: with some orders of the unknowns the recurrence residual falls all the same."""
    A = pyamg.gallery.poisson((12, 12), format="csr")
    A = sp.csr_array(A - sp.diags_array(A @ np.ones(144)))
    assert not (A @ np.ones(144)).any()
    for seed in range(20):
        order = np.random.default_rng(seed).permutation(144)
        permuted = sp.csr_array(A[order][:, order])
        assert not measure_solve(pyamg.smoothed_aggregation_solver(permuted, max_coarse=10), seed=1).converged


def test_tolerance_is_met_by_the_last_residual_only(ml):
    relative = measure_solve(ml).residuals / measure_solve(ml).residuals[0]
    assert relative[-1] <= 1e-8 < relative[-2]


def test_exact_solver_has_finite_work():
    A = sp.csr_array(np.diag([1.0, 2.0, 4.0]))
    result = measure_solve(pyamg.smoothed_aggregation_solver(A, max_coarse=10))
    assert result.converged and result.iterations == 1
    assert result.digits <= -math.log10(np.finfo(float).eps) + 1e-9
    assert 0 < result.work_per_digit < 1


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda P: P.data.fill(np.nan), "the V-cycle is not finite"),
        (lambda P: P.data.__imul__(1e200), "the search direction is not finite"),
        (lambda P: P.data.__imul__(-30.0), "the V-cycle is not positive definite"),
    ],
)
def test_broken_hierarchy_is_a_failure_not_an_exception(damage, reason):
    A = sp.csr_array(pyamg.gallery.poisson((12, 12), format="csr"))
    ml = pyamg.smoothed_aggregation_solver(A, max_coarse=20)
    damage(ml.levels[0].P)
    result = measure_solve(ml)
    assert (result.converged, result.work_per_digit, result.reason) == (False, math.inf, reason)


def test_matrix_that_is_not_finite():
    A = sp.csr_array(pyamg.gallery.poisson((12, 12), format="csr"))
    ml = pyamg.smoothed_aggregation_solver(A, max_coarse=20)
    ml.levels[-1].A.data[:] = np.nan  # before the first cycle, so the coarse solver meets it
    result = measure_solve(ml)
    assert not result.converged
    assert result.work_per_digit == math.inf
    assert result.reason.startswith("the V-cycle")


def test_indefinite_matrix():
    A = sp.csr_array(pyamg.gallery.poisson((12, 12), format="csr"))
    ml = pyamg.smoothed_aggregation_solver(A, max_coarse=20)
    shifted = ml.levels[0].A - 3.0 * sp.eye_array(A.shape[0], format="csr")
    ml.levels[0].A.data[:] = shifted.data
    assert measure_solve(ml).converged is False
