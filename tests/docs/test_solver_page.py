"""The examples of docs/solver.md run, one after the other."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

PAGE = Path(__file__).parents[2] / "docs" / "solver.md"


def test_the_examples_run_and_solve(capsys) -> None:
    code = "\n".join(re.findall(r"^    (.*)$", PAGE.read_text(), re.MULTILINE))
    names: dict = {}
    exec(compile(code, str(PAGE), "exec"), names)
    assert np.linalg.norm(names["b"] - 2.0 * (names["A"] @ names["x"])) < 1e-6 * np.linalg.norm(names["b"])
    assert np.linalg.norm(names["f"] - names["N"] @ names["u"]) < 1e-6 * np.linalg.norm(names["f"])
    assert "guard: passed" in capsys.readouterr().out
