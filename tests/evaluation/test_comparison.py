from __future__ import annotations

import json
import math

import numpy as np
import pyamg
import pyarrow.parquet as pq
import pytest
import scipy.sparse as sp

from rllib_psparsity.amg.measurement import measure_solve
from rllib_psparsity.amg.portfolio import PORTFOLIO, PYAMG_DEFAULT
from rllib_psparsity.errors import InputError
from rllib_psparsity.evaluation.comparison import (
    BEST_OF_PORTFOLIO,
    best_single_method,
    compare,
    geometric_mean,
    summarise,
    total_seconds,
    virtual_best,
)
from rllib_psparsity.evaluation.method import Method, classical_methods
from rllib_psparsity.evaluation.rows import COLUMNS, read_rows, write_rows
from rllib_psparsity.problems.problem import Problem

SA, ROOT, RUGE = PORTFOLIO[3].name, PORTFOLIO[20].name, PORTFOLIO[24].name


def poisson(side: int) -> Problem:
    A = sp.csr_array(pyamg.gallery.poisson((side, side), format="csr"))
    return Problem(A, np.ones((side * side, 1)), f"poisson {side}", "poisson", {"size": side})


def elastic() -> Problem:
    A, B = pyamg.gallery.linear_elasticity((8, 8))
    return Problem(sp.bsr_array(A), B, "elastic 8", "elasticity", {"size": 8})


def row(problem: str, method: str, work: float = math.inf, complexity: float = 1.0) -> dict:
    """A row made by hand; infinite work is a failure."""
    converged = math.isfinite(work)
    return {
        "problem": problem,
        "family": "f",
        "unknowns": 10,
        "nonzeros": 30,
        "method": method,
        "seed": 0,
        "repeats": 1,
        "work_per_digit": work,
        "iterations": 5 if converged else None,
        "operator_complexity": complexity,
        "cycle_complexity": 2.0,
        "setup_seconds": 0.1,
        "solve_seconds": 0.2,
        "converged": converged,
        "failure": "" if converged else "SetupFailure: no",
    }


ROWS = [
    row("p", "policy", 2.0, 1.2),
    row("p", "PyAMG default", 8.0, 1.5),
    row("p", SA, 4.0, 1.1),
    row("p", ROOT, 16.0, 1.3),
    row("q", "policy", 8.0, 1.4),
    row("q", "PyAMG default", 2.0, 1.7),
    row("q", SA, 4.0, 1.1),
    row("q", ROOT, 1.0, 1.3),
    row("r", "policy", math.inf),
    row("r", "PyAMG default", 3.0, 9.0),
    row("r", SA, 3.0, 9.0),
]


def test_geometric_mean():
    assert geometric_mean([2.0, 8.0]) == pytest.approx(4.0, rel=1e-14)
    assert math.isnan(geometric_mean([]))


def test_virtual_best_takes_the_portfolio_only():
    best = virtual_best(ROWS)
    assert {problem: (r["method"], r["work_per_digit"]) for problem, r in best.items()} == {
        "p": (SA, 4.0),
        "q": (ROOT, 1.0),
        "r": (SA, 3.0),
    }


def test_virtual_best_by_time():
    rows = [row("p", SA, 4.0) | {"setup_seconds": 3.0}, row("p", ROOT, 16.0), row("p", "policy", 1.0)]
    assert virtual_best(rows, figure=total_seconds)["p"]["method"] == ROOT


def test_best_single_method_solves_most_first():
    assert best_single_method(ROWS) == SA
    # Over p and q alone both solve everything: SA is at sqrt(1 x 4) = 2, ROOT at sqrt(4 x 1) = 2; tip the balance.
    rows = [row("p", SA, 4.0), row("p", ROOT, 15.0), row("q", SA, 4.0), row("q", ROOT, 1.0)]
    assert best_single_method(rows) == ROOT
    assert best_single_method([row("p", "policy", 1.0)]) is None


