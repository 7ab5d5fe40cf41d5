"""Training as it goes: a live table on a terminal, a line an iteration elsewhere."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

logger = logging.getLogger(__name__)

DIAGNOSTICS_EVERY = 10
LOSSES = {"dropped_episodes": "dropped episodes", "skipped_updates": "skipped updates"}
"""Columns, and their labels, that are shown once they are not zero: the sum of the rows shown so far."""


class LiveTable:
    """Shows one metrics row (`METRICS`) after another; a context manager.

    Parameters
    ----------
    total_iterations : int
    reference : mapping, name -> work per digit
        Figures to compare with, measured once, for example ``{"PyAMG default": 9.4, "prior alone": 8.1}``.
    console : rich Console, optional
        Where to draw; standard output if not given. If it is a terminal, a table is redrawn in place; otherwise every
        iteration prints one line, ``iteration 12/60 | 768 episodes | ...``. Both print all diagnostics every
        ten iterations.

    Drawing must never cost a training run: the first failure is logged, and then nothing is drawn any more.
    """

    def __init__(self, total_iterations: int, reference: Mapping[str, float], console: Console | None = None) -> None:
        self._total = total_iterations
        self._reference = dict(reference)
        self._console = console or Console()
        self._live: Live | None = None
        self._first: dict[str, Any] | None = None
        self._losses = dict.fromkeys(LOSSES, 0.0)
        self._broken = False

    def __enter__(self) -> LiveTable:
        if self._console.is_terminal:
            self._guarded(self._start)
        return self

    def __exit__(self, *exception: object) -> None:
        if self._live is not None:
            self._guarded(self._live.stop)

    def update(self, row: Mapping[str, Any]) -> None:
        """Show the metrics row of the iteration that has just ended."""
        self._guarded(self._draw, dict(row))

    def say(self, sentence: str) -> None:
        """Print a line above the table."""
        self._guarded(self._print, sentence)

    def _guarded(self, draw, *arguments) -> None:
        if self._broken:
            return
        try:
            draw(*arguments)
        except Exception as error:
            self._broken = True
            logger.warning("the live table has stopped, the training goes on: %s: %s", type(error).__name__, error)

    def _start(self) -> None:
        waiting = Text("waiting for the end of the first iteration")
        live = Live(waiting, console=self._console, auto_refresh=False)  # a refreshing thread would draw unguarded
        live.start()
        self._live = live

    def _draw(self, row: dict[str, Any]) -> None:
        self._first = self._first or row
        for name in LOSSES:
            self._losses[name] += 0.0 if math.isnan(row[name]) else row[name]
        if self._live is not None:
            self._live.update(self._table(row), refresh=True)
        else:
            self._print(self._line(row))
        if row["iteration"] % DIAGNOSTICS_EVERY == 0:
            self._print(_diagnostics(row))

    def _print(self, line: str) -> None:
        self._console.print(line, soft_wrap=True, markup=False, highlight=False)

    def _line(self, row: dict[str, Any]) -> str:
        return " | ".join(
            (
                f"iteration {row['iteration']}/{self._total}",
                f"{row['episodes']} episodes",
                f"{row['episodes_per_second']:.1f} episodes/s",
                f"reward {row['reward_mean']:.3f}",
                f"work per digit {row['work_per_digit_mean']:.2f}",
                *self._ratios(row),
                f"operator complexity {row['operator_complexity_mean']:.2f}",
                f"edge entropy {row['entropy_edge']:.3f}",
                f"softmax entropy {row['entropy_softmax_over_edges']:.2f}",
                f"explained variance {row['explained_variance']:.2f}",
                f"failed set-ups {row['failed_setups']}",
                *(f"{label} {total:.0f}" for label, total in self._lost()),
                f"ETA {self._remaining(row)}",
            )
        )

    def _table(self, row: dict[str, Any]) -> RenderableType:
        first = self._first or row
        table = Table(box=None, padding=(0, 2, 0, 0))
        table.add_column("")
        table.add_column(f"iteration {first['iteration']}", justify="right")
        table.add_column(f"iteration {row['iteration']}", justify="right", style="bold")
        table.add_column("")
        for label, name, style, note in (
            ("episodes", "episodes", "d", ""),
            ("episodes/s", "episodes_per_second", ".1f", ""),
            ("reward", "reward_mean", ".3f", f"+- {row['reward_std']:.3f} between episodes"),
            ("work per digit", "work_per_digit_mean", ".2f", "\n".join(self._ratios(row))),
            ("operator complexity", "operator_complexity_mean", ".2f", ""),
            ("entropy of an edge", "entropy_edge", ".3f", "nats; at most 0.693"),
            ("softmax over edges", "entropy_softmax_over_edges", ".2f", "nats; must stay above 1"),
            ("explained variance", "explained_variance", ".2f", "must exceed 0.20"),
            ("failed set-ups", "failed_setups", "d", ""),
        ):
            table.add_row(label, format(first[name], style), format(row[name], style), Text(note, style="dim"))
        for label, total in self._lost():
            table.add_row(label, "", f"{total:.0f}", Text("since iteration " + str(first["iteration"]), style="dim"))
        heading = Table.grid(padding=(0, 2, 0, 0))
        heading.add_row(
            f"iteration {row['iteration']} of {self._total}",
            ProgressBar(total=self._total, completed=row["iteration"], width=30),
            f"ETA {self._remaining(row)}",
        )
        return Group(heading, table)

    def _lost(self) -> list[tuple[str, float]]:
        return [(label, self._losses[name]) for name, label in LOSSES.items() if self._losses[name]]

    def _ratios(self, row: dict[str, Any]) -> list[str]:
        return [
            f"{row['work_per_digit_mean'] / figure:.2f} x {name} ({figure:.2f})"
            for name, figure in self._reference.items()
        ]

    def _remaining(self, row: dict[str, Any]) -> str:
        """Time left at the pace since the first row shown; a run that resumed starts its pace anew."""
        first = self._first or row
        done = row["iteration"] - first["iteration"]
        seconds_each = (row["seconds"] - first["seconds"]) / done if done else row["seconds"] / row["iteration"]
        left = (self._total - row["iteration"]) * seconds_each
        if not math.isfinite(left):
            return "unknown"
        minutes, seconds = divmod(round(left), 60)
        hours, minutes = divmod(minutes, 60)
        return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {seconds:02d} s"


def _diagnostics(row: Mapping[str, Any]) -> str:
    """The triage document's diagnostics in one line."""
    return " | ".join(
        (
            f"diagnostics {row['iteration']}",
            f"gradient norm {row['grad_norm']:.3g} (encoder {row['grad_norm_encoder']:.3g}, "
            f"edge head {row['grad_norm_edge_head']:.3g}, value head {row['grad_norm_value_head']:.3g})",
            f"clipped {row['clipped_share']:.0%}",
            f"advantage std {row['advantage_std']:.3f}",
            f"reward std {row['reward_std']:.3f}",
            f"entropy edge {row['entropy_edge']:.4f}, recipe {row['entropy_recipe']:.4f}, "
            f"softmax over edges {row['entropy_softmax_over_edges']:.3f}",
            f"explained variance {row['explained_variance']:.3f}",
            f"learning rate {row['learning_rate']:.3g}",
            f"entropy coefficient {row['entropy_coefficient']:.3g}",
            f"temperature {row['temperature']:.3g}",
        )
    )
