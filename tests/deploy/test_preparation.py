"""Units: scalings that undo themselves, and candidates that follow the units."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
from pyamg.gallery import linear_elasticity, poisson

from rllib_psparsity import learned_solver
from rllib_psparsity.deploy.preparation import default_candidates, of_usual_length, prepare, scaling_of
from rllib_psparsity.problems.validation import check_matrix


def test_usual_matrices_are_left_alone():
    assert scaling_of(np.array([4.0, 1e5, 1e-5])) is None
    common = scaling_of(np.array([4e20, 1e20, 1e26]))
    assert common is not None and len(set(common.s)) == 1
    apart = scaling_of(np.array([1e-10, 1.0, 1e10]))
    assert apart is not None and len(set(apart.s)) == 3


@pytest.mark.parametrize("block", [1, 2])
def test_scaling_is_exact_and_symmetric(block):
    rng = np.random.default_rng(0)
    A = linear_elasticity((6, 6), format="bsr")[0] if block == 2 else poisson((8, 8), format="csr")
    d = sp.diags_array(10.0 ** rng.uniform(-12, 12, A.shape[0]))
    K, B = check_matrix((d @ A @ d).tobsr((2, 2)) if block == 2 else d @ A @ d)
    scaled = scaling_of(K.diagonal())
    assert scaled is not None
    dense = scaled.s[:, None] * K.toarray() * scaled.s
    np.testing.assert_array_equal(scaled.matrix(K).toarray(), dense)
    assert dense.diagonal().min() > 0.4 and dense.diagonal().max() < 2.1
    np.testing.assert_array_equal(scaled.candidates(B) * scaled.s[:, None], B)
    np.testing.assert_array_equal(scaled.prolongator(K).toarray(), scaled.s[:, None] * K.toarray())


@pytest.mark.parametrize("factor", [2.0**-500, 2.0**-60, 2.0**60, 2.0**500])
def test_a_factor_changes_nothing_but_the_finest_level(factor):
    A = poisson((30, 30), format="csr")
    ours, theirs = learned_solver(factor * A), learned_solver(A)
    assert ours.setup_info.levels == theirs.setup_info.levels
    b = np.random.default_rng(0).standard_normal(900)
    x, y = (ml.aspreconditioner() @ b for ml in (ours, theirs))
    np.testing.assert_allclose(factor * x, y, rtol=1e-9, atol=1e-12 * abs(y).max())


def test_candidates_follow_the_units():
    A, ones = check_matrix(poisson((30, 30), format="csr"))
    assert default_candidates(A, A.diagonal(), ones) is ones
    units = 10.0 ** np.random.default_rng(0).uniform(-4, 4, 900)
    K, _ = check_matrix(sp.diags_array(units) @ A @ sp.diags_array(units))
    np.testing.assert_allclose(default_candidates(K, K.diagonal(), ones)[:, 0] * units, 0.5)
    jumps = np.where(np.arange(900) % 30 < 15, 1.0, 1e4)  # a coefficient that jumps is no change of units
    W = sp.csr_array(sp.diags_array(jumps) @ A)
    W = sp.csr_array(np.minimum(W.toarray(), W.toarray().T) * (1 - np.eye(900)))
    L, _ = check_matrix(sp.diags_array(-W.sum(axis=1) + 1e-3) + W)
    assert default_candidates(L, L.diagonal(), ones) is ones


def graph_laplacian(n):
    """Of a random graph with uneven degrees that nothing holds."""
    i, j = np.random.default_rng(0).integers(0, n, (2, 3 * n))
    W = sp.coo_array((np.ones(6 * n), (np.r_[i, j], np.r_[j, i])), shape=(n, n)).tocsr()
    return sp.csr_array(sp.diags_array(W.sum(axis=1)) - W)


def in_own_units(A):
    units = 10.0 ** np.random.default_rng(0).uniform(-4, 4, A.shape[0])
    K = sp.csr_array(sp.diags_array(units) @ A @ sp.diags_array(units))
    return sp.csr_array((K + K.T) / 2), units


def from_nullspace(system, B, units):
    """How far a candidate is from the nullspace, 1 / units, relative to its mean."""
    there = (system.scaling.s[:, None] * B)[:, 0] * units
    return np.ptp(there[:60]) / there[:60].mean()


def unrelaxed(system):
    constants = np.ones((len(system.B), 1))
    return system.scaling.candidates(default_candidates(system.A, system.A.diagonal(), constants))


def test_default_candidates_in_other_units_each_are_relaxed_and_given_ones_are_not():
    L = graph_laplacian(60)
    K, units = in_own_units(L)
    system = prepare(K, None)
    assert system.scaling is not None
    far = from_nullspace(system, unrelaxed(system), units)
    assert far > 0.5 and from_nullspace(system, system.scaled_B, units) < 1e-6
    given = prepare(K, 1 / np.sqrt(K.diagonal()))
    assert from_nullspace(given, given.scaled_B, units) == pytest.approx(far)
    assert np.array_equal(prepare(L, None).scaled_B, np.ones((60, 1)))  # in one unit nothing is relaxed here


def test_parts_without_smooth_error_keep_their_candidates():
    """Unknowns on their own, and a part with a strong shift, beside one that nothing holds."""
    shifted = sp.diags_array([-1.0, 30.0, -1.0], offsets=[-1, 0, 1], shape=(10, 10))
    K, units = in_own_units(sp.csr_array(sp.block_diag([graph_laplacian(60), shifted, np.eye(10)])))
    system = prepare(K, None)
    assert system.scaling is not None
    assert from_nullspace(system, system.scaled_B, units) < 1e-6
    factors = (system.scaled_B / unrelaxed(system))[60:]
    assert (factors == factors[0]).all() and np.log2(factors[0, 0]) % 1 == 0


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("length", [1e200, 1e-200])
@pytest.mark.parametrize("policy", ["default", "many_solves"])
def test_the_length_of_candidates_changes_nothing(policy, length):
    A, B = sp.csr_array(poisson((40, 40), format="csr")), np.linspace(1.0, 2.0, 1600)
    usual, other = (learned_solver(A, factor * B, policy=policy) for factor in (1.0, length))
    assert other.setup_info.levels == usual.setup_info.levels and not other.setup_info.guard_stepped_in


def test_candidates_are_brought_near_one_by_powers_of_two():
    B = np.column_stack([np.linspace(1.0, 2.0, 50), np.zeros(50), 1e200 * np.linspace(-5.0, 1.0, 50)])
    scaled = of_usual_length(B)
    assert np.array_equal(scaled[:, :2], B[:, :2] / [4.0, 1.0]) and 0.5 <= np.abs(scaled[:, 2]).max() < 1.0
    assert np.log2(B[0, 2] / scaled[0, 2]) % 1 == 0
    assert of_usual_length(scaled) is scaled


def test_scaled_unknowns_cost_few_iterations_more():
    A = poisson((40, 40), format="csr")
    units = sp.diags_array(10.0 ** np.random.default_rng(0).uniform(-4, 4, 1600))
    for K in (A, sp.csr_array(units @ A @ units)):
        x = np.ones(1600) / np.sqrt(K.diagonal())
        residuals: list[float] = []
        learned_solver(K).solve(K @ x, accel="cg", tol=1e-8, residuals=residuals)
        assert len(residuals) < 22
