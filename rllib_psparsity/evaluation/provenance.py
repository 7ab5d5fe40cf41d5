"""Where a file of results comes from."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def command_line() -> str:
    """The command that runs, without the directory of its program; `python -m rllib_psparsity` is `psparsity` too."""
    program = Path(sys.argv[0]).name
    return " ".join(["psparsity" if program == "__main__.py" else program, *sys.argv[1:]])


def commit() -> str:
    """The commit of the checkout that the package runs from, or "unknown" for an installed one."""
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
