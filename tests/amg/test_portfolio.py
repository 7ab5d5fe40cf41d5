from __future__ import annotations

import math
import warnings
from types import SimpleNamespace

import numpy as np
import pyamg
import pytest
import scipy.sparse as sp

from rllib_psparsity.amg.measurement import measure_solve
from rllib_psparsity.amg.portfolio import PORTFOLIO, PYAMG_DEFAULT, ClassicalMethod
from rllib_psparsity.errors import SetupFailure

BY_NAME = {method.name: method for method in PORTFOLIO}


@pytest.fixture(scope="module")
def scalar():
    """Nine-point stencil with lognormal edge weights, so that no two thresholds cut the same edges."""
    stencil = sp.triu(pyamg.gallery.stencil_grid(-np.ones((3, 3)), (20, 20), format="csr"), 1).tocsr()
    stencil.data = np.exp(np.random.default_rng(2).normal(size=stencil.nnz))
    weights = stencil + stencil.T
    A = sp.csr_array(sp.diags_array(weights.sum(axis=1).ravel() + 0.01) - weights)
    return SimpleNamespace(A=A, B=np.ones((400, 1)), block_size=1)


@pytest.fixture(scope="module")
def elastic():
    A, B = pyamg.gallery.linear_elasticity((12, 12))
    return SimpleNamespace(A=sp.bsr_array(A), B=B, block_size=2)


def test_twenty_seven_names():
    assert len(PORTFOLIO) == 27
    assert len(BY_NAME) == 27
    by_kind = [sum(name.startswith(kind) for name in BY_NAME) for kind in ("sa ", "rootnode ", "ruge-stuben ")]
    assert by_kind == [20, 3, 4]
    assert "sa symmetric 0.1 energy 1" in BY_NAME
    assert "rootnode evolution 4 energy 2" in BY_NAME
    assert "ruge-stuben classical 0.25" in BY_NAME


def test_all_build_on_a_scalar_problem_and_differ(scalar):
    results = {}
    for method in PORTFOLIO:
        assert method.applies_to(scalar)
        ml = method.build(scalar.A, scalar.B)
        assert len(ml.levels) >= 2
        assert ml.levels[-1].A.shape[0] <= 50
        results[method.name] = measure_solve(ml).work_per_digit
    assert all(math.isfinite(work) for work in results.values())
    assert len(set(results.values())) == 27  # options that did not arrive would make methods equal


def test_twenty_three_build_on_a_block_problem(elastic):
    methods = [method for method in PORTFOLIO if method.applies_to(elastic)]
    assert len(methods) == 23
    assert all(measure_solve(method.build(elastic.A, elastic.B)).converged for method in methods)


@pytest.mark.parametrize(
    ("name", "reference"),
    [
        (
            "sa symmetric 0.25 filtered jacobi",
            lambda A, B: pyamg.smoothed_aggregation_solver(
                A,
                B,
                strength=("symmetric", {"theta": 0.25}),
                smooth=("jacobi", {"omega": 4 / 3, "filter_entries": True}),
                max_coarse=50,
            ),
        ),
        (
            "rootnode evolution 2 energy 2",
            lambda A, B: pyamg.rootnode_solver(
                A,
                B,
                strength=("evolution", {"epsilon": 2.0, "k": 2}),
                smooth=("energy", {"degree": 2, "maxiter": 4}),
                max_coarse=50,
            ),
        ),
        (
            "ruge-stuben classical 0.7",
            lambda A, B: pyamg.ruge_stuben_solver(A, strength=("classical", {"theta": 0.7}), max_coarse=50),
        ),
        ("PyAMG default", lambda A, B: pyamg.smoothed_aggregation_solver(A, B, max_coarse=50)),
        ("sa symmetric 0 jacobi", lambda A, B: pyamg.smoothed_aggregation_solver(A, B, max_coarse=50)),
    ],
)
def test_equals_a_call_written_out(scalar, name, reference):
    np.random.seed(0)  # noqa: NPY002  PyAMG draws from the global generator
    expected = reference(scalar.A.copy(), scalar.B)
    got = {**BY_NAME, PYAMG_DEFAULT.name: PYAMG_DEFAULT}[name].build(scalar.A, scalar.B, seed=0)
    assert len(got.levels) == len(expected.levels)
    for ours, theirs in zip(got.levels, expected.levels, strict=True):
        assert np.array_equal(ours.A.toarray(), theirs.A.toarray())


def test_reproducible_in_any_order_and_leaves_no_trace(scalar):
    np.random.seed(11)  # noqa: NPY002
    state = np.random.get_state()[1].copy()  # noqa: NPY002
    data = scalar.A.data.copy()
    attributes = set(vars(scalar.A))
    first = {m.name: measure_solve(m.build(scalar.A, scalar.B)).residuals for m in PORTFOLIO}
    assert np.array_equal(state, np.random.get_state()[1])  # noqa: NPY002
    np.random.seed(12)  # noqa: NPY002
    for method in reversed(PORTFOLIO):
        again = measure_solve(method.build(scalar.A, scalar.B)).residuals
        assert np.array_equal(first[method.name], again), method.name
    assert np.array_equal(data, scalar.A.data)
    assert "symmetry" not in set(vars(scalar.A)) | attributes


def test_block_problem_keeps_no_caches(elastic):
    PYAMG_DEFAULT.build(elastic.A, elastic.B)
    assert not {"block_D_inv", "symmetry"} & set(vars(elastic.A))


def test_no_warnings(scalar):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for method in PORTFOLIO:
            method.build(scalar.A, scalar.B)


def test_state_is_restored_after_a_failure(scalar):
    np.random.seed(4)  # noqa: NPY002
    state = np.random.get_state()[1].copy()  # noqa: NPY002
    broken = ClassicalMethod("broken", "smoothed_aggregation_solver", {"strength": ("no such strength", {})})
    with pytest.raises(SetupFailure, match=r"^broken: ValueError: .*no such strength"):
        broken.build(scalar.A, scalar.B)
    assert np.array_equal(state, np.random.get_state()[1])  # noqa: NPY002


def test_matrix_that_is_not_finite_is_a_failure(scalar):
    A = scalar.A.copy()
    A.data[7] = np.nan
    with pytest.raises(SetupFailure):
        PYAMG_DEFAULT.build(A, scalar.B)
