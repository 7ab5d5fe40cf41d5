"""The default study's result as a table of the README.

A directory a run holds what `psparsity train --set seed=N` left: `config.json`, `metrics.parquet`, `heldout.parquet`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pyarrow.parquet as pq

from rllib_psparsity.evaluation.arms import PRIOR_ALONE, TRAINED_POLICY, UNTRAINED_NETWORK
from rllib_psparsity.evaluation.comparison import BEST_OF_PORTFOLIO, ArmSummary, geometric_mean, summarise
from rllib_psparsity.evaluation.table import ARMS


def default_table(directories: Sequence[Path]) -> list[str]:
    """A line is an arm; a column is the geometric mean, over the held-out problems of one run, of the work per digit
    relative to PyAMG's default. All runs have as many problems, so the last column is the mean over all of them."""
    runs = {path.name: _summary(path) for path in directories}
    lines = [
        "| work per digit / PyAMG default | " + " | ".join(runs) + " | all |",
        "|---|" + "---|" * (len(runs) + 1),
    ]
    for arm in (*ARMS, BEST_OF_PORTFOLIO):
        ratios = [summary[arm].ratio_to_default for summary in runs.values()]
        cells = [f"{ratio:.3f}" for ratio in (*ratios, geometric_mean(ratios))]
        lines.append(f"| {arm} | " + " | ".join(cells) + " |")
    for arm in (PRIOR_ALONE, UNTRAINED_NETWORK):
        ratios = [s[TRAINED_POLICY].work_per_digit / s[arm].work_per_digit for s in runs.values()]
        cells = [f"{ratio:.3f}" for ratio in (*ratios, geometric_mean(ratios))]
        lines.append(f"| *{TRAINED_POLICY} / {arm}* | " + " | ".join(cells) + " |")
    failures = [
        f"{name}, {line.name}: {', '.join(line.failures)}"
        for name, summary in runs.items()
        for line in summary.values()
        if line.failures and line.name in ARMS
    ]
    return [*lines, "", "Not solved: " + ("; ".join(failures) or "none.")]


def _summary(directory: Path) -> dict[str, ArmSummary]:
    rows = pq.read_table(directory / "heldout.parquet", partitioning=None).to_pylist()
    return {line.name: line for line in summarise(rows, ARMS)}
