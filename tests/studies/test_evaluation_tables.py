from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rllib_psparsity.amg.portfolio import PORTFOLIO, PYAMG_DEFAULT
from rllib_psparsity.evaluation.arms import LEARNED_SOLVER, PRIOR_ALONE, RELAXATION_ALONE, TRAINED_POLICY
from rllib_psparsity.evaluation.external_methods import BOOMERAMG
from rllib_psparsity.evaluation.rows import write_rows
from studies.evaluation_tables import evaluation_section, read_evaluations
from studies.size_table import size_table
from studies.target_table import LARGE, _line

FIRST, SECOND = (method.name for method in PORTFOLIO[:2])


def row(problem: str, method: str, work: float, seconds: float, **other: Any) -> dict[str, Any]:
    figures = {"operator_complexity": 1.0, "cycle_complexity": 1.0, "iterations": 1, "converged": True, "failure": ""}
    named = {"problem": problem, "family": "grid", "unknowns": 100, "nonzeros": 500, "method": method, "seed": 0}
    times = {"repeats": 3, "setup_seconds": seconds / 2, "solve_seconds": seconds / 2}
    return {**named, **figures, **times, "work_per_digit": work, **other}


def write(folder: Path, suite: str, policy: str, rows: list[dict[str, Any]]) -> None:
    calls = [{"command": "psparsity evaluate", "commit": "0123456789"}]
    write_rows(folder / f"{suite}_{policy}.parquet", rows, {"settings": {"suite": suite}, "calls": calls})


def line_of(lines: list[str], start: str) -> list[str]:
    return [cell.strip() for cell in next(line for line in lines if line.startswith(start)).split("|")[1:-1]]


def test_ratios_by_suite_family_and_size(tmp_path: Path) -> None:
    # The best in work and the best in time are two methods; on "b" no more than one of them solves.
    failed = {"converged": False, "failure": "diverged"}
    rows = [
        row("a", FIRST, 4.0, 2.0),
        row("a", SECOND, 8.0, 1.0),
        row("a", LEARNED_SOLVER, 2.0, 2.0),
        row("b", FIRST, 3.0, 3.0, family="mesh", unknowns=LARGE),
        row("b", SECOND, 1.0, 1.0, family="mesh", unknowns=LARGE, **failed),
        row("b", LEARNED_SOLVER, 6.0, 1.5, family="mesh", unknowns=LARGE),
        row("c", FIRST, 1.0, 1.0),
        row("c", LEARNED_SOLVER, 1.0, 1.0, **failed),
    ]
    write(tmp_path, "first_suite", "my_policy", rows)
    # Of "d" there is no virtual best: the default is not of the portfolio.
    other = [row("a", FIRST, 1.0, 1.0), row("a", LEARNED_SOLVER, 8.0, 4.0, family="mesh")]
    other += [row("d", PYAMG_DEFAULT.name, 1.0, 1.0), row("d", LEARNED_SOLVER, 8.0, 4.0, family="mesh")]
    write(tmp_path, "second", "my_policy", other)
    lines = evaluation_section(read_evaluations(tmp_path))
    assert [line for line in lines if line.startswith("###")] == ["### `my_policy`"]
    # Work: 2/4 and 6/3, so a geometric mean of 1; time: 2/1 and 1.5/3.
    first = line_of(lines, "| `first_suite` |")
    assert first[1:4] == ["3", "3", "1.00, 1.00 (1 not solved)"]
    assert first[-2:] == ["c (diverged)", "0123456"]
    assert line_of(lines, "| grid |") == ["grid", "1", "0.50, 2.00", "-"]
    # 6/3 and 8/1 in work, 1.5/3 and 4/1 in time.
    assert line_of(lines, "| mesh |") == ["mesh", "2", "4.00, 1.41", "-"]
    assert line_of(lines, "| from 250,000 unknowns on |")[1:] == ["1", "2.00, 0.50", "-"]
    assert any(line.endswith(": `second` a (8.00), `first_suite` b (2.00), `first_suite` a (0.50).") for line in lines)
    # The mean of 0.5, 2 and 8; one case is large; "mesh" has the mean of 2 and 8.
    assert line_of(lines, "| work per digit / virtual best |")[1:] == ["1.000", "0.900", "2.000", "**missed**"]
    assert line_of(lines, "| total time / virtual best, from")[1:] == ["1.000", "0.800", "0.500", "target met"]
    assert line_of(lines, "| total time / virtual best, 5,000")[3:] == ["-", "not measured"]
    assert line_of(lines, "| problems not solved |")[1:] == ["0", "0", "1", "**missed**"]
    assert line_of(lines, "| work per digit / virtual best, worst family (mesh)")[3:] == ["4.000", "**missed**"]


