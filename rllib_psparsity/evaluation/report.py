"""The tables and pictures of an evaluation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from rllib_psparsity.evaluation.arms import LEARNED_SOLVER, TRAINED_POLICY
from rllib_psparsity.evaluation.comparison import best_single_method
from rllib_psparsity.evaluation.method import PORTFOLIO_NAMES
from rllib_psparsity.evaluation.ratios import case_ratios, method_ratios
from rllib_psparsity.evaluation.rows import Row

FAILURES_SHOWN = 12


def shown_methods(rows: Sequence[Row]) -> list[str]:
    """All methods but the portfolio's, of which only the best single one is shown; in order of appearance."""
    single = best_single_method(rows)
    return [name for name in dict.fromkeys(row["method"] for row in rows) if name not in PORTFOLIO_NAMES] + (
        [single] if single is not None else []
    )


def evaluation_table(rows: Sequence[Row], title: str) -> RenderableType:
    """Ratios to the virtual best over all problems and by family, and below it why there are none, and the failures by
    name."""
    shown, single, over_all = shown_methods(rows), best_single_method(rows), method_ratios(rows)
    families = list(dict.fromkeys(row["family"] for row in rows))
    sections = {"all": over_all}
    if len(families) > 1:
        sections |= {family: method_ratios(rows, family) for family in families}
    title = f"{title}: geometric means over what each method solved, the virtual best being 1"
    table = Table(title=title, title_justify="left")
    table.add_column("family")
    table.add_column("method")
    for heading in ("work per digit", "total time", "solved"):
        table.add_column(heading, justify="right")
    for family, lines in sections.items():
        table.add_section()
        present = [lines[name] for name in shown if name in lines]
        for number, line in enumerate(present):
            label = f"best single: {line.method}" if line.method == single else line.method
            figures = (_figure(line.work), _figure(line.time), f"{line.solved}/{line.cases}")
            table.add_row("" if number else family, label, *figures)
    notes = [_no_virtual_best(rows)] if single is None else []
    notes += [_failures(name, over_all[name].failures) for name in shown if over_all[name].failures]
    return Group(table, *map(Text, notes))


def _no_virtual_best(rows: Sequence[Row]) -> str:
    if any(row["method"] in PORTFOLIO_NAMES for row in rows):
        return "no ratios: no member of the portfolio that was measured solved a problem, so there is no virtual best"
    # With the same --out the added methods would be other settings.
    return (
        "no ratios: the virtual best is made of the classical portfolio, of which no member was measured; add "
        "portfolio, or names of its members, to --methods, and name another --out"
    )


def _failures(method: str, failures: tuple[tuple[str, str], ...]) -> str:
    named = "; ".join(f"{problem} ({reason})" for problem, reason in failures[:FAILURES_SHOWN])
    more = len(failures) - FAILURES_SHOWN
    return f"not solved by {method}: {named}" + (f"; and {more} more, see the Parquet file" if more > 0 else "")


def _figure(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.2f}"


def write_pictures(rows: Sequence[Row], out: Path) -> tuple[Path, ...]:
    """The performance profile and, where a learned method was measured, the scatter plot against the virtual best,
    beside `out`; none without a solve by the portfolio."""
    from rllib_psparsity.reporting.performance import profile_figure, scatter_figure

    ratios = case_ratios(rows)
    lines = method_ratios(rows)
    if best_single_method(rows) is None:
        return ()
    shown = shown_methods(rows)
    profile = out.with_name(f"{out.stem}_profile.png")
    curves = {name: list(ratios[name].values()) for name in shown}
    profile_figure(
        {name: [ratio.work for ratio in held] for name, held in curves.items()},
        {name: [ratio.time for ratio in held] for name, held in curves.items()},
        {name: lines[name].cases for name in shown},
    ).savefig(profile, dpi=110)
    learned = next((name for name in (LEARNED_SOLVER, TRAINED_POLICY) if ratios.get(name)), None)
    if learned is None:
        return (profile,)
    scatter = out.with_name(f"{out.stem}_scatter.png")
    figures = {(row["problem"], row["seed"]): row for row in rows if row["method"] == learned and row["converged"]}
    own = [(row, ratios[learned][case]) for case, row in figures.items()]
    scatter_figure(
        learned,
        [row["family"] for row, _ in own],
        [(row["work_per_digit"] / ratio.work, row["work_per_digit"]) for row, ratio in own],
        [
            ((row["setup_seconds"] + row["solve_seconds"]) / ratio.time, row["setup_seconds"] + row["solve_seconds"])
            for row, ratio in own
        ],
    ).savefig(scatter, dpi=110)
    return profile, scatter
