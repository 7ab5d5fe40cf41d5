"""The benchmark of the deployed set-up, on tiny matrices."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import setup
from benchmarks.processes import in_fresh_process

RECIPE = "sa/jacobi/classical"


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> dict:
    out: Path = tmp_path_factory.mktemp("setup")
    setup.main(["--quick", "--problems", "3D 7-point", "--sizes", "350", "--recipe", RECIPE, "--out", str(out)])
    return json.loads((out / "setup.json").read_text())


def test_every_method_is_measured_at_every_size(result: dict) -> None:
    cases = result["figures"]["cases"]
    assert [(case["problem"], case["unknowns"]) for case in cases] == [("3D 7-point", 343)]
    timed = [one for case in result["repeats"] for row in case["rows"] for one in row.values()]
    assert sum(one["user_seconds"] for one in timed) > 0
    for case in cases:
        for method in setup.METHODS:
            line = case[method]
            assert line["seconds"]["median"] > 0 and line["per_unknown_to_smallest"] > 0
            # Counted by the tick of the system, which may see nothing of some milliseconds.
            assert line["per_unknown_to_smallest_user"] is None or line["per_unknown_to_smallest_user"] >= 0
            assert line["converged"] and line["iterations"] > 0 and line["solve_seconds"] > 0
            assert line["levels"][0] == case["unknowns"]


def test_the_phases_of_a_set_up_add_up_to_it_and_none_is_empty(result: dict) -> None:
    for case in result["repeats"]:
        for row in case["rows"]:
            phases = row["learned"]["phases"]
            assert set(phases) == {*setup.PHASES, setup.OTHER}
            assert all(seconds > 0 for seconds in phases.values())
            assert sum(phases.values()) == pytest.approx(row["learned"]["seconds"], rel=0.1)


def test_the_ratio_is_the_median_of_the_ratios_within_a_repeat() -> None:
    """And so is the growth, of all CPU seconds and of those without the system's."""

    def row(learned: float, default: float) -> dict:
        rest = {"solve_seconds": 1.0, "iterations": 9, "converged": True, "operator_complexity": 1.5, "levels": [10]}
        rest |= {"recipes": [RECIPE], "method": "learned"}
        times = {"learned": learned, "default": default, "evolution": 4.0}
        common = {"phases": {"features": 1.0}, **rest}
        timed = {m: {"seconds": s, "user_seconds": s / 2, "wall_seconds": s, **common} for m, s in times.items()}
        return timed | {setup.smallest(m): {"seconds": learned / 4, "user_seconds": learned / 5} for m in times}

    peaks = {"learned": 30, "default": 20, "evolution": 0}
    case = {"problem": "p", "unknowns": 10, "nonzeros": 50, "added_peak_bytes": peaks}
    case["rows"] = [row(1.0, 2.0), row(6.0, 3.0), row(3.0, 4.0)]
    figures = setup.summary(case, fewest=5)
    assert figures["seconds_learned_to_default"] == 0.75
    assert figures["memory_learned_to_default"] == 1.5 and figures["memory_learned_to_evolution"] is None
    assert figures["learned"]["per_unknown_to_smallest"] == 2.0
    assert figures["learned"]["per_unknown_to_smallest_user"] == 1.25


def test_repeats_in_which_the_smallest_size_took_no_tick_tell_no_growth() -> None:
    def row(seconds: float, smallest: float) -> dict:
        return {"learned": {"user_seconds": seconds}, setup.smallest("learned"): {"user_seconds": smallest}}

    rows = [row(0.06, 0.0), row(0.06, 0.02), row(0.0, 0.0)]
    assert setup.cost_growth(rows, "learned", "user_seconds", times=2.0) == 1.5
    assert setup.cost_growth(rows[::2], "learned", "user_seconds", times=2.0) is None


def test_the_result_says_which_policy_it_was(result: dict) -> None:
    assert result["figures"]["policy"] == f"{setup.UNTRAINED}, {RECIPE} menu"
    for case in result["figures"]["cases"]:
        assert case["learned"]["recipes"] == [RECIPE] * (len(case["learned"]["levels"]) - 1)
    assert result["command"].endswith("--recipe sa/jacobi/classical --out " + result["command"].split()[-1])


@pytest.mark.parametrize(("problem", "row"), [("2D 5-point", 5), ("2D 9-point", 9), ("3D 7-point", 7)])
def test_an_inner_row_of_the_matrix_has_the_points_of_its_name(problem: str, row: int) -> None:
    A = setup.matrix(problem, 1_000)
    assert max(A.indptr[1:] - A.indptr[:-1]) == row
    assert A.shape[0] == pytest.approx(1_000, rel=0.05)


def test_what_fails_in_a_process_of_its_own_is_told() -> None:
    with pytest.raises(RuntimeError, match="KeyError: 'problem'"):
        in_fresh_process("benchmarks.setup:save_matrix", {})
