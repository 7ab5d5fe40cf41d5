"""What a sweep ends with: a row a trial, and the settings ranked by their mean over the seeds."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from rllib_psparsity.reporting.atomic import write_atomically
from rllib_psparsity.reporting.metrics import MetricsFile
from rllib_psparsity.sweep.figures import FIGURES, final_figures
from rllib_psparsity.sweep.plan import TrialPlan

RESULTS = "results.parquet"
FINISHED, STOPPED, FAILED, UNFINISHED = "finished", "stopped", "failed", "unfinished"
"""A trial's status: trained to its end; stopped by the scheduler; ended by an error; interrupted or not begun."""

Row = dict[str, Any]


def trial_row(plan: TrialPlan, run_dir: Path, metric: str, error: str = "") -> Row:
    """The row of a trial from its run directory, which may not be there yet.

    `figure` is the metric: of the held-out problems, or the mean of its column over the last tenth of the iterations.
    """
    file, heldout = run_dir / "metrics.parquet", run_dir / "heldout.parquet"
    rows = MetricsFile(file).rows if file.exists() else []
    figures = final_figures(rows, heldout)
    if error:
        status = FAILED
    elif heldout.is_file():
        status = FINISHED
    else:
        status = STOPPED if (run_dir / "stopped.json").is_file() else UNFINISHED
    return {
        "setting": plan.setting,
        "seed": plan.seed,
        "status": status,
        "figure": figures[metric],
        "iterations": rows[-1]["iteration"] if rows else 0,
        "seconds": rows[-1]["seconds"] if rows else 0.0,
        "values": json.dumps(dict(plan.values)),
        "error": error,
        **figures,
    }


def write_results(path: Path, rows: Sequence[Row], metadata: Mapping[str, Any]) -> None:
    """All rows as Parquet; `metadata` as JSON under the key "sweep"."""
    table = pa.Table.from_pylist(list(rows)).replace_schema_metadata({"sweep": json.dumps(metadata)})
    write_atomically(path, lambda temporary: pq.write_table(table, temporary))


@dataclass(frozen=True, slots=True)
class Ranked:
    """A setting over its seeds.

    Attributes
    ----------
    setting : str
    mean, spread : float
        Of the figure over the seeds: mean and sample standard deviation, NaN without two of them.
    figures : tuple of float
        Of the seeds that finished or, where none did, of all that have one.
    finished, seeds : int
        How many seeds were trained to the end, and of how many.
    """

    setting: str
    mean: float
    spread: float
    figures: tuple[float, ...]
    finished: int
    seeds: int


def rank(rows: Sequence[Row], metric: str) -> list[Ranked]:
    """The settings, the best mean over the seeds first.

    Only settings with as many finished seeds are compared: those with fewer, because trials failed or were stopped,
    come after them, and those without a figure last.
    """
    ranked = [_of_setting(setting, rows) for setting in dict.fromkeys(row["setting"] for row in rows)]
    sign = -1.0 if FIGURES[metric] == "higher" else 1.0
    return sorted(ranked, key=lambda one: (-one.finished, math.isnan(one.mean), sign * one.mean))


def _of_setting(setting: str, rows: Sequence[Row]) -> Ranked:
    own = [row for row in rows if row["setting"] == setting]
    finished = [row for row in own if row["status"] == FINISHED]
    figures = tuple(row["figure"] for row in finished or own if math.isfinite(row["figure"]))
    mean = statistics.fmean(figures) if figures else math.nan
    spread = statistics.stdev(figures) if len(figures) > 1 else math.nan
    return Ranked(setting, mean, spread, figures, len(finished), len(own))
