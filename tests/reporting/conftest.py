"""Runs made by hand: `run_row(iteration, **changes)` and `make_run(directory, rows, config)`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rllib_psparsity.reporting.metrics import MetricsFile

CONFIG = {
    "problems": {"training_problems": 32},
    "reward": {"name": "energy_reduction"},
    "training": {"grad_clip": 5.0, "rollouts_per_problem": 2},
}
"""An epoch is an iteration's 64 episodes."""


def _row(iteration: int, **changes) -> dict:
    return {
        "iteration": iteration,
        "env_steps": 200 * iteration,
        "episodes": 64 * iteration,
        "seconds": 3.0 * iteration,
        "seconds_sampling": 2.0,
        "seconds_learning": 0.75,
        "episodes_per_second": 41.25,
        "reward_mean": -2.0,
        "reward_std": 0.25,
        "work_per_digit_mean": 7.4,
        "operator_complexity_mean": 1.5,
        "failed_setups": 1,
        "entropy_edge": 0.5,
        "entropy_recipe": 1.25,
        "entropy_softmax_over_edges": 6.0,
        "explained_variance": 0.5,
        "advantage_std": 0.375,
        "grad_norm": 3.0,
        "grad_norm_encoder": 2.0,
        "grad_norm_edge_head": 0.5,
        "grad_norm_value_head": 1.0,
        "clipped_share": 0.25,
        "learning_rate": 3e-3,
        "entropy_coefficient": 0.02,
        "temperature": 0.9,
        "dropped_episodes": 0.0,
        "skipped_updates": 0.0,
    } | changes


def _make_run(directory: Path, rows: list[dict], config: dict | None = None) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "config.json").write_text(json.dumps(CONFIG | (config or {})))
    metrics = MetricsFile(directory / "metrics.parquet")
    for values in rows:
        metrics.append(values)
    return directory


@pytest.fixture
def run_config():
    return CONFIG


@pytest.fixture
def run_row():
    return _row


@pytest.fixture
def make_run():
    return _make_run