def test_a_policy_is_compared_with_its_clone_and_its_prior_where_both_solved(tmp_path: Path) -> None:
    best = row("a", FIRST, 4.0, 1.0)
    rows = [best, row("a", LEARNED_SOLVER, 4.0, 1.1, unknowns=10_000), row("a", TRAINED_POLICY, 3.8, 1.0)]
    rows += [row("a", PRIOR_ALONE, 5.0, 1.0), row("b", TRAINED_POLICY, 9.0, 1.0)]
    write(tmp_path, "suite", "mine", rows)
    write(
        tmp_path, "suite", "clone_of_mine", [best, row("a", TRAINED_POLICY, 4.0, 1.0), row("a", LEARNED_SOLVER, 4, 1)]
    )
    lines = evaluation_section(read_evaluations(tmp_path))
    assert sum(line.startswith("| aim |") for line in lines) == 1, "none for the clone"
    assert line_of(lines, "| work per digit / behaviour clone |")[3:] == ["0.950", "minimum met"]
    assert line_of(lines, "| work per digit / prior alone |")[3:] == ["0.760", "minimum met"]
    assert line_of(lines, "| work per digit / virtual best |")[3:] == ["1.000", "minimum met"]


@pytest.mark.parametrize(
    ("reached", "shown"), [(0.97, "0.970"), (0.9703, "0.9703"), (0.9697, "0.9697"), (0.8996, "0.8996"), (0.98, "0.980")]
)
def test_a_figure_beside_its_aim_has_the_digit_that_decides(reached: float, shown: str) -> None:
    assert _line("work", reached, 0.97, 0.9).split(" | ")[3] == shown


def test_policies_have_tables_of_their_own(tmp_path: Path) -> None:
    for policy, work in (("one", 1.0), ("two", 3.0)):
        write(tmp_path, "suite", policy, [row("a", FIRST, 2.0, 1.0), row("a", LEARNED_SOLVER, work, 1.0)])
    lines = evaluation_section(read_evaluations(tmp_path))
    halves = lines[: lines.index("### `two`")], lines[lines.index("### `two`") :]
    assert [line_of(half, "| `suite` |")[3] for half in halves] == ["0.50, 1.00", "1.50, 1.00"]


def test_time_beside_other_libraries_by_size() -> None:
    times = {LEARNED_SOLVER: 3.0, TRAINED_POLICY: 2.0, PYAMG_DEFAULT.name: 6.0, FIRST: 1.0, BOOMERAMG: 4.0}
    slow = {"converged": False, "failure": "400 iterations"}
    rows = [row("a", method, 1.0, seconds) for method, seconds in times.items()]
    rows += [
        row("b", method, 1.0, seconds * 4 if method == BOOMERAMG else seconds) for method, seconds in times.items()
    ]
    rows += [row("c", method, 1.0, seconds, unknowns=LARGE) for method, seconds in times.items()]
    rows[-1] |= {"converged": False, "failure": "diverged"}
    rows += [row("a", RELAXATION_ALONE, 1.0, 2.0), row("b", RELAXATION_ALONE, 1.0, 2.0, **slow)]
    lines = size_table([("suite", rows)])
    assert line_of(lines, "| unknowns") == [
        "unknowns",
        "problems",
        "/ PyAMG default",
        "/ relaxation alone",
        "/ PETSc GAMG",
        "/ hypre BoomerAMG",
    ]
    # 3/4 and 3/16, 2/4 and 2/16.
    small = ["0 to 2,000", "2", "0.50 (0.33)", "1.50 (1.00), 1 of 2", "-", "0.38 (0.25)"]
    assert line_of(lines, "| 0 to 2,000") == small
    assert line_of(lines, "| from 250,000 on") == ["from 250,000 on", "1", "0.50 (0.33)", "-", "-", "-"]
    assert size_table([("suite", [one for one in rows if one["method"] != BOOMERAMG])]) == []
