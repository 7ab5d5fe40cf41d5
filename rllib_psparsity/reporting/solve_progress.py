"""What a solve is doing: a live line on a terminal, now and then a line elsewhere."""

from __future__ import annotations

from time import monotonic

from rich.console import Console
from rich.status import Status
from rich.text import Text

LINE_EVERY = 15.0
"""Seconds between lines where there is no terminal, and before the first one."""
REDRAWS = 2.0
"""A second; more would slow the solve that is timed."""


class SolveProgress:
    """Shows one text after another; a context manager."""

    def __init__(self, console: Console, line_every: float = LINE_EVERY) -> None:
        self._console = console
        self._line_every = line_every
        self._last = monotonic()
        self._status: Status | None = None

    def __enter__(self) -> SolveProgress:
        if self._console.is_terminal:
            self._status = self._console.status("", refresh_per_second=REDRAWS)
            self._status.start()
        return self

    def __exit__(self, *exception: object) -> None:
        if self._status is not None:
            self._status.stop()
            self._status = None

    def show(self, text: str) -> None:
        """Say what is being done from now on."""
        self._say(text, 0.0 if self._status is not None else self._line_every)

    def iteration(self, iteration: int, relative_residual: float) -> None:
        """Say how far a solve has come; cheap enough for every iteration."""
        wait = 1 / REDRAWS if self._status is not None else self._line_every
        self._say(f"iteration {iteration}, relative residual {relative_residual:.1e}", wait)

    def _say(self, text: str, wait: float) -> None:
        now = monotonic()
        if now - self._last < wait:
            return
        self._last = now
        if self._status is not None:
            self._status.update(Text(text))
        else:
            self._console.print(text, soft_wrap=True, markup=False, highlight=False)
