"""A hierarchy in PETSc's hands: against a real PETSc where there is one, and against a record of the calls."""

from __future__ import annotations

import sys
from dataclasses import replace
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pyamg
import pytest
from scipy.sparse import bsr_array, csr_array, diags_array

from rllib_psparsity import learned_solver, load_policy, to_petsc
from rllib_psparsity.amg.measurement import measure_solve, random_right_hand_side
from rllib_psparsity.deploy.petsc import load_petsc
from rllib_psparsity.errors import InputError
from rllib_psparsity.policy.inference import make_inference


def poisson(side: int) -> csr_array:
    return csr_array(pyamg.gallery.poisson((side, side), format="csr"))


def decades(A: csr_array, span: float) -> csr_array:
    """A in units that make its diagonal span this many decades."""
    units = diags_array(10.0 ** np.random.default_rng(0).permutation(np.linspace(0, span / 2, A.shape[0])))
    return csr_array(units @ A @ units)


def scalar() -> pyamg.MultilevelSolver:
    stencil = pyamg.gallery.diffusion_stencil_2d(epsilon=0.01, theta=0.5, type="FE")
    return pyamg.smoothed_aggregation_solver(csr_array(pyamg.gallery.stencil_grid(stencil, (40, 40))), max_coarse=50)


def elastic() -> pyamg.MultilevelSolver:
    """Blocks of 2 on the finest level and of 3 below, and a number of nodes that no two processes share evenly."""
    A, B = pyamg.gallery.linear_elasticity((11, 11))
    return pyamg.smoothed_aggregation_solver(bsr_array(A), B=B, max_coarse=9)


def floating() -> pyamg.MultilevelSolver:
    """A singular matrix, of a rod held nowhere, whose coarsest level is singular too."""
    n = 300
    diagonal = np.full(n, 2.0)
    diagonal[[0, -1]] = 1.0
    A = csr_array(diags_array([-np.ones(n - 1), diagonal, -np.ones(n - 1)], offsets=[-1, 0, 1]))
    return pyamg.smoothed_aggregation_solver(A, max_coarse=20)


def learned() -> pyamg.MultilevelSolver:
    return learned_solver(poisson(40))


def rescaled() -> pyamg.MultilevelSolver:
    """Its prolongator leads from sane units, in which the coarse levels are, to those of the matrix."""
    ml = learned_solver(decades(poisson(40), 16))
    assert np.ptp(np.log10(ml.levels[0].A.diagonal())) > 12
    assert np.ptp(np.log10(ml.levels[1].A.diagonal())) < 2
    return ml


def learned_elastic() -> pyamg.MultilevelSolver:
    ml = learned_solver(*pyamg.gallery.linear_elasticity((20, 20), format="bsr"))
    assert [level.A.blocksize[0] for level in ml.levels[:2]] == [2, 3]
    return ml


def guarded() -> pyamg.MultilevelSolver:
    """No edge is strong to this policy, so the guard takes a classical hierarchy."""
    policy = load_policy("many_solves")
    weights = dict(policy.inference.weights())
    weights["prior.offset"] = weights["prior.offset"] + np.float32(1e3)  # to the thresholds
    ml = learned_solver(poisson(40), policy=replace(policy, inference=make_inference(policy.config, weights)))
    assert ml.setup_info.guard_stepped_in
    return ml


def one_level() -> pyamg.MultilevelSolver:
    return learned_solver(poisson(6))


def one_tiny_level() -> pyamg.MultilevelSolver:
    return learned_solver(1e-14 * poisson(6))


def one_rescaled_level() -> pyamg.MultilevelSolver:
    return learned_solver(decades(poisson(6), 16))


ONE_LEVEL = [one_level, one_tiny_level, one_rescaled_level]
HIERARCHIES = [scalar, elastic, learned, rescaled, learned_elastic, guarded, *ONE_LEVEL]


