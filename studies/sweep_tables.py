"""Sweeps of `psparsity tune` whose results are kept: their settings side by side, the best first."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rllib_psparsity.sweep.results import FINISHED, rank
from studies.arm_table import spread_text
from studies.results_file import read_table

COLUMNS = {
    "reward_mean": ("reward", "{:.3f}"),
    "explained_variance": ("explained variance", "{:.0%}"),
    "entropy_softmax_over_edges": ("entropy, softmax", "{:.2f}"),
    "entropy_edge": ("entropy, decision", "{:.3f}"),
    "grad_norm": ("gradient norm", "{:.3g}"),
    "clipped_share": ("clipped", "{:.0%}"),
    "heldout_ratio_to_prior": ("held-out work / prior", "{:.3f}"),
    "heldout_ratio_to_best": ("held-out work / best of portfolio", "{:.3f}"),
    "heldout_solved": ("held-out solved", "{:.0%}"),
    "seconds": ("seconds", "{:.0f}"),
}
"""Column of the sweep's results -> (heading, format)."""
LEGEND = (
    "Means over the seeds that finished, with the smallest and the largest in brackets, of means over the last tenth "
    "of the iterations; settings in the order of their mean figure. Held-out problems: geometric means of the trained "
    "policy's work per digit in ratio to another's, without the guard."
)


@dataclass(frozen=True)
class SweepResult:
    """A finished sweep: `name` of its file, what is asked, the command, and a row a trial."""

    name: str
    about: str
    command: str
    metric: str
    commit: str
    iterations: int
    rows: list[dict[str, Any]]

    def ranked(self) -> list[str]:
        """The settings, the best first."""
        return [one.setting for one in rank(self.rows, self.metric)]

    def text(self, setting: str, column: str, form: str, spread: bool = True) -> str:
        """Mean of a column over the seeds of a setting that finished, and the range."""
        finished = [row for row in self.rows if row["setting"] == setting and row["status"] == FINISHED]
        return spread_text([row[column] for row in finished], form, spread)


def read_sweeps(directory: Path) -> list[SweepResult]:
    """Of every ``results.parquet`` that was copied there under its sweep's name."""
    sweeps = []
    for path in sorted(directory.glob("*.parquet")):
        rows, metadata = read_table(path)
        about = metadata["sweep"]
        described = about["sweep"]
        sweeps.append(
            SweepResult(
                path.stem,
                described["about"],
                about["command"],
                described["metric"],
                about["commit"],
                described["iterations"],
                rows,
            )
        )
    return sweeps


def sweep_section(sweep: SweepResult) -> list[str]:
    """Question, command and table of one sweep."""
    lines = [
        f"{sweep.about} `{sweep.command}`, {sweep.iterations} iterations, at commit {sweep.commit[:7]}.",
        "",
        "| setting | seeds | " + " | ".join(heading for heading, _ in COLUMNS.values()) + " |",
        "|---" * (len(COLUMNS) + 2) + "|",
    ]
    for setting in sweep.ranked():
        own = [row for row in sweep.rows if row["setting"] == setting]
        finished = sum(row["status"] == FINISHED for row in own)
        cells = [sweep.text(setting, column, form) for column, (_, form) in COLUMNS.items()]
        lines.append(f"| {setting} | {finished} of {len(own)} | " + " | ".join(cells) + " |")
    return lines
