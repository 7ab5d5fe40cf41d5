"""The figures that a trial ends with, and that settings can be ranked by."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from rllib_psparsity.amg.portfolio import PYAMG_DEFAULT
from rllib_psparsity.evaluation.comparison import geometric_mean, virtual_best
from rllib_psparsity.evaluation.table import PRIOR_ALONE, TRAINED_POLICY
from rllib_psparsity.reporting.diagnose import mean_of_last_tenth
from rllib_psparsity.reporting.metrics import METRICS, MetricsRow

HELDOUT = {
    "heldout_work_per_digit": "lower",
    "heldout_ratio_to_prior": "lower",
    "heldout_ratio_to_default": "lower",
    "heldout_ratio_to_best": "lower",
    "heldout_solved": "higher",
}
"""Figures of the trained policy on the held-out problems that it solved, and the better direction. Geometric means of
its work per digit, and of the ratio of it to that of the prior alone, of PyAMG's default and of the best of the
portfolio, over the problems that both solved; and the share of the problems that it solved."""

FIGURES = {metric.name: metric.better for metric in METRICS if metric.better != "neither"} | HELDOUT
"""Every figure that says which setting is better -> "higher" or "lower"."""


COUNTERS = ("iteration", "env_steps", "episodes", "seconds")
"""Metrics since the training began, whose mean says nothing."""


def final_figures(rows: Sequence[MetricsRow], heldout: Path | None = None) -> dict[str, float]:
    """Means of the metrics over the last tenth of the iterations, and the held-out figures; NaN where there is none."""
    names = [metric.name for metric in METRICS if metric.name not in COUNTERS]
    figures = {name: mean_of_last_tenth(rows, name) if rows else math.nan for name in names}
    return figures | heldout_figures(heldout)


def heldout_figures(path: Path | None) -> dict[str, float]:
    """The figures of `HELDOUT` from a run's ``heldout.parquet``; NaN without one."""
    if path is None or not path.is_file():
        return dict.fromkeys(HELDOUT, math.nan)
    with path.open("rb") as file:
        rows = pq.read_table(file).to_pylist()
    trained = _work_of(rows, TRAINED_POLICY)
    best = {problem: row["work_per_digit"] for problem, row in virtual_best(rows).items()}
    return {
        "heldout_work_per_digit": geometric_mean(trained.values()),
        "heldout_ratio_to_prior": _ratio(trained, _work_of(rows, PRIOR_ALONE)),
        "heldout_ratio_to_default": _ratio(trained, _work_of(rows, PYAMG_DEFAULT.name)),
        "heldout_ratio_to_best": _ratio(trained, best),
        "heldout_solved": len(trained) / len({row["problem"] for row in rows}),
    }


def _work_of(rows: Sequence[Mapping[str, Any]], method: str) -> dict[str, float]:
    """Problem -> work per digit, where the method converged."""
    return {row["problem"]: row["work_per_digit"] for row in rows if row["method"] == method and row["converged"]}


def _ratio(work: Mapping[str, float], reference: Mapping[str, float]) -> float:
    return geometric_mean(work[problem] / reference[problem] for problem in work if problem in reference)
