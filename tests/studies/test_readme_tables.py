"""The README's tables: from rows to cells, into their places, and current as committed."""

from __future__ import annotations

import pytest

from benchmarks.record import ROOT
from rllib_psparsity.amg.portfolio import PYAMG_DEFAULT
from rllib_psparsity.errors import InputError
from rllib_psparsity.evaluation.arms import LEARNED_SOLVER
from rllib_psparsity.evaluation.external_methods import BOOMERAMG
from studies.arm_table import ArmRuns
from studies.evaluation_tables import Evaluation
from studies.readme_tables import FIGURES, MANY, fill, suites_table, triage_table
from studies.report import read_all, readme, report
from studies.results_file import RESULTS, STUDIES
from tests.studies.test_evaluation_tables import FIRST, row


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_a_suite_has_a_line_with_both_policies() -> None:
    few = [
        row("a", FIRST, 2.0, 1.0),
        row("a", LEARNED_SOLVER, 1.0, 2.0),
        row("a", PYAMG_DEFAULT.name, 4.0, 3.0),
        row("a", BOOMERAMG, float("nan"), 0.5),
        row("b", FIRST, 2.0, 1.0, unknowns=3000),
        row("b", LEARNED_SOLVER, 4.0, 2.0, unknowns=3000),
        row("b", PYAMG_DEFAULT.name, 2.0, 1.0, unknowns=3000, converged=False, failure="no"),
        row("b", BOOMERAMG, float("nan"), 2.0, unknowns=3000),
    ]
    many = [row("a", FIRST, 2.0, 1.0), row("a", LEARNED_SOLVER, 3.0, 4.0)]
    evaluations = [
        Evaluation("default", "one", few, 1, "0123456"),
        Evaluation("default", "two", few[:2], 1, "0123456"),
        Evaluation(MANY, "one", many, 1, "0123456"),
    ]
    head, rule, one, two = suites_table(evaluations)
    assert len(cells(head)) == len(cells(rule)) == len(cells(one)) == len(cells(two))
    found = dict(zip(cells(head), cells(one), strict=True))
    assert (found["suite"], found["problems"], found["unknowns"]) == ("`one`", "2", "100 to 3,000")
    assert found["`default`"] == "1.00, 2.00"
    assert found["PyAMG default"] == "2.00, 3.00 (1 not solved)"
    assert found[BOOMERAMG] == "-, 1.00"
    assert found["`many_solves`"] == "1.50, 4.00"
    assert (found["prior alone"], found["recipe selector"]) == ("-", "-")
    assert dict(zip(cells(head), cells(two), strict=True))["`many_solves`"] == "-"


def test_arms_have_their_figures_and_their_way() -> None:
    figures = dict.fromkeys(FIGURES, 0.25)
    arm = ArmRuns("from nothing, energy", {0: figures, 1: figures | {"gain": 0.75}}, {})
    head, _, line = triage_table({"variation_b": [arm, ArmRuns("another", {0: figures}, {})]}, [])
    assert cells(line)[:2] == ["`variation_b`: from nothing, energy", "2"]
    found = dict(zip(cells(head), cells(line), strict=True))
    assert found["gain"] == "+50.0% (+25.0%..+75.0%)" and found["default to oracle"] == "-"


def test_tables_replace_what_stands_between_their_comments() -> None:
    text = "a\n<!-- one: made by x -->\nold | line\n<!-- /one -->\nb\n<!-- two: y -->\n<!-- /two -->\n"
    filled = fill(text, {"one": ["| 1 |", "| \\1 |"], "two": ["| 2 |"]})
    assert filled == (
        "a\n<!-- one: made by x -->\n\n| 1 |\n| \\1 |\n\n<!-- /one -->\nb\n<!-- two: y -->\n\n| 2 |\n\n<!-- /two -->\n"
    )
    assert fill(filled, {"one": ["| 1 |", "| \\1 |"]}) == filled
    with pytest.raises(InputError, match="the table three is marked 0 times, expected once"):
        fill(text, {"three": []})


def test_the_pages_in_the_repository_are_current() -> None:
    measured = read_all(STUDIES, RESULTS)
    assert (STUDIES / "RESULTS.md").read_text() == report(measured), "write it anew: python -m studies.report"
    page = (ROOT / "README.md").read_text()
    assert page == readme(page, measured), "write it anew: python -m studies.report"
