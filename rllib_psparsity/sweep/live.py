"""A sweep as it goes: a table of the trials on a terminal, lines elsewhere."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from rllib_psparsity.sweep.results import Ranked

logger = logging.getLogger(__name__)

SECONDS_BETWEEN_DRAWINGS = 0.5
LINES_A_TRIAL = 10
WAITING, RUNNING = "waiting", "running"


@dataclass(slots=True)
class _Line:
    iterations: int
    status: str = WAITING
    iteration: int = 0
    figure: float = math.nan
    seconds: float = 0.0


class SweepTable:
    """Shows what the trials have come to; a context manager.

    Parameters
    ----------
    metric : str
        The column that is shown.
    total : int
        How many trials there will be.
    trials : mapping, name -> iterations
        Those that are known from the start.

    A terminal has the table redrawn in place; elsewhere every trial prints a line at its start, at its end, and about
    ten between. Drawing must never cost a sweep: the first failure is logged, and then nothing is drawn any more.
    """

    def __init__(self, metric: str, total: int, trials: Mapping[str, int], console: Console | None = None) -> None:
        self._metric, self._total = metric, total
        self._lines = {name: _Line(iterations) for name, iterations in trials.items()}
        self._console = console or Console()
        self._live: Live | None = None
        self._drawn = -math.inf
        self._broken = False

    def __enter__(self) -> SweepTable:
        if self._console.is_terminal:
            self._live = Live(self._table(), console=self._console, auto_refresh=False)
            self._live.start()
        return self

    def __exit__(self, *exception: object) -> None:
        if self._live is not None:
            self._guarded(lambda: self._draw(at_once=True))
            self._live.stop()

    def update(self, name: str, status: str, iterations: int, row: Mapping[str, Any] | None = None) -> None:
        """A trial of so many iterations has another status, or a new row of metrics."""
        self._guarded(lambda: self._update(name, status, iterations, row))

    def _update(self, name: str, status: str, iterations: int, row: Mapping[str, Any] | None) -> None:
        line = self._lines.setdefault(name, _Line(iterations))
        changed = line.status != status
        line.status = status
        if row is not None:
            line.iteration, line.seconds = row["iteration"], row["seconds"]
            line.figure = row.get(self._metric, math.nan)
        if self._live is not None:
            self._draw(at_once=changed)
        elif changed or line.iteration % max(line.iterations // LINES_A_TRIAL, 1) == 0:
            text = (
                f"{name} | {status} | iteration {line.iteration}/{line.iterations} | {self._metric} {line.figure:.4g}"
            )
            self._console.print(text, soft_wrap=True, markup=False, highlight=False)

    def _guarded(self, draw: Any) -> None:
        if self._broken:
            return
        try:
            draw()
        except Exception as error:
            self._broken = True
            logger.warning("the live table has stopped, the sweep goes on: %s: %s", type(error).__name__, error)

    def _draw(self, at_once: bool) -> None:
        now = time.monotonic()
        if self._live is not None and (at_once or now - self._drawn >= SECONDS_BETWEEN_DRAWINGS):
            self._drawn = now
            self._live.update(self._table(), refresh=True)

    def _table(self) -> RenderableType:
        table = Table(box=None, padding=(0, 2, 0, 0))
        for heading in ("trial", "status"):
            table.add_column(heading)
        for heading in ("iteration", self._metric, "seconds"):
            table.add_column(heading, justify="right")
        shown = [(name, line) for name, line in self._lines.items() if line.status != WAITING]
        for name, line in shown[-max(self._console.height - 5, 1) :]:
            style = "bold" if line.status == RUNNING else "dim"
            figures = (f"{line.iteration}/{line.iterations}", f"{line.figure:.4g}", f"{line.seconds:.0f}")
            table.add_row(Text(name), line.status, *figures, style=style)
        ended = sum(line.status not in (WAITING, RUNNING) for line in self._lines.values())
        return Group(f"{ended} of {self._total} trials have ended", table)


def ranking_table(ranked: Sequence[Ranked], metric: str) -> RenderableType:
    """The ranking as a rich table."""
    table = Table(title=f"settings by {metric}", title_justify="left")
    table.add_column("setting")
    for heading in ("mean", "standard deviation", "least to most", "seeds finished"):
        table.add_column(heading, justify="right")
    for one in ranked:
        reach = f"{min(one.figures):.4g} to {max(one.figures):.4g}" if one.figures else "-"
        cells = (_text(one.mean), _text(one.spread), reach, f"{one.finished}/{one.seeds}")
        table.add_row(Text(one.setting), *cells)
    return table


def _text(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.4g}"
