"""What a run comes to: from its metrics to the figures that `studies/RESULTS.md` shows."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from rllib_psparsity.reporting.diagnose import GRADIENT_PARTS
from rllib_psparsity.reporting.epochs import ends, episodes_of_an_epoch, gain

Row = Mapping[str, Any]


def run_figures(rows: Sequence[Row], config: Mapping[str, Any]) -> dict[str, float]:
    """All figures of one run, by name; NaN where there is none.

    ``first`` and ``last`` are mean rewards over both `ends`, ``gain`` is by `gain`.
    """
    head, tail = ends(rows, config)
    tenth = rows[-math.ceil(len(rows) / 10) :]
    first, last = mean_of(head, "reward_mean"), mean_of(tail, "reward_mean")
    ratios = part_ratios(rows, config)
    return {
        "first": first,
        "last": last,
        "gain": gain(first, last, config["reward"]["name"]),
        "entropy_softmax_min": min(_column(rows, "entropy_softmax_over_edges")),
        "entropy_edge_last": rows[-1]["entropy_edge"],
        "explained_variance": mean_of(tenth, "explained_variance"),
        "advantage_std": mean_of(tenth, "advantage_std"),
        "clipped": mean_of(rows, "clipped_share"),
        "grad_norm": mean_of(rows, "grad_norm"),
        "parts_median": float(np.median(ratios)),
        "parts_worst": max(ratios),
        "parts_worst_epoch": max(part_ratios(rows, config, len(head))),
        "edge_head_first": _share_of_edge_head(head),
        "edge_head_last": _share_of_edge_head(tenth),
        "work": mean_of(tail, "work_per_digit_mean"),
        "complexity": mean_of(tail, "operator_complexity_mean"),
        "epochs": rows[-1]["episodes"] / episodes_of_an_epoch(config),
        "seconds": rows[-1]["seconds"],
    }


def _share_of_edge_head(rows: Sequence[Row]) -> float:
    """Norm of the edge head's gradient over that of the whole network's, median over iterations; 0 if there is none."""
    head, whole = _column(rows, "grad_norm_edge_head"), _column(rows, "grad_norm")
    return float(np.median([part / norm if norm else 0.0 for part, norm in zip(head, whole, strict=True)]))


def part_ratios(rows: Sequence[Row], config: Mapping[str, Any], iterations: int = 1) -> list[float]:
    """The largest over the smallest of the parts' gradients, by their mean norms over that many iterations, for every
    such stretch; infinite where a part has none.

    REINFORCE learns no value, so its value head, which never has a gradient, is left out.
    """
    without_value = config["training"].get("algorithm") == "reinforce"
    parts = [name for name in GRADIENT_PARTS if not (without_value and name == "grad_norm_value_head")]
    stretch = np.ones(iterations) / iterations
    means = np.array([np.convolve(_column(rows, name), stretch, "valid") for name in parts])
    largest, smallest = means.max(axis=0), means.min(axis=0)
    return [float(a / b) if b > 0 else math.inf for a, b in zip(largest, smallest, strict=True)]


def mean_of(rows: Sequence[Row], name: str) -> float:
    """Mean over the rows where the figure exists; NaN where it is in none."""
    values = [value for value in _column(rows, name) if not math.isnan(value)]
    return float(np.mean(values)) if values else math.nan


def _column(rows: Sequence[Row], name: str) -> list[float]:
    return [_number(row[name]) for row in rows]


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)
