"""Sweeps of tiny trials, and what they leave."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from tests.environment.tiny import RECIPES
from tests.journeys.session import Session

SETTINGS = {
    "problems.families": [{"family": "anisotropic_diffusion_fd", "size": [10, 14]}],
    "problems.heldout_problems": 2,
    "policy.recipes": list(RECIPES),
    "environment.max_coarse": 20,
    "policy.width": 8,
    "policy.layers": 1,
    "training.episodes_per_iteration": 6,
    "training.minibatch_graphs": 8,
    "training.overlap": False,
    "training.lr_factor": 1.0,
    "env_runners.count": 0,
    "checkpoint.every": 1,
}
PATIENCE_SECONDS = 500.0


def tune(cwd: Path, *arguments: str) -> Session:
    # Ray would have its workers step back behind everything else that a busy machine does.
    environment = {"RAY_worker_niceness": "0"}
    return Session("tune", *arguments, cwd=cwd, patience=PATIENCE_SECONDS, environment=environment)


def rows_of(run_dir: Path) -> list[dict[str, Any]]:
    return pq.ParquetFile(run_dir / "metrics.parquet").read().to_pylist()


def times(run_dir: Path) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in run_dir.rglob("*") if path.is_file()}


def results_of(sweep_dir: Path) -> list[dict[str, Any]]:
    return pq.ParquetFile(sweep_dir / "results.parquet").read().to_pylist()
