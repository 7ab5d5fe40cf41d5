from __future__ import annotations

import copy

import numpy as np
import pyamg
import pytest
import scipy.sparse as sp
from pyamg.multilevel import MultilevelSolver
from pyamg.relaxation.smoothing import change_smoothers

from rllib_psparsity.amg.cycle import BlockVCycle
from rllib_psparsity.amg.hierarchy import Hierarchy, build_hierarchy
from rllib_psparsity.amg.limits import Limits
from rllib_psparsity.amg.solver import HierarchySolver
from tests.amg.cases import MENU, prior, problem


def hierarchy(name: str = "five_point", recipe: int = 0) -> Hierarchy:
    case = problem(name)
    result = build_hierarchy(case.A, case.B, prior(MENU, recipe), menu=MENU, limits=Limits(max_coarse=12))
    assert not result.failed and len(result.levels) > 1
    return result


def theirs(ml: HierarchySolver, b: np.ndarray, cycle: str = "V") -> np.ndarray:
    """By PyAMG's own preconditioner."""
    return MultilevelSolver.aspreconditioner(ml, cycle) @ b


def refuse(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(self, b):
        raise AssertionError("the kernels must not run")

    monkeypatch.setattr(BlockVCycle, "__call__", never)


def assert_close(x: np.ndarray, y: np.ndarray) -> None:
    np.testing.assert_allclose(x, y, rtol=0, atol=1e-12 * np.abs(y).max())


@pytest.mark.parametrize("kind", [float, np.float32, int, ">f8"])
@pytest.mark.parametrize("name", ["five_point", "jump", "three_d", "elasticity"])
def test_the_preconditioner_is_that_of_pyamg(name, kind):
    ml = hierarchy(name).to_pyamg()
    b = (100 * np.random.default_rng(0).standard_normal(ml.levels[0].A.shape[0])).astype(kind)
    kept = b.copy()
    M = ml.aspreconditioner()
    assert_close(M @ b, theirs(ml, b.astype(float)))
    assert_close(M @ b[:, None], theirs(ml, b.astype(float))[:, None])
    assert_close(M @ np.stack([b, 2 * b], axis=1), np.stack([M @ b, M @ (2 * b)], axis=1))
    np.testing.assert_array_equal(b, kept)


@pytest.mark.parametrize("name", ["five_point", "elasticity"])
def test_the_kernels_run(name, monkeypatch):
    ml = hierarchy(name).to_pyamg()
    b = np.ones(ml.levels[0].A.shape[0])
    refuse(monkeypatch)
    for run in (lambda: ml.aspreconditioner() @ b, lambda: ml.solve(b, accel="cg", cycle="v")):
        with pytest.raises(AssertionError, match="kernels"):
            run()


@pytest.mark.parametrize("cycle", ["W", "F"])
def test_other_cycles_are_left_to_pyamg(cycle, monkeypatch):
    ml = hierarchy().to_pyamg()
    b = np.random.default_rng(0).standard_normal(ml.levels[0].A.shape[0])
    refuse(monkeypatch)
    np.testing.assert_array_equal(ml.aspreconditioner(cycle) @ b, theirs(ml, b, cycle))


def replace_smoothers(ml: HierarchySolver) -> None:
    change_smoothers(ml, presmoother="jacobi", postsmoother="jacobi")


def replace_matrix(ml: HierarchySolver) -> None:
    ml.change_solve_matrix(sp.csr_array(2.0 * ml.levels[0].A))


def replace_prolongator(ml: HierarchySolver) -> None:
    ml.levels[1].P = 0.5 * ml.levels[1].P


def remove_a_level(ml: HierarchySolver) -> None:
    del ml.levels[-1]
    ml.coarse_solver = pyamg.multilevel.coarse_grid_solver("pinv")


@pytest.mark.parametrize("change", [replace_smoothers, replace_matrix, replace_prolongator, remove_a_level])
def test_what_a_user_has_changed_is_left_to_pyamg(change, monkeypatch):
    ml = hierarchy().to_pyamg()
    b = np.random.default_rng(0).standard_normal(ml.levels[0].A.shape[0])
    M = ml.aspreconditioner()
    before = M @ b
    change(ml)
    refuse(monkeypatch)
    np.testing.assert_array_equal(M @ b, theirs(ml, b))
    assert np.abs(M @ b - before).max() > 1e-3 * np.abs(before).max()


def test_complex_right_hand_sides_are_refused_as_by_pyamg():
    ml = hierarchy().to_pyamg()
    with pytest.raises(TypeError, match="dtype"):  # and never lose their imaginary part
        ml.aspreconditioner() @ (1j * np.ones(ml.levels[0].A.shape[0]))


def test_a_copy_works_on_its_own():
    ml = hierarchy().to_pyamg()
    b = np.random.default_rng(0).standard_normal(ml.levels[0].A.shape[0])
    expected, other = ml.aspreconditioner() @ b, copy.deepcopy(ml)
    for level in ml.levels:
        level.A.data[:] = 0.0
    np.testing.assert_array_equal(other.aspreconditioner() @ b, expected)


def test_as_many_iterations_as_by_pyamg():
    ml = hierarchy("nine_point").to_pyamg()
    b, counts = np.random.default_rng(0).standard_normal(ml.levels[0].A.shape[0]), []
    for M in (ml.aspreconditioner(), MultilevelSolver.aspreconditioner(ml)):
        residuals = []
        pyamg.krylov.cg(ml.levels[0].A, b, tol=1e-8, M=M, residuals=residuals)
        counts.append(len(residuals))
    assert counts[0] == counts[1] > 5
