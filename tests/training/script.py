"""Scripts that need a Ray of their own kind, each in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import rllib_psparsity

ROOT = Path(rllib_psparsity.__file__).parents[1]


def answer_of(module: str, directory: Path) -> dict[str, Any]:
    """What ``python -m tests.training.MODULE DIRECTORY`` prints last, as JSON."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "RAY_AUTH_MODE": "disabled"}
    environment.pop("RAY_ADDRESS", None)
    done = subprocess.run(
        [sys.executable, "-m", f"tests.training.{module}", str(directory)],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout.splitlines()[-1])
