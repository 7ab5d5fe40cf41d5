"""hypre's and PETSc's multigrid: what is said where they are missing, and real solves where they are there."""

from __future__ import annotations

import math
import sys
from itertools import count

import numpy as np
import pyamg
import pytest
from scipy.sparse import bsr_array, csr_array

from rllib_psparsity.evaluation import external_methods as module
from rllib_psparsity.evaluation.external_methods import BOOMERAMG, GAMG, external_methods


@pytest.fixture(autouse=True)
def probe_again():
    module._probe.cache_clear()
    yield
    module._probe.cache_clear()


def test_without_petsc4py_each_method_has_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "petsc4py", None)
    methods, reasons = external_methods()
    assert methods == {}
    assert list(reasons) == [BOOMERAMG, GAMG]
    assert all("petsc4py is not installed; conda install" in reason for reason in reasons.values())


@pytest.mark.parametrize("blocks", [False, True])
def test_real_solves(blocks: bool) -> None:
    pytest.importorskip("petsc4py", reason="petsc4py is not installed")
    if blocks:
        A, B = pyamg.gallery.linear_elasticity((16, 16))
        A = bsr_array(A)
    else:
        A = csr_array(pyamg.gallery.poisson((30, 30), format="csr"))
        B = np.ones((900, 1))
    b = np.random.default_rng(0).standard_normal(A.shape[0])
    methods, reasons = external_methods(clock=count().__next__)
    assert {*methods, *reasons} == {BOOMERAMG, GAMG}
    for name, method in methods.items():
        solve = method(A, B, b, 1e-8, 200)
        assert solve.converged and solve.reason == ""
        assert (solve.setup_seconds, solve.solve_seconds) == (1, 1), "ticks of the clock that was given"
        assert len(solve.residuals) == solve.iterations + 1
        assert solve.residuals[0] == pytest.approx(np.linalg.norm(b))
        assert solve.residuals[-1] <= 1e-8 * solve.residuals[0] < solve.residuals[-2]
        assert math.isnan(solve.operator_complexity) if name == BOOMERAMG else solve.operator_complexity > 1
        short = method(A, B, b, 1e-8, 2)
        assert (short.converged, short.iterations) == (False, 2)
        assert short.reason == "not converged in 2 iterations"
