from __future__ import annotations

import io
import math

from rich.console import Console

from rllib_psparsity.amg.portfolio import PORTFOLIO
from rllib_psparsity.evaluation.table import ARMS, comparison_table

SA = PORTFOLIO[3].name
FIGURES = {"prior alone": 6.0, "untrained network": 7.5, "trained policy": 4.5, "PyAMG default": 9.0, SA: 5.0}


def solved(problem: str, method: str, work: float) -> dict:
    converged = math.isfinite(work)
    return {
        "problem": problem,
        "method": method,
        "work_per_digit": work,
        "converged": converged,
        "operator_complexity": 1.25 if converged else math.nan,
    }


def test_table_shows_every_arm_and_names_failures():
    rows = [solved("jump 3", name, work) for name, work in FIGURES.items()]
    rows += [solved("jump 4", name, math.inf if name == "prior alone" else work) for name, work in FIGURES.items()]
    stream = io.StringIO()
    Console(file=stream, width=120).print(comparison_table(rows))
    lines = stream.getvalue().splitlines()
    shown = [next(line for line in lines if line.strip("│ ").startswith(name)) for name in (*ARMS, "best of portfolio")]
    cells = [[cell.strip() for cell in line.strip("│").split("│")] for line in shown]
    assert cells[0] == ["prior alone", "6.00", "0.67", "1.20", "1.25", "1/2"]
    assert cells[2] == ["trained policy", "4.50", "0.50", "0.90", "1.25", "2/2"]
    assert cells[3] == ["PyAMG default", "9.00", "1.00", "1.80", "1.25", "2/2"]
    assert cells[4] == ["best of portfolio", "5.00", "0.56", "1.00", "1.25", "2/2"]
    assert any(f"best single: {SA}" in line for line in lines)
    assert "over the 1 of 2 problems" in stream.getvalue()
    assert "not solved by prior alone: jump 4" in stream.getvalue()
