"""The preconditioner of a learned solver, whose kernels work in scaled units, against PyAMG's own, which does not."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
from pyamg.gallery import linear_elasticity, poisson
from pyamg.multilevel import MultilevelSolver

from rllib_psparsity import learned_solver


def assert_as_pyamg(ml, tolerance: float = 1e-10) -> None:
    b = ml.levels[0].A @ np.random.default_rng(0).standard_normal(ml.levels[0].A.shape[0])
    ours, theirs = ml.aspreconditioner() @ b, MultilevelSolver.aspreconditioner(ml) @ b
    assert np.isfinite(ours).all() and ours.any()
    units = np.sqrt(ml.levels[0].A.diagonal())
    np.testing.assert_allclose(units * ours, units * theirs, rtol=0, atol=tolerance * np.abs(units * theirs).max())


@pytest.mark.parametrize("factor", [1.0, 2.0**-400, 2.0**400])
def test_in_any_unit(factor):
    assert_as_pyamg(learned_solver(factor * poisson((30, 30), format="csr")))


@pytest.mark.parametrize("blocks", [False, True])
def test_with_a_unit_for_every_unknown(blocks):
    A, B = linear_elasticity((16, 16), format="bsr") if blocks else (poisson((24, 24), format="csr"), None)
    s = 10.0 ** np.random.default_rng(1).uniform(-6, 6, A.shape[0])
    scaled = sp.diags_array(s) @ A @ sp.diags_array(s)
    ml = learned_solver(
        sp.bsr_array(scaled, blocksize=(2, 2)) if blocks else scaled, None if B is None else B / s[:, None]
    )
    assert len(ml.levels) > 1 and ml.levels[0].P.shape[0] == A.shape[0]
    assert_as_pyamg(ml)


def test_of_a_singular_matrix():
    A = sp.csr_array(poisson((20, 20), format="csr"))
    A = sp.csr_array(A - sp.diags_array(A @ np.ones(400)))
    ml = learned_solver(A)
    assert ml.setup_info.singular
    assert_as_pyamg(ml)


@pytest.mark.parametrize("n", [1, 7])
def test_of_one_level(n):
    ml = learned_solver(sp.diags_array(np.arange(1.0, n + 1.0), format="csr"))
    assert len(ml.levels) == 1
    assert_as_pyamg(ml)


def test_after_an_update():
    A = poisson((30, 30), format="csr")
    ml = learned_solver(A)
    ml.update(A + 0.1 * sp.eye_array(900, format="csr"))
    assert_as_pyamg(ml)
