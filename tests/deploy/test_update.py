"""Updates: the same matrix changes nothing, another one gets new values on old patterns."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
from pyamg.gallery import linear_elasticity, poisson

from rllib_psparsity import learned_solver
from rllib_psparsity.amg.hierarchy import build_hierarchy
from rllib_psparsity.amg.measurement import measure_solve
from rllib_psparsity.amg.new_values import with_new_values
from rllib_psparsity.amg.recipe import DEFAULT_MENU, parse_menu
from rllib_psparsity.deploy.classical import textbook
from rllib_psparsity.errors import InputError
from rllib_psparsity.problems.families import FAMILIES
from rllib_psparsity.problems.validation import check_matrix


def diffusion(coefficient: np.ndarray) -> sp.csr_array:
    """5-point diffusion on a square grid with Dirichlet boundary and a coefficient (m, m) in its nodes."""
    m = len(coefficient)
    number = np.arange(m * m).reshape(m, m)
    pairs = [(number[:, :-1], number[:, 1:]), (number[:-1], number[1:])]
    i = np.concatenate([a.ravel() for a, _ in pairs])
    j = np.concatenate([b.ravel() for _, b in pairs])
    k = coefficient.ravel()
    w = 2 / (1 / k[i] + 1 / k[j])
    W = sp.coo_array((np.r_[w, w], (np.r_[i, j], np.r_[j, i])), shape=(m * m, m * m)).tocsr()
    edge = 4.0 - (W != 0).sum(axis=1)
    return sp.csr_array(sp.diags_array(W.sum(axis=1) + edge * k) - W)


def _same(ours, theirs) -> bool:
    return all(
        np.array_equal(getattr(a.A, part), getattr(b.A, part))
        for a, b in zip(ours, theirs, strict=True)
        for part in ("indptr", "indices", "data")
    )


@pytest.mark.parametrize("recipe", DEFAULT_MENU)
@pytest.mark.parametrize("kind", ["scalar", "elastic"])
def test_new_values_of_the_same_matrix_are_the_old_ones_bit_for_bit(recipe, kind):
    if kind == "elastic":
        A, B = check_matrix(*linear_elasticity((10, 10), format="bsr"))
    else:
        A, B = check_matrix(
            FAMILIES["anisotropic_diffusion_fe"].make(np.random.default_rng(0), 18, epsilon=0.1, theta=0.5).A
        )
    menu = parse_menu((recipe,)) if not recipe.startswith("classical") else parse_menu((recipe, DEFAULT_MENU[0]))
    if menu[0].scalar_only and kind == "elastic":
        pytest.skip("classical coarsening splits unknowns, not blocks")
    hierarchy = build_hierarchy(A, B, textbook(menu[0]), menu=menu, keep_patterns=True)
    assert len(hierarchy.levels) > 1
    renewed = with_new_values(hierarchy, A, B)
    assert _same(renewed.levels, hierarchy.levels) and renewed.end == hierarchy.end
    changed = with_new_values(hierarchy, type(A)((2.0 * A.data, A.indices, A.indptr), shape=A.shape), B)
    for ours, theirs in zip(changed.levels, hierarchy.levels, strict=True):
        assert abs(ours.A - 2.0 * theirs.A).max() < 1e-6 * abs(theirs.A).max()


def test_an_update_solves_the_new_system_on_the_old_aggregates():
    rng = np.random.default_rng(0)
    smooth = np.add.outer(np.sin(np.linspace(0, 3, 40)), np.cos(np.linspace(0, 3, 40)))
    old, new = diffusion(np.ones((40, 40))), diffusion(np.exp(0.7 * smooth))
    ml = learned_solver(old)
    M = ml.aspreconditioner()
    sizes = [level.A.shape for level in ml.levels]
    info = ml.update(new)
    assert info is ml.setup_info and info.updated and not info.guard_stepped_in
    assert info.seconds["features"] == info.seconds["inference"] == 0.0
    assert [level.A.shape for level in ml.levels] == sizes and (new != ml.levels[0].A).nnz == 0
    b = rng.standard_normal(1600)
    x, status = sp.linalg.cg(new, b, rtol=1e-8, M=M, maxiter=25)  # taken before, it uses the new matrix
    assert status == 0 and np.linalg.norm(b - new @ x) < 1e-7 * np.linalg.norm(b)
    fresh = learned_solver(new)
    assert measure_solve(ml).iterations <= measure_solve(fresh).iterations + 4


def test_a_full_set_up_follows_where_the_old_aggregates_do_not_suit():
    """Couplings along x become those along y: the old aggregates join what is not coupled any more."""
    one = sp.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(50, 50))
    along, across = (sp.csr_array(sp.kronsum(a * one, b * one)) for a, b in ((1.0, 1e-4), (1e-4, 1.0)))
    ml = learned_solver(along)
    kept = measure_solve(learned_solver(across)).iterations
    info = ml.update(across)
    assert info.guard_stepped_in and not info.updated and "a full set-up followed" in info.guard_reason
    assert "inference" in str(info) and info.seconds["inference"] > 0
    assert measure_solve(ml).iterations == kept
    bare = learned_solver(along, guard=False)
    assert bare.update(across).updated and measure_solve(bare).iterations > 1.5 * kept


def test_an_error_leaves_the_solver_as_it_was():
    A = poisson((20, 20), format="csr")
    ml = learned_solver(A)
    levels, info = ml.levels, ml.setup_info
    with pytest.raises(InputError, match="the update has 100 unknowns, expected 400 as at the set-up; make a new"):
        ml.update(poisson((10, 10), format="csr"))
    with pytest.raises(InputError, match="the update has 2 unknowns a block, expected 1"):
        ml.update(A.tobsr((2, 2)))
    with pytest.raises(InputError, match="the update has 2 near-nullspace candidates, expected 1"):
        ml.update(A, np.ones((400, 2)) + np.eye(400)[:, :2])
    with pytest.raises(InputError, match="expected a positive one; pass -A"):
        ml.update(-A)
    assert ml.levels is levels and ml.setup_info is info
    assert measure_solve(ml).converged


def test_candidates_of_an_update_are_kept_for_the_next_one():
    A, B = linear_elasticity((10, 10), format="bsr")
    ml = learned_solver(A, B)
    ml.update(A, 2.0 * B)
    np.testing.assert_array_equal(ml.levels[0].B, 2.0 * B)
    ml.update(3.0 * A)
    np.testing.assert_array_equal(ml.levels[0].B, 2.0 * B)
    assert measure_solve(ml).converged


def test_what_a_caller_does_to_its_candidates_later_does_not_matter():
    A, B = linear_elasticity((10, 10), format="bsr")
    kept = B.copy()
    ml = learned_solver(A, B)
    B[:] = np.nan
    ml.update(2.0 * A)
    np.testing.assert_array_equal(ml.levels[0].B, kept)


def test_solvers_of_one_level_and_of_relaxation_alone_are_updated_too():
    for A in (poisson((5, 5), format="csr"), sp.csr_array(np.diag(np.arange(1.0, 800.0)))):
        ml = learned_solver(A)
        ml.update(5.0 * A)
        x = ml.solve(5.0 * (A @ np.ones(A.shape[0])), accel="cg", tol=1e-10)
        np.testing.assert_allclose(x, 1.0)
