from __future__ import annotations

from io import StringIO

import pytest
from rich.console import Console

from rllib_psparsity.reporting.solve_progress import SolveProgress


def said(terminal: bool, line_every: float) -> str:
    out = StringIO()
    with SolveProgress(Console(file=out, force_terminal=terminal, width=80), line_every) as progress:
        progress.show("set-up [1]")
        progress.iteration(7, 1.26e-3)
    return out.getvalue()


def test_silent_without_a_terminal_but_for_a_line_now_and_then() -> None:
    assert said(terminal=False, line_every=1e9) == ""
    assert said(terminal=False, line_every=0.0) == "set-up [1]\niteration 7, relative residual 1.3e-03\n"


def test_a_live_line_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    out = said(terminal=True, line_every=1e9)
    assert "set-up [1]" in out
    assert out.endswith("\x1b[2K") or "\x1b[?25h" in out  # the line is taken away, and the cursor is back
