"""What the coarsest level tells: singular and indefinite matrices, and coarse spaces with a candidate too many."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
from pyamg.gallery import linear_elasticity, poisson

from rllib_psparsity import learned_solver
from rllib_psparsity.errors import InputError

P = sp.csr_array(poisson((40, 40), format="csr"))
NEUMANN = sp.csr_array(P - sp.diags_array(P.sum(axis=1)))
NEIGHBOURS = sp.diags_array([1.0, 1.0], offsets=[1, -1], shape=(100, 100))
ARGUMENTS = [{}, {"guard": False}, {"policy": "many_solves"}]


@pytest.mark.parametrize("arguments", ARGUMENTS, ids=str)
def test_a_singular_matrix_is_called_so(arguments):
    assert learned_solver(NEUMANN, **arguments).setup_info.singular
    two = sp.csr_array(sp.block_diag([NEUMANN, NEUMANN]))
    assert learned_solver(two, **arguments).setup_info.singular
    assert learned_solver(NEUMANN[:30, :30] * 0 + sp.eye_array(30), **arguments).setup_info.singular is False


@pytest.mark.parametrize("arguments", ARGUMENTS, ids=str)
def test_candidates_that_depend_on_each_other_make_no_matrix_singular(arguments):
    K, modes = linear_elasticity((20, 20), format="bsr")
    for A, B in (
        (K, modes),
        (K.tocsr(), modes),
        (P, np.ones((1600, 2))),
        (P, np.full(1600, 1e200)),
        (P, np.full(1600, 1e-200)),
        (sp.csr_array(sp.eye_array(100) + 1e-100 * NEIGHBOURS), None),
    ):
        ml = learned_solver(A, B, **arguments)
        assert not ml.setup_info.singular and "singular" not in str(ml.setup_info)


@pytest.mark.parametrize("shift", [0.05, 0.5])
@pytest.mark.parametrize("arguments", ARGUMENTS, ids=str)
def test_an_indefinite_matrix_is_refused_by_set_up_and_update(arguments, shift):
    A = P - shift * sp.eye_array(1600)
    with pytest.raises(InputError, match="not positive definite: relative to its diagonal it has the negative"):
        learned_solver(A, **arguments)
    ml = learned_solver(P, **arguments)
    before = ml.setup_info
    with pytest.raises(InputError, match="not positive definite"):
        ml.update(A)
    assert ml.setup_info is before
    b = P @ np.ones(1600)
    np.testing.assert_allclose(ml.solve(b, accel="cg", tol=1e-10), 1.0, atol=1e-6)


def test_an_update_of_a_singular_matrix_says_so_and_one_that_heals_it_too():
    ml = learned_solver(NEUMANN)
    assert ml.update(2.0 * NEUMANN).singular
    assert not ml.update(NEUMANN + 0.1 * sp.eye_array(1600)).singular
