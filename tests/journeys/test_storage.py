"""A run whose directory is a URI: train and resume, each in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import rllib_psparsity
from rllib_psparsity.training.checkpoint import newest_checkpoint
from tests.environment.tiny import MENU, SCALAR

ROOT = Path(rllib_psparsity.__file__).parents[1]
SETTINGS = (
    SCALAR,
    MENU,
    "problems.heldout_problems=2",
    "environment.max_coarse=20",
    "policy.width=8",
    "policy.layers=1",
    "training.episodes_per_iteration=4",
    "env_runners.count=0",
    "checkpoint.every=1",
)


def psparsity(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "COLUMNS": "500", "TMPDIR": str(cwd)}
    environment["RAY_TMPDIR"] = tempfile.gettempdir()  # Ray's sockets need a short path
    environment.pop("RAY_ADDRESS", None)
    return subprocess.run(
        [sys.executable, "-m", "rllib_psparsity", *arguments],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
    )


def test_train_and_resume_by_uri(tmp_path: Path):
    uri, kept = f"file://{tmp_path}/storage/first", tmp_path / "storage" / "first"
    options = [part for setting in SETTINGS for part in ("--set", setting)]
    done = psparsity("train", "--run-dir", uri, *options, "--set", "training.iterations=1", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"what was saved is in {uri}" in done.stdout
    assert newest_checkpoint(kept)[1:] == (1, []) and (kept / "policy" / "policy.safetensors").exists()
    assert list(tmp_path.glob("psparsity-*")) == [], "the local directory is gone"

    refused = psparsity("train", "--run-dir", uri, *options, cwd=tmp_path)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr.startswith(f"psparsity: {uri} already holds a run; go on with it by psparsity resume {uri}")

    done = psparsity("resume", uri, "--set", "training.iterations=2", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert newest_checkpoint(kept)[1:] == (2, []) and list(tmp_path.glob("psparsity-*")) == []
