"""The benchmarks of the deployed solver, small."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyamg
import pytest
from pyamg.gallery import poisson
from scipy.sparse import csr_array

from benchmarks import any_matrix, cycle, cycles, doubt, first_call, guard, prolongators, sequence


def _result(directory: Path, name: str) -> dict:
    return json.loads((directory / f"{name}.json").read_text())


def test_the_guard_is_measured_on_good_and_bad_policies(tmp_path: Path) -> None:
    guard.main(["--quick", "--out", str(tmp_path)])
    figures = _result(tmp_path, "guard")["figures"]
    assert all(0 < line["share"]["median"] < 1 for line in figures["share_of_setup"].values())
    assert figures["shipped"]["solves"] == figures["random"]["solves"] == 3
    assert figures["random"]["guarded"]["failures"] == 0
    from rllib_psparsity.amg import hierarchy
    from rllib_psparsity.deploy import multilevel

    assert multilevel.perf_counter is hierarchy.perf_counter and multilevel.perf_counter.__name__ == "perf_counter"


def test_kernels_and_pyamg_make_the_same_iterations(tmp_path: Path) -> None:
    cycle.main(["--quick", "--out", str(tmp_path)])
    result = _result(tmp_path, "cycle")
    assert len(result["figures"]) == len(result["repeats"]) == 2
    for row in result["repeats"]:
        for repeat in row["repeats"]:
            assert repeat["kernels"]["iterations"] == repeat["PyAMG"]["iterations"] > 3
            assert all(repeat[way][what] > 0 for way in ("kernels", "PyAMG") for what in ("cycle", "solve"))


def test_prolongators_that_are_timed_are_the_same(tmp_path: Path) -> None:
    prolongators.main(["--quick", "--out", str(tmp_path)])
    rows = _result(tmp_path, "prolongators")["repeats"]
    made = ("sa/jacobi", "sa/energy1", "sa/energy2", "rootnode/energy2")
    wanted = {"2D 9-point": [*made, prolongators.PRODUCT], "elasticity": [*made]}
    assert {name: [row["what"] for row in rows if row["matrix"] == name] for name in wanted} == wanted
    assert len(rows) == 9
    assert all(row["difference"] < 1e-10 for row in rows)
    assert all(seconds > 0 for row in rows for repeat in row["repeats"] for seconds in repeat.values())
    A = csr_array([[2.0, -1.0], [-1.0, 2.0]])
    assert prolongators.difference(A, 1.5 * A) == pytest.approx(1 / 3)


def test_other_cycles_are_measured_on_one_hierarchy(tmp_path: Path) -> None:
    cycles.main(["--quick", "--out", str(tmp_path)])
    result = _result(tmp_path, "cycles")
    assert len(result["repeats"]) == 4 and set(result["figures"]) == {*cycles.CYCLES, "best of all"} - {cycles.BASE}
    assert all(row["work"][cycles.BASE] < np.inf for row in result["repeats"])
    assert result["figures"]["best of all"]["max"] <= 1.0 < result["figures"]["V(2,2), symmetric"]["max"]


def test_tries_in_doubt_are_measured_beside_one_try(tmp_path: Path) -> None:
    doubt.main(["--quick", "--out", str(tmp_path)])
    result = _result(tmp_path, "doubt")
    assert result["figures"]["all"]["problems"] == len(result["repeats"]) == 40
    for row in result["repeats"]:
        one, other = row[doubt.ONE], row[doubt.IN_DOUBT]
        assert one["tries"] == 1 and (other["tries"] > 1 or other["work"] == one["work"])


def test_figures_of_tries_in_doubt_are_ratios() -> None:
    one, other = ({"work": 6.0, "setup": 1.0, "solve": 1.0}, {"work": 3.0, "setup": 3.0, "solve": 0.5})
    same, twice = ({doubt.ONE: one, doubt.IN_DOUBT: of} for of in (one, other))
    unsolved = {doubt.ONE: one | {"work": np.inf}, doubt.IN_DOUBT: other}
    found = doubt.figures([same, unsolved, twice])
    assert found["problems"] == 3
    assert (found["not solved by one try"], found["not solved by another in doubt"]) == (1, 0)
    assert (found["changed"], found["work"], found["least work"], found["most work"]) == (1, 0.7071, 0.5, 1.0)
    assert found["set-up"] == pytest.approx(3**0.5, abs=1e-4)
    assert found["set-up and 8 solves"] == pytest.approx((7 / 9) ** 0.5, abs=1e-4)


@pytest.mark.parametrize("num_levels", [2, 3, 4])
def test_a_cycle_costs_what_its_visits_do(num_levels: int) -> None:
    """Counted along PyAMG's recursion: a W-cycle visits every level but the last twice from the one above."""
    A = poisson((40, 40), format="csr")
    levels = pyamg.ruge_stuben_solver(A, max_levels=num_levels, max_coarse=2).levels
    assert len(levels) == num_levels

    def visit(depth: int, passes: float, kind: str) -> float:
        if depth == num_levels - 1:
            return levels[depth].A.nnz
        below = 2 if kind == "W" and depth < num_levels - 2 else 1
        here = passes * levels[depth].A.nnz + 2 * levels[depth].P.nnz
        return here + below * visit(depth + 1, passes, kind)

    for one in cycles.CYCLES.values():
        expected = 1 + visit(0, one.passes, one.kind) / A.nnz
        assert cycles.cost(levels, one) == pytest.approx(expected, rel=1e-12)


def test_the_sequence_has_one_solution_in_all_ways(tmp_path: Path) -> None:
    sequence.main(["--quick", "--out", str(tmp_path)])
    result = _result(tmp_path, "sequence")
    (row,) = result["repeats"]
    maxima = [row[way]["u_max"] for way in sequence.WAYS]
    np.testing.assert_allclose(maxima, maxima[0], rtol=1e-6)
    assert row["full"]["full_setups"] == sequence.STEPS * sequence.PICARD > row["update"]["full_setups"] >= 1


def test_matrices_of_the_sequence_are_symmetric_with_rows_that_feel_the_boundary_only() -> None:
    A = sequence.Diffusion(6).matrix(sequence.hills(6))
    assert abs(A - A.T).max() < 1e-12
    rows = (A @ np.ones(36)).reshape(6, 6)
    np.testing.assert_allclose(rows[1:-1, 1:-1], 1.0)
    assert (rows[0] > 1).all()


def test_a_matrix_that_goes_wrong_is_named_and_ends_with_1(tmp_path: Path, monkeypatch, capsys) -> None:
    arguments = ["--cases", "15", "--seed", "1", "--out", str(tmp_path)]
    assert any_matrix.main(arguments) == 0
    assert _result(tmp_path, "any_matrix")["figures"]["wrong"] == 0
    monkeypatch.setattr(any_matrix, "check", lambda case: "trouble" if case.size > 100 else "")
    assert any_matrix.main(arguments) == 1
    result = _result(tmp_path, "any_matrix")
    assert len(result["repeats"]) == result["figures"]["wrong"] > 0
    case = eval(result["repeats"][0]["case"], {"Case": any_matrix.Case})
    assert any_matrix.make_case(case) is not None


def test_a_first_call_is_measured_in_a_process_of_its_own() -> None:
    seconds = first_call.first_call(12)
    assert 0 < seconds["import_and_setup"] < seconds["process"]
