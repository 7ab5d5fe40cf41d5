"""Work in a process of its own, for what must not depend on what the process has done before."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from benchmarks.record import ROOT, THREADS

_PROGRAM = """
import importlib, json, sys
module, _, name = sys.argv[1].partition(":")
print(json.dumps(getattr(importlib.import_module(module), name)(json.load(sys.stdin))))
"""


def in_fresh_process(function: str, task: dict[str, Any]) -> Any:
    """Call ``"module:name"`` in a new process with one thread; task and result are JSON. `RuntimeError` if it fails."""
    environment = {**os.environ, **dict.fromkeys(THREADS, "1")}
    command = [sys.executable, "-c", _PROGRAM, function]
    done = subprocess.run(command, input=json.dumps(task), cwd=ROOT, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{function} failed for {task}\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def descendants(pid: int) -> set[int]:
    """Processes that `pid` has started, and those that they have (Linux)."""
    children: dict[int, set[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
            children.setdefault(parent, set()).add(int(stat.parent.name))
    found: set[int] = set()
    new = {pid}
    while new:
        new = set().union(*(children.get(p, set()) for p in new)) - found
        found |= new
    return found


def cpu_seconds(pids: set[int]) -> float:
    """CPU seconds of these processes so far, those that have ended left out (Linux)."""
    ticks = 0
    for pid in pids:
        with suppress(OSError):
            user, system = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
            ticks += int(user) + int(system)
    return ticks / os.sysconf("SC_CLK_TCK")


def resident_peak() -> int:
    """Largest resident set of this process so far, in bytes (Linux).

    Not `ru_maxrss`: a new process starts with that of its parent, which may be larger than it ever gets itself.
    """
    status = Path("/proc/self/status").read_text()
    return 1024 * int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:")))
