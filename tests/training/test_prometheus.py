"""The figures of a run as Prometheus reads them from a node of Ray."""

from __future__ import annotations

import re
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
import ray

import rllib_psparsity
from rllib_psparsity.reporting.metrics import METRICS
from rllib_psparsity.training import prometheus
from rllib_psparsity.training.prometheus import GAUGES, QUEUE, prometheus_exporter
from tests.environment.tiny import tiny_config

PAGE = Path(rllib_psparsity.__file__).parents[1] / "docs" / "submit.md"
PATIENCE_SECONDS = 180.0
"""Ray reports every 10 s."""


def scraped(done) -> dict[str, float]:
    """Our figures by name, once `done` holds for them."""
    (node,) = ray.nodes()
    address = f"http://{node['NodeManagerAddress']}:{node['MetricsExportPort']}/metrics"
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            text = opener.open(address, timeout=10.0).read().decode()
        except (urllib.error.URLError, OSError):
            text = ""  # the node's agent is not up yet
        found = re.findall(r"^ray_(psparsity_\w+)\{.*\} (\S+)$", text, re.MULTILINE)
        figures = {name: float(value) for name, value in found}
        if done(figures):
            return figures
        assert time.monotonic() < deadline, f"{address}: {text[:2000]}"
        time.sleep(0.5)


def test_figures_reach_prometheus_under_the_documented_names(local_ray):
    export = prometheus_exporter(tiny_config())
    row = {column: float(k) for k, column in enumerate(GAUGES.values(), start=1)} | {"failed_setups": 2}
    export(row, {QUEUE: 9.0})
    export(row | {"work_per_digit_mean": float("nan"), "failed_setups": 3}, {QUEUE: 7.0})
    figures = scraped(lambda figures: figures.get("psparsity_failed_setups_total") == 5.0)
    assert figures["psparsity_learner_queue"] == 7.0
    for k, name in enumerate(GAUGES, start=1):
        assert figures[name] == k, f"{name}, also where the last iteration has no such figure"
    documented = re.findall(r"^    (psparsity_\w+) +(gauge|counter) ", prometheus.__doc__ or "", re.MULTILINE)
    assert {name for name, _ in documented} == set(figures)
    assert re.findall(r"^\| `(psparsity_\w+)` \| (gauge|counter) \|", PAGE.read_text(), re.MULTILINE) == documented
    assert set(GAUGES.values()) <= {metric.name for metric in METRICS}


def test_switched_off_it_touches_nothing(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(__import__("sys").modules, "ray.util.metrics", None)
    prometheus_exporter(tiny_config("reporting.prometheus=false"))({}, {})


def test_the_queue_is_what_was_sampled_while_the_learner_worked(build):
    algorithm = build(tiny_config("env_runners.count=1", "training.overlap=true", "training.iterations=3"))
    first = algorithm.train()["episodes"][QUEUE]
    time.sleep(3.0)  # the runner fills the queue
    second = algorithm.train()["episodes"][QUEUE]
    assert 0.0 <= first <= 6.0 and 0.0 < second <= 6.0