@pytest.mark.parametrize("make", [*HIERARCHIES, floating])
def test_iterations_equal_those_of_pyamg(make) -> None:
    pytest.importorskip("petsc4py", reason="petsc4py is not installed")
    load_petsc()
    ml = make()
    A = ml.levels[0].A
    b = random_right_hand_side(A.shape[0])
    b = A @ b if make is floating else b
    ksp = to_petsc(ml)
    x, right_hand_side = ksp.getOperators()[0].createVecs()
    right_hand_side.setArray(b)
    ksp.solve(right_hand_side, x)
    assert (len(ml.levels) == 1) == (make in ONE_LEVEL)
    assert abs(ksp.getIterationNumber() - measure_solve(ml, b=b).iterations) <= 1
    assert np.linalg.norm(b - A @ x.getArray()) <= 2e-8 * np.linalg.norm(b)


class Recorder:
    """Stands for an object of PETSc: keeps what its setters are told, by their names."""

    def __init__(self) -> None:
        self.told: dict[Any, Any] = {}
        self.parts: dict[object, Recorder] = {}

    def create(self, comm: object) -> Recorder:
        self.told["comm"] = comm
        return self

    def __getattr__(self, name: str):
        if name.startswith("setMG") and name != "setMGLevels":
            return lambda level, value: self.told.__setitem__((name, level), value)
        if name.startswith("set"):
            return lambda *values, **named: self.told.__setitem__(name, named or values)
        if name.startswith("get"):
            return lambda *key: self.parts.setdefault((name, *key), Recorder())
        raise AttributeError(name)


class FakeMat:
    """The rows that one process hands over."""

    def createAIJ(self, size, csr, comm) -> FakeMat:
        self.size, self.csr, self.block = size, csr, 1
        return self

    def createBAIJ(self, size, block, csr, comm) -> FakeMat:
        self.size, self.csr, self.block = size, csr, block
        return self

    def toarray(self) -> np.ndarray:
        indptr, indices, data = self.csr
        (rows, _), (_, columns) = self.size
        if self.block == 1:
            return csr_array((data, indices, indptr), shape=(rows, columns)).toarray()
        return bsr_array((data, indices, indptr), shape=(rows, columns)).toarray()


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    PETSc = SimpleNamespace(
        ScalarType=np.float64,
        IntType=np.int64,
        COMM_SELF=SimpleNamespace(rank=0, size=1),
        Mat=FakeMat,
        KSP=type("KSP", (Recorder,), {"NormType": SimpleNamespace(UNPRECONDITIONED="unpreconditioned")}),
    )
    package = ModuleType("petsc4py")
    package.init = lambda arguments: None  # pyright: ignore
    package.PETSc = PETSc  # pyright: ignore
    monkeypatch.setitem(sys.modules, "petsc4py", package)
    monkeypatch.setitem(sys.modules, "petsc4py.PETSc", PETSc)
    return PETSc


@pytest.mark.parametrize("make", HIERARCHIES)
def test_what_is_handed_over(fake: SimpleNamespace, make) -> None:
    ml = make()
    ksp = to_petsc(ml)
    assert (ksp.told["setType"], ksp.told["setNormType"]) == (("cg",), ("unpreconditioned",))
    assert ksp.told["setTolerances"]["rtol"] == 1e-8
    pc, last = ksp.getPC(), len(ml.levels) - 1
    assert (pc.told["setType"], pc.told["setMGLevels"]) == (("mg",), (last + 1,))
    for number, level in enumerate(reversed(ml.levels)):  # PETSc's level 0 is the coarsest
        solver = pc.getMGSmoother(number) if number else pc.getMGCoarseSolve()
        operator, *inverse = solver.told["setOperators"]
        np.testing.assert_array_equal(operator.toarray(), level.A.toarray())
        assert operator.block == (level.A.blocksize[0] if level.A.format == "bsr" else 1)
        if number == 0:
            assert (solver.told["setType"], solver.getPC().told["setType"]) == (("preonly",), ("mat",))
            units = np.sqrt(level.A.diagonal())
            product = (level.A @ inverse[0].toarray()) / units[:, None] * units
            np.testing.assert_allclose(product, np.eye(level.A.shape[0]), atol=1e-10)
            continue
        assert (solver.told["setType"], solver.getPC().told["setType"]) == (("richardson",), ("sor",))
        assert solver.told["setTolerances"] == {"max_it": 1}
        np.testing.assert_array_equal(pc.told["setMGInterpolation", number].toarray(), level.P.toarray())
        np.testing.assert_array_equal(pc.told["setMGRestriction", number].toarray(), level.R.toarray())
    assert ksp.told["setOperators"][0] is solver.told["setOperators"][0]
    assert ksp.told["setOperators"][0].csr[0].dtype == ksp.told["setOperators"][0].csr[1].dtype == fake.IntType


