"""Figures of a run for Prometheus, through Ray: each node of a cluster answers on its metrics port.

    psparsity_episodes_per_second   gauge    hierarchies built in the last iteration per second of it
    psparsity_work_per_digit        gauge    geometric mean over the last iteration, in matrix products per digit
    psparsity_failed_setups_total   counter  hierarchies that ended in a failure
    psparsity_learner_queue         gauge    episodes that waited for the learner when it came for them
    psparsity_iteration             gauge    number of the last iteration
    psparsity_reward_mean           gauge    mean over the last iteration's episodes of the sum of rewards
    psparsity_operator_complexity   gauge    mean over the last iteration's finished hierarchies
    psparsity_entropy_edge          gauge    nats of an edge decision
    psparsity_entropy_recipe        gauge    nats of the choice of a recipe
    psparsity_explained_variance    gauge    share of the returns' variance that the value head explains
    psparsity_seconds_sampling      gauge    how long an env runner was busy with the last iteration, in s
    psparsity_seconds_learning      gauge    how long the learner was, in s

Prometheus sees them with `ray_` before the name, and with the run's name in the label `run`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from rllib_psparsity.config.schema import Config

GAUGES = {
    "psparsity_episodes_per_second": "episodes_per_second",
    "psparsity_work_per_digit": "work_per_digit_mean",
    "psparsity_iteration": "iteration",
    "psparsity_reward_mean": "reward_mean",
    "psparsity_operator_complexity": "operator_complexity_mean",
    "psparsity_entropy_edge": "entropy_edge",
    "psparsity_entropy_recipe": "entropy_recipe",
    "psparsity_explained_variance": "explained_variance",
    "psparsity_seconds_sampling": "seconds_sampling",
    "psparsity_seconds_learning": "seconds_learning",
}
"""Names of gauges -> columns of `metrics.parquet`."""
QUEUE = "learner_queue"
"""In the figures of an iteration's episodes, beside the columns."""
Export = Callable[[Mapping[str, Any], Mapping[str, Any]], None]


def prometheus_exporter(config: Config, run: str) -> Export:
    """A function that exports an iteration's row of metrics and the figures of its episodes, of the run of that name.

    A figure that does not exist in an iteration (NaN) leaves the gauge as it was. Without `reporting.prometheus` the
    function does nothing.
    """
    if not config.reporting.prometheus:
        return lambda row, figures: None
    from ray.util.metrics import Counter, Gauge

    gauges = {column: Gauge(name, column.replace("_", " "), ("run",)) for name, column in GAUGES.items()}
    queue = Gauge("psparsity_learner_queue", "episodes that waited for the learner", ("run",))
    # Ray adds the ending _total, as Prometheus has it for counters.
    failed = Counter("psparsity_failed_setups", "hierarchies that ended in a failure", ("run",))
    for metric in (*gauges.values(), queue, failed):
        metric.set_default_tags({"run": run})

    def export(row: Mapping[str, Any], figures: Mapping[str, Any]) -> None:
        for column, gauge in gauges.items():
            if math.isfinite(row[column]):
                gauge.set(row[column])
        queue.set(figures[QUEUE])
        if row["failed_setups"]:
            failed.inc(row["failed_setups"])

    return export
