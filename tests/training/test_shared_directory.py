"""A run directory that other nodes do not see, on a cluster of two simulated nodes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import rllib_psparsity

ROOT = Path(rllib_psparsity.__file__).parents[1]


@pytest.mark.skipif(not Path("/proc/self/cwd").exists(), reason="needs /proc, for a path that processes see otherwise")
def test_a_directory_that_a_node_does_not_see_is_refused(tmp_path: Path):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "RAY_AUTH_MODE": "disabled"}
    environment.pop("RAY_ADDRESS", None)
    done = subprocess.run(
        [sys.executable, "-m", "tests.training.two_nodes", str(tmp_path)],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    answers = json.loads(done.stdout.splitlines()[-1])
    assert answers["left"] == ["old"], "nothing is left of the probe"
    assert answers["one node"] is answers["shared, new"] is answers["shared, old"] is None
    assert "/proc/self/cwd/hidden/run is not seen by 2 of the cluster's 2 nodes (" in answers["not shared"]
    assert "set cluster.shared_run_dir=false if" in answers["not shared"]
