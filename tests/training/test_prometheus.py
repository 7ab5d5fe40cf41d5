"""The figures of a run as Prometheus reads them from a node of Ray."""

from __future__ import annotations

import json
import re
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
import ray
from pyarrow import fs

import rllib_psparsity
from rllib_psparsity.reporting.metrics import METRICS
from rllib_psparsity.training import prometheus, session
from rllib_psparsity.training.mirror import Mirror
from rllib_psparsity.training.prometheus import GAUGES, QUEUE, prometheus_exporter
from rllib_psparsity.training.session import TrainingSession
from tests.environment.tiny import tiny_config

ROOT = Path(rllib_psparsity.__file__).parents[1]
PAGE = ROOT / "docs" / "submit.md"
DASHBOARD = ROOT / "cluster" / "grafana" / "psparsity.json"
PATIENCE_SECONDS = 180.0
"""Ray reports every 10 s."""


def scraped(run: str, done) -> dict[str, float]:
    """A run's figures by name, once `done` holds for them."""
    (node,) = ray.nodes()
    address = f"http://{node['NodeManagerAddress']}:{node['MetricsExportPort']}/metrics"
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            text = opener.open(address, timeout=10.0).read().decode()
        except (urllib.error.URLError, OSError):
            text = ""  # the node's agent is not up yet
        found = re.findall(rf'^ray_(psparsity_\w+)\{{.*\brun="{run}".*\}} (\S+)$', text, re.MULTILINE)
        figures = {name: float(value) for name, value in found}
        if done(figures):
            return figures
        assert time.monotonic() < deadline, f"{address}: {text[:2000]}"
        time.sleep(0.5)


def test_figures_reach_prometheus_under_the_documented_names(local_ray):
    export, of_another = (prometheus_exporter(tiny_config(), run) for run in ("first", "second"))
    row = {column: float(k) for k, column in enumerate(GAUGES.values(), start=1)} | {"failed_setups": 2}
    export(row, {QUEUE: 9.0})
    export(row | {"work_per_digit_mean": float("nan"), "failed_setups": 3}, {QUEUE: 7.0})
    of_another(row | {"iteration": 99.0, "failed_setups": 1}, {QUEUE: 1.0})
    others = scraped("second", lambda figures: "psparsity_failed_setups_total" in figures)
    assert (others["psparsity_iteration"], others["psparsity_failed_setups_total"]) == (99.0, 1.0)
    figures = scraped("first", lambda figures: figures.get("psparsity_failed_setups_total") == 5.0)
    assert figures["psparsity_learner_queue"] == 7.0
    for k, name in enumerate(GAUGES, start=1):
        assert figures[name] == k, f"{name}, also where the last iteration has no such figure"
    documented = re.findall(r"^    (psparsity_\w+) +(gauge|counter) ", prometheus.__doc__ or "", re.MULTILINE)
    assert {name for name, _ in documented} == set(figures)
    assert re.findall(r"^\| `(psparsity_\w+)` \| (gauge|counter) \|", PAGE.read_text(), re.MULTILINE) == documented
    assert set(GAUGES.values()) <= {metric.name for metric in METRICS}


def test_the_dashboard_tells_runs_apart():
    dashboard = json.loads(DASHBOARD.read_text())
    targets = [target for panel in dashboard["panels"] for target in panel["targets"]]
    ours = [target for target in targets if "ray_psparsity_" in target["expr"]]
    assert len(ours) == 4
    for target in ours:
        assert "by (SessionName, run)" in target["expr"] and 'run=~"$run"' in target["expr"]
        assert "{{run}}" in target["legendFormat"]
    (variable,) = [one for one in dashboard["templating"]["list"] if one["name"] == "run"]
    assert re.fullmatch(r"label_values\(ray_(psparsity_\w+)\{.*\}, run\)", variable["query"]["query"])


@pytest.mark.parametrize("storage", [None, "s3://bucket/runs/stored?region=x"])
def test_a_run_is_called_by_the_last_part_of_its_directory(local_ray, tmp_path, monkeypatch, storage):
    names = []
    monkeypatch.setattr(session, "prometheus_exporter", lambda config, run: names.append(run))
    mirror = None if storage is None else Mirror(storage, fs.LocalFileSystem(), f"{tmp_path}/bucket/runs/stored")
    with TrainingSession(tiny_config(), tmp_path / "runs" / "plain", mirror=mirror):
        pass
    with TrainingSession(tiny_config(), tmp_path / "runs" / "trial", mirror=mirror, name="slow/seed-0"):
        pass
    assert names == ["plain" if storage is None else "stored", "slow/seed-0"]


def test_switched_off_it_touches_nothing(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(__import__("sys").modules, "ray.util.metrics", None)
    prometheus_exporter(tiny_config("reporting.prometheus=false"), "x")({}, {})


def test_the_queue_is_what_was_sampled_while_the_learner_worked(build):
    algorithm = build(tiny_config("env_runners.count=1", "training.overlap=true", "training.iterations=3"))
    first = algorithm.train()["episodes"][QUEUE]
    time.sleep(3.0)  # the runner fills the queue
    second = algorithm.train()["episodes"][QUEUE]
    assert 0.0 <= first <= 6.0 and 0.0 < second <= 6.0