def test_summary_of_hand_made_rows():
    lines = {line.name: line for line in summarise(ROWS, ["policy", "PyAMG default"])}
    assert list(lines) == ["policy", "PyAMG default", BEST_OF_PORTFOLIO, f"best single: {SA}"]
    policy, default, best, single = lines.values()
    assert {line.common for line in lines.values()} == {2}  # r was not solved by the policy
    assert policy.work_per_digit == pytest.approx(4.0)
    assert policy.ratio_to_default == pytest.approx(1.0)  # sqrt(2/8 x 8/2)
    assert policy.ratio_to_virtual_best == pytest.approx(2.0)  # sqrt(2/4 x 8/1)
    assert policy.operator_complexity == pytest.approx(1.3)
    assert (policy.solved, policy.problems, policy.failures) == (2, 3, ("r",))
    assert (default.work_per_digit, default.ratio_to_default) == (pytest.approx(4.0), pytest.approx(1.0))
    assert default.ratio_to_virtual_best == pytest.approx(2.0)
    assert default.failures == ()
    assert (best.work_per_digit, best.ratio_to_virtual_best) == (pytest.approx(2.0), pytest.approx(1.0))
    assert best.operator_complexity == pytest.approx(1.2)
    assert (single.work_per_digit, single.ratio_to_virtual_best) == (pytest.approx(4.0), pytest.approx(2.0))


def test_summary_without_portfolio_or_common_problems():
    (line,) = summarise([row("p", "policy", 2.0)], ["policy"])
    assert line.work_per_digit == 2.0
    assert math.isnan(line.ratio_to_default) and math.isnan(line.ratio_to_virtual_best)
    first, second = summarise([row("p", "a", 2.0), row("p", "b"), row("q", "a"), row("q", "b", 3.0)], ["a", "b"])
    assert math.isnan(first.work_per_digit) and first.common == 0
    assert (first.failures, second.failures) == (("q",), ("p",))


def test_summary_of_an_unknown_arm():
    with pytest.raises(InputError, match=r"^the rows hold no method 'x'; choose from policy$"):
        summarise([row("p", "policy", 2.0)], ["x"])


def test_compare_runs_every_applicable_method_on_every_problem():
    problems = [poisson(10), elastic()]
    calls = []
    rows = compare(problems, classical_methods(), seed=7, progress=lambda done, total: calls.append((done, total)))
    assert [r["method"] for r in rows if r["problem"] == "poisson 10"] == [m.name for m in (PYAMG_DEFAULT, *PORTFOLIO)]
    assert sum(r["problem"] == "elastic 8" for r in rows) == 24
    assert calls == [(k, 52) for k in range(1, 53)]
    assert all(list(r) == list(COLUMNS) for r in rows)
    assert all(r["converged"] and r["failure"] == "" for r in rows)

    first = rows[0]
    expected = measure_solve(PYAMG_DEFAULT.build(problems[0].A, problems[0].B), seed=7)
    assert (first["work_per_digit"], first["iterations"]) == (expected.work_per_digit, expected.iterations)
    assert first["operator_complexity"] == expected.operator_complexity
    assert (first["problem"], first["family"], first["unknowns"]) == ("poisson 10", "poisson", 100)
    # The default is in the portfolio under another name; the same right-hand side gives the same figure.
    assert rows[1]["work_per_digit"] == first["work_per_digit"]


