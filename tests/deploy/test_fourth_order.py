"""Matrices of which a few steps tell little: the guard must not take a good hierarchy away."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
from pyamg.gallery import linear_elasticity, poisson

from rllib_psparsity import learned_solver
from rllib_psparsity.amg.hierarchy import Level
from rllib_psparsity.amg.limits import Limits
from rllib_psparsity.amg.measurement import measure_solve
from rllib_psparsity.deploy.classical import RECIPES, classical_hierarchy, relaxation_hierarchy
from rllib_psparsity.deploy.guard import RELAXATION, direct_solver, estimated_work
from rllib_psparsity.problems.validation import check_matrix

P = sp.csr_array(poisson((50, 50), format="csr"))
CONVECTION = P + sp.diags_array([1.0, -1.0], offsets=[1, -1], shape=P.shape)
HARD = {
    "biharmonic": sp.csr_array(P @ P),
    "normal equations": sp.csr_array(CONVECTION.T @ CONVECTION),
    "nearly incompressible": linear_elasticity((24, 24), nu=0.49, format="bsr")[0].tocsr(),
}


@pytest.mark.parametrize("policy", ["default", "many_solves"])
@pytest.mark.parametrize("name", HARD)
def test_the_guard_takes_no_good_hierarchy_away(name, policy):
    A = HARD[name]
    guarded = learned_solver(A, policy=policy)
    bare = learned_solver(A, policy=policy, guard=False, tries=1)
    assert guarded.setup_info.method != RELAXATION and guarded.setup_info.work_per_digit < np.inf
    assert measure_solve(guarded).work_per_digit < 1.5 * measure_solve(bare).work_per_digit


def test_where_residuals_grow_the_energy_norm_tells_the_work():
    A, B = check_matrix(HARD["biharmonic"])
    for name in RECIPES[:2]:
        hierarchy = classical_hierarchy(Level(A, B), name, Limits())
        estimate = estimated_work(hierarchy, direct_solver(hierarchy))
        assert 0.3 < estimate / measure_solve(hierarchy.to_pyamg()).work_per_digit < 1.2


def test_relaxation_alone_looks_better_than_it_is_so_that_it_is_the_last_resort():
    A, B = check_matrix(HARD["biharmonic"])
    relaxation, classical = relaxation_hierarchy(A, B), classical_hierarchy(Level(A, B), RECIPES[1], Limits())
    looks = [estimated_work(one, direct_solver(one)) for one in (relaxation, classical)]
    works = [measure_solve(one.to_pyamg()).work_per_digit for one in (relaxation, classical)]
    assert looks[0] < looks[1] and works[0] > 2 * works[1]
