"""Anyone's matrix: solved, or refused in one sentence; the generator is that of `benchmarks.any_matrix`."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyamg.gallery import poisson

from benchmarks.any_matrix import DAMAGE, FORMS, INTEGERS, SCALINGS, STRUCTURES, USES, Case, check
from rllib_psparsity import learned_solver
from rllib_psparsity.errors import InputError

SIZES = st.one_of(st.integers(1, 12), st.integers(55, 400), st.integers(55, 400))
PROPERTY = settings(
    derandomize=True, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow], print_blob=False
)


@settings(PROPERTY, max_examples=300)
@given(
    structure=st.sampled_from(sorted(STRUCTURES)),
    size=SIZES,
    scaling=st.sampled_from(sorted(SCALINGS)),
    form=st.sampled_from([*sorted(FORMS), INTEGERS]),
    seed=st.integers(0, 2**31 - 1),
    use=st.sampled_from(sorted(USES)),
)
@pytest.mark.filterwarnings("ignore::scipy.sparse.SparseEfficiencyWarning")
def test_every_sound_matrix_is_solved_with_a_definite_preconditioner(structure, size, scaling, form, seed, use):
    if form in ("float32", INTEGERS):
        scaling = "none"
    assert check(Case(structure, size, scaling, form, seed, use=use)) == ""


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("size", [5, 90])
def test_every_spoilt_matrix_is_refused_in_a_sentence_with_a_fix(damage, size):
    assert check(Case("graph", size, "none", "csr", 1, damage)) == ""


def test_an_entry_larger_than_its_diagonals_allow_is_named():
    A = poisson((10, 10), format="lil")
    A[3, 40] = A[40, 3] = 4.5
    with pytest.raises(InputError, match=r"4\.5 in row 3, column 40, more than the diagonal entries 4\.0 and 4\.0 of"):
        learned_solver(A)


@pytest.mark.parametrize("shift", [0.05, 0.5, 3.0])
def test_an_indefinite_matrix_is_refused_where_its_coarse_levels_show_it(shift):
    """Poisson's least eigenvalue is 0.012 here, and every pair of unknowns is definite."""
    A = poisson((40, 40), format="csr") - shift * sp.eye_array(1600)
    with pytest.raises(InputError, match=r"not positive definite: relative to its diagonal .*linalg.minres"):
        learned_solver(A)


def test_a_nearly_indefinite_matrix_is_not_refused():
    A = poisson((40, 40), format="csr")
    least = 8 * np.sin(np.pi / 82) ** 2
    A = sp.csr_array(A - 0.99 * least * sp.eye_array(1600))
    b = np.random.default_rng(0).standard_normal(1600)
    x = learned_solver(A).solve(b, accel="cg", tol=1e-8)
    assert np.linalg.norm(b - A @ x) < 1e-6 * np.linalg.norm(b)


@pytest.mark.parametrize(("form", "most"), [("csr", 25), ("bsr", 80)])
def test_pure_neumann_is_solved_for_a_consistent_right_hand_side(form, most):
    """Blocks that mean nothing are no help, and no harm."""
    A = poisson((40, 40), format="csr")
    A = sp.csr_array(A - sp.diags_array(A.sum(axis=1)))
    ml = learned_solver(A if form == "csr" else A.tobsr((2, 2)))
    assert ml.setup_info.singular and "singular" in str(ml.setup_info)
    b = np.random.default_rng(0).standard_normal(1600)
    b -= b.mean()
    residuals = []
    x = ml.solve(b, accel="cg", tol=1e-10, residuals=residuals)
    assert np.linalg.norm(b - A @ x) < 1e-9 * np.linalg.norm(b) and len(residuals) < most
    assert not learned_solver(poisson((40, 40), format="csr")).setup_info.singular


@pytest.mark.parametrize(
    ("size", "scaling", "seed"),
    [
        (580, "1e150", 468329444),
        (588, "1e9", 1142805914),
        (548, "1e-150", 1556674471),
        (477, "1e9", 160233705),
        (552, "1e150", 447766048),
        (637, "none", 164373323),
    ],
)
def test_singular_parts_are_solved_with_candidates_that_are_nearly_dependent(size, scaling, seed):
    """What is left of a part's constant on the coarsest level is small, but more than rounding of that level alone."""
    assert check(Case("disconnected", size, scaling, "csr", seed, use="two candidates")) == ""


@pytest.mark.parametrize(
    "case",
    [
        Case("disconnected", 128, "eight decades", "coo with duplicates", 1803055173, use="default, three tries"),
        Case("neumann", 59, "eight decades", "csr", 749905869, use="many_solves"),
        Case("diagonal", 606, "eight decades", "csr", 965918053, use="default"),
    ],
)
def test_singular_parts_and_unknowns_alone_in_other_units_each_are_solved(case):
    """Without relaxed candidates their coarse levels looked definite, and rounding grew by 1e7 in every cycle."""
    assert check(case) == ""


def test_a_weak_shift_is_no_rounding():
    A = poisson((40, 40), format="csr")
    A = sp.csr_array(A - sp.diags_array(A.sum(axis=1)) + 4e-9 * sp.eye_array(1600))
    ml, residuals = learned_solver(A), []
    b = np.random.default_rng(0).standard_normal(1600)
    x = ml.solve(b, accel="cg", tol=1e-7, residuals=residuals)
    assert not ml.setup_info.singular
    assert np.linalg.norm(b - A @ x) < 1e-6 * np.linalg.norm(b) and len(residuals) < 15


def test_the_input_is_left_as_it_was():
    A = poisson((12, 12), format="csr")
    B = np.ones((144, 1))
    before = A.copy()
    ml = learned_solver(A, B)
    ml.solve(np.ones(144), accel="cg")
    ml.levels[0].A.data[:] = 0.0
    assert (before != A).nnz == 0 and (B == 1).all()