def test_compare_interleaves_and_takes_the_first_of_equal_results():
    order = []

    def method(name: str) -> Method:
        def build(problem: Problem):
            order.append((problem.name, name))
            return PYAMG_DEFAULT.build(problem.A, problem.B)

        return Method(name, build)

    names = ["a", "b", "c"]
    rows = compare([poisson(8), poisson(9)], [method(name) for name in names], seed=0, repeats=6)
    rounds = [order[k : k + 3] for k in range(0, 36, 3)]
    sides = [8] * 6 + [9] * 6
    for side, of_round in zip(sides, rounds, strict=True):
        assert sorted(of_round) == [(f"poisson {side}", name) for name in names]
    # None is always the first, which on a large problem pays for the memory of all, and none always follows another.
    for of_problem in (rounds[:6], rounds[6:]):
        assert len({tuple(of_round) for of_round in of_problem}) > 2
        assert len({of_round[0] for of_round in of_problem}) > 1
    assert [(r["problem"], r["method"]) for r in rows] == [
        (f"poisson {side}", name) for side in (8, 9) for name in names
    ]
    assert [r["repeats"] for r in rows] == [6] * 6
    first = order.copy()
    order.clear()
    compare([poisson(8), poisson(9)], [method(name) for name in names], seed=0, repeats=6)
    assert order == first


def test_compare_reports_failures_with_their_reason():
    def raises(problem: Problem):
        raise ZeroDivisionError("no coarse points")

    def diverges(problem: Problem):
        ml = PYAMG_DEFAULT.build(problem.A, problem.B)
        ml.levels[0].P.data[:] *= -30.0
        return ml

    def direct(problem: Problem):
        return pyamg.smoothed_aggregation_solver(problem.A, max_levels=1)

    methods = [Method("bad", raises), Method("worse", diverges), Method("direct", direct)]
    bad, worse, cheat, good = compare([poisson(10)], [*methods, Method.classical(PYAMG_DEFAULT)], seed=0)
    assert (bad["failure"], bad["converged"], bad["iterations"]) == ("ZeroDivisionError: no coarse points", False, None)
    assert bad["work_per_digit"] == math.inf and math.isnan(bad["solve_seconds"])
    assert (worse["failure"], worse["work_per_digit"]) == ("the V-cycle is not positive definite", math.inf)
    assert cheat["failure"] == "RuntimeError: nothing of 100 unknowns was coarsened: a direct solver"
    assert cheat["work_per_digit"] == math.inf and not cheat["converged"] and cheat["setup_seconds"] > 0
    assert good["converged"]


def test_compare_leaves_the_matrix_as_it_was():
    problem = elastic()
    compare([problem], [Method("raw", lambda p: pyamg.smoothed_aggregation_solver(p.A, p.B))], seed=0)
    assert not {"block_D_inv", "symmetry"} & set(vars(problem.A))


def test_compare_refuses_a_name_twice():
    sentence = r"^the problem name 'poisson 8' occurs twice in a comparison; give every problem its own$"
    with pytest.raises(InputError, match=sentence):
        compare([poisson(8), poisson(8)], [Method.classical(PYAMG_DEFAULT)], seed=0)
    with pytest.raises(InputError, match=r"^the method name 'PyAMG default' occurs twice"):
        compare([poisson(8)], [Method.classical(PYAMG_DEFAULT)] * 2, seed=0)


def test_rows_in_parquet(tmp_path):
    path = tmp_path / "new" / "rows.parquet"
    write_rows(path, ROWS, {"seed": 3, "commit": "abc", "command": ["psparsity", "evaluate"]})
    table = pq.read_table(path)
    assert table.to_pylist() == ROWS
    metadata = {key.decode(): json.loads(value) for key, value in table.schema.metadata.items()}
    assert metadata == {"seed": 3, "commit": "abc", "command": ["psparsity", "evaluate"]}
    assert read_rows(path) == (ROWS, metadata)
    assert [file.name for file in path.parent.iterdir()] == ["rows.parquet"]


def test_rows_that_cannot_be_written_leave_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "rows.parquet"
    write_rows(path, ROWS[:1], {})

    def interrupted(table, where):
        where.write_bytes(b"half a fi")
        raise KeyboardInterrupt

    monkeypatch.setattr(pq, "write_table", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_rows(path, ROWS, {})
    assert pq.ParquetFile(path).read().to_pylist() == ROWS[:1]
    assert [file.name for file in tmp_path.iterdir()] == ["rows.parquet"]
