"""The comparison on one matrix and its table, with external methods made up for the purpose."""

from __future__ import annotations

import math
from io import StringIO

import numpy as np
import pyamg
import pytest
from rich.console import Console
from scipy.sparse import bsr_array, csr_array

from rllib_psparsity.amg.measurement import measure_solve, random_right_hand_side
from rllib_psparsity.amg.portfolio import PORTFOLIO, PYAMG_DEFAULT
from rllib_psparsity.evaluation import one_matrix
from rllib_psparsity.evaluation.external_methods import ExternalSolve
from rllib_psparsity.evaluation.method import Method
from rllib_psparsity.evaluation.one_matrix import OneMatrixComparison, compare_on
from rllib_psparsity.evaluation.one_matrix_table import one_matrix_table
from rllib_psparsity.problems.problem import Problem


def failing(A, B, b, tol, maxiter) -> ExternalSolve:
    raise RuntimeError("no\nmemory")


def exact(A, B, b, tol, maxiter) -> ExternalSolve:
    assert (tol, maxiter) == (1e-6, 50)
    residuals = np.linalg.norm(b) * np.array([1.0, 1e-7])
    return ExternalSolve(0.25, 0.125, 1, 2.0, 3.0, True, residuals)


def poisson(side: int = 16) -> Problem:
    A = csr_array(pyamg.gallery.poisson((side, side), format="csr"))
    return Problem(A, np.ones((side * side, 1)), "poisson", "poisson")


@pytest.fixture
def made_up(monkeypatch: pytest.MonkeyPatch) -> None:
    methods = {"exact": exact, "failing": failing}
    monkeypatch.setattr(one_matrix, "external_methods", lambda: (methods, {"absent": "it is not installed"}))


def text(comparison: OneMatrixComparison, remarks: tuple[str, ...] = ()) -> str:
    console = Console(width=120, record=True, file=StringIO())
    console.print(one_matrix_table(comparison, "poisson.mtx", 1e-6, remarks))
    return console.export_text()


def test_lines_and_figures(made_up: None) -> None:
    problem, b = poisson(), random_right_hand_side(256, 3)
    said: list[str] = []
    learned = Method("learned", lambda problem: pyamg.rootnode_solver(problem.A, max_coarse=20))
    comparison = compare_on(problem, b, [learned], tol=1e-6, max_iterations=50, progress=said.append)
    names = [result.name for result in comparison.results]
    assert names[:2] == ["learned", PYAMG_DEFAULT.name]
    assert names[4:] == ["exact", "failing"]
    assert len({*names[2:4]} & {member.name for member in PORTFOLIO}) == 2
    by_name = {result.name: result for result in comparison.results}
    expected = measure_solve(PYAMG_DEFAULT.build(problem.A, problem.B), tol=1e-6, b=b)
    default = by_name[PYAMG_DEFAULT.name]
    assert (default.iterations, default.work_per_digit) == (expected.iterations, expected.work_per_digit)
    assert default.residuals[0] == 1.0 and default.residuals[-1] <= 1e-6
    assert default.total_seconds == default.setup_seconds + default.solve_seconds > 0
    assert by_name["exact"].work_per_digit == pytest.approx(4 / 7)
    assert by_name["exact"].total_seconds == 0.375
    assert by_name["failing"].failure == "RuntimeError: no memory"
    assert comparison.tried == 27 and comparison.unavailable == {"absent": "it is not installed"}
    assert sum(line.startswith("portfolio, ") for line in said) == 27
    # A method that has failed is not tried again, the others follow one another in every round.
    turns = [line.split(": ")[1] for line in said if line.startswith("round ")]
    assert turns == names + (comparison.rounds - 1) * names[:-1]

    table = text(comparison, ("learned: a remark",))
    assert all(name in table for name in names)
    assert "\nlearned: a remark" in table
    assert "failing failed: RuntimeError: no memory" in table
    assert "without absent: it is not installed" in table
    assert f"medians of {comparison.rounds} interleaved rounds" in table


def test_a_block_matrix_has_no_ruge_stueben_and_failures_of_the_portfolio_are_named(made_up: None) -> None:
    A, B = pyamg.gallery.linear_elasticity((8, 8))
    problem = Problem(bsr_array(A), B, "beam", "elasticity")
    comparison = compare_on(problem, np.ones(A.shape[0]), [], tol=1e-6, max_iterations=50)
    assert comparison.tried == 23
    assert comparison.results[0].name == PYAMG_DEFAULT.name

    hopeless = compare_on(problem, random_right_hand_side(A.shape[0]), [], tol=1e-6, max_iterations=1)
    assert hopeless.results[0].name == PYAMG_DEFAULT.name
    assert len(hopeless.failed) == 23 and len(hopeless.results) == 3
    assert math.isinf(hopeless.results[0].work_per_digit)
    table = text(hopeless)
    assert "portfolio, not solved by 23" in table
    assert f"{PYAMG_DEFAULT.name} failed: not converged in 1 iterations" in table


def test_slow_members_of_the_portfolio_are_stopped_and_are_no_failures(
    made_up: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A clock that goes on by a second at every look: what a solve costs is the number of its iterations."""
    seconds = iter(range(10**9))
    monkeypatch.setattr(one_matrix, "perf_counter", lambda: float(next(seconds)))
    monkeypatch.setattr("rllib_psparsity.evaluation.method.perf_counter", lambda: 0.0)
    comparison = compare_on(poisson(), random_right_hand_side(256), [], tol=1e-6, max_iterations=50)
    assert comparison.failed == {}
    # By that clock nothing takes any time, so the third and all after it are over the limit at once.
    assert [result.name for result in comparison.results][1:3] == [member.name for member in PORTFOLIO[:-3:-1]]