def test_a_large_coarsest_level_is_left_to_petsc(fake: SimpleNamespace) -> None:
    ksp = to_petsc(pyamg.smoothed_aggregation_solver(poisson(40), max_levels=1))
    solver = ksp.getPC().getMGCoarseSolve()
    assert solver.getPC().told["setType"] == ("redundant",)
    assert solver.told["setOperators"] == ksp.told["setOperators"] * 2


def test_residuals_may_grow_on_the_way(fake: SimpleNamespace) -> None:
    """As they do, more than PETSc's default allows, where the units of the unknowns differ."""
    ml = rescaled()
    A = ml.levels[0].A
    b = random_right_hand_side(A.shape[0])
    residuals: list[float] = []
    x = ml.solve(b, accel="cg", tol=1e-8, residuals=residuals)
    assert 1e4 < max(residuals) / residuals[0] < to_petsc(ml).told["setTolerances"]["divtol"]
    assert np.linalg.norm(b - A @ x) <= 1e-7 * np.linalg.norm(b)


def test_processes_share_the_rows_of_every_level(fake: SimpleNamespace) -> None:
    ml = elastic()
    parts = [to_petsc(ml, SimpleNamespace(rank=rank, size=4)) for rank in range(4)]
    finest = [part.told["setOperators"][0] for part in parts]
    assert sum(mat.size[0][0] for mat in finest) == ml.levels[0].A.shape[0]
    np.testing.assert_array_equal(np.vstack([mat.toarray() for mat in finest]), ml.levels[0].A.toarray())
    P = [part.getPC().told["setMGInterpolation", len(ml.levels) - 1] for part in parts]
    coarse = [part.getPC().getMGSmoother(len(ml.levels) - 2).told["setOperators"][0] for part in parts]
    np.testing.assert_array_equal(np.vstack([mat.toarray() for mat in P]), ml.levels[0].P.toarray())
    # Rows of P are divided as those of A, its columns as the coarse rows, or PETSc could not multiply them.
    assert [mat.size[0] for mat in P] == [mat.size[0] for mat in finest]
    assert [mat.size[1] for mat in P] == [mat.size[0] for mat in coarse]
    assert len({mat.size[0][0] for mat in finest}) == 2


def test_refusals(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="to_petsc got ndarray, expected a hierarchy of PyAMG; pass what"):
        to_petsc(np.eye(3))  # pyright: ignore
    monkeypatch.setitem(sys.modules, "petsc4py", None)
    with pytest.raises(InputError, match="petsc4py is not installed; conda install"):
        to_petsc(scalar())


def test_a_zero_diagonal_is_refused(fake: SimpleNamespace) -> None:
    ml = scalar()
    A = ml.levels[1].A.copy()
    A.data[np.repeat(np.arange(A.shape[0]), np.diff(A.indptr)) == 2] = 0.0
    ml.levels[1].A = A
    with pytest.raises(InputError, match="level 1 has a zero on its diagonal in row 2, which PETSc's"):
        to_petsc(ml)


def test_complex_builds_are_refused(fake: SimpleNamespace) -> None:
    fake.ScalarType = np.complex128
    with pytest.raises(InputError, match="built for complex128, expected float64"):
        to_petsc(scalar())
