"""The table of `psparsity solve --compare`."""

from __future__ import annotations

import math
from collections.abc import Iterable

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from rllib_psparsity.evaluation.one_matrix import OneMatrixComparison


def one_matrix_table(
    comparison: OneMatrixComparison, name: str, tol: float, remarks: Iterable[str] = ()
) -> RenderableType:
    """A line a method, the fastest in bold, and below it `remarks` and by name what failed and what is not here."""
    rounds = "one round" if comparison.rounds == 1 else f"medians of {comparison.rounds} interleaved rounds"
    table = Table(
        title=f"{name}: to a relative residual of {tol:g}, one thread, {rounds}",
        title_justify="left",
        title_style="",
    )
    table.add_column("method", no_wrap=True)
    for heading in ("set-up\ns", "solve\ns", "total\ns", "iterations", "operator\ncomplexity", "work\nper digit"):
        table.add_column(heading, justify="right")
    solved = [result for result in comparison.results if not result.failure]
    fastest = min(solved, key=lambda result: result.total_seconds, default=None)
    for result in comparison.results:
        failed = bool(result.failure)
        table.add_row(
            result.name,
            _seconds(result.setup_seconds),
            _seconds(result.solve_seconds),
            "failed" if failed else _seconds(result.total_seconds),
            "-" if result.iterations is None else str(result.iterations),
            _figure(result.operator_complexity),
            _figure(result.work_per_digit),
            style="bold" if result is fastest else None,
        )
    notes = [*remarks]
    notes += [f"{result.name} failed: {result.failure}" for result in comparison.results if result.failure]
    notes.append(
        f"portfolio: {comparison.tried} classical configurations were tried once on this matrix, and the fastest that "
        "solved it are shown"
    )
    if comparison.failed:
        reasons = "; ".join(f"{member} ({reason})" for member, reason in comparison.failed.items())
        notes.append(f"portfolio, not solved by {len(comparison.failed)}: {reasons}")
    by_reason: dict[str, list[str]] = {}
    for method, reason in comparison.unavailable.items():
        by_reason.setdefault(reason, []).append(method)
    notes += [f"without {' and '.join(methods)}: {reason}" for reason, methods in by_reason.items()]
    return Group(table, *(Text(note) for note in notes))


def _seconds(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.3g}" if value < 100 else f"{value:.0f}"


def _figure(value: float) -> str:
    return f"{value:.2f}" if math.isfinite(value) else "-"
