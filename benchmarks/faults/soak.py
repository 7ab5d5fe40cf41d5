"""A long training, watched from outside: does memory grow, and are processes, file handles or files left behind?

    python -m benchmarks.faults.soak [--iterations 2000] [--quick]

`psparsity train` in a process of its own, with two env runners and tiny problems, whose checkpoints come every ten
iterations. While it runs its processes are looked at by /proc: memory of their own (without what they share), open
files, threads, and how many of them there are; growth is a straight line through the second half of the iterations.
Afterwards: what is left in its directory for temporary files, in its home directory's ray_results, in the run
directory, and of its processes. The exit code is 1 if anything is left, or grows beyond `LIMITS`.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from benchmarks.processes import descendants
from benchmarks.record import ROOT, THREADS, arguments_parser, result_directory, write_result

SETTINGS = (
    "problems.families=[{family: anisotropic_diffusion_fd, size: [10, 14]}]",
    "problems.heldout_problems=2",
    "environment.max_coarse=20",
    "policy.width=8",
    "policy.layers=1",
    "training.episodes_per_iteration=6",
    "training.rollouts_per_problem=1",
    "env_runners.count=2",
    "env_runners.episodes_per_chunk=3",
    "checkpoint.every=10",
    "checkpoint.keep=3",
)
LIMITS = {"driver_mb": 20.0, "runner_mb": 20.0}
"""Most MB of growth in 1,000 iterations."""
MOST_DIFFERENCE = {"driver_files": 20, "driver_threads": 10, "runner_files": 10, "runners": 0, "processes": 2}
"""Between the most and the fewest in the second half."""
CACHE = "torchinductor"
"""What PyTorch keeps among the temporary files, on purpose."""
RUNNER = "ray::SparsifyEnvRunner"
Look = dict[str, float]


def soak(iterations: int, every: float, patience: float) -> tuple[dict[str, Any], list[Look]]:
    """Train for so many iterations and look every so many seconds; the figures, and all looks.

    `RuntimeError` if the training fails or takes longer than `patience` seconds.
    """
    with tempfile.TemporaryDirectory(prefix="soak") as directory:
        run_dir, temporary, log = Path(directory, "run"), Path(directory, "tmp"), Path(directory, "log")
        home = Path(directory, "home")
        temporary.mkdir()
        home.mkdir()
        settings = [f"--set={setting}" for setting in (*SETTINGS, f"training.iterations={iterations}")]
        environment = {
            **os.environ,
            **dict.fromkeys(THREADS, "1"),
            "PYTHONPATH": str(ROOT),
            "TMPDIR": str(temporary),
            "HOME": str(home),
            "RAY_TMPDIR": os.environ.get("RAY_TMPDIR", tempfile.gettempdir()),  # its sockets need a short path
        }
        command = [sys.executable, "-m", "rllib_psparsity", "train", "--run-dir", str(run_dir), *settings]
        with log.open("w") as output:
            process = subprocess.Popen(
                command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
            )
        looks: list[Look] = []
        started: set[int] = set()
        start = time.monotonic()
        try:
            while process.poll() is None:
                if time.monotonic() - start > patience:
                    raise RuntimeError(f"the training takes longer than {patience:.0f} s\n{log.read_text()}")
                offspring = descendants(process.pid)
                started |= offspring
                look = _look(process.pid, offspring, run_dir)
                if 0 < look["iteration"] < iterations:
                    looks.append(look)
                time.sleep(every)
        finally:
            if process.poll() is None:
                for pid in (process.pid, *descendants(process.pid)):
                    with suppress(ProcessLookupError):
                        os.kill(pid, 9)
            process.wait()
        if process.returncode:
            raise RuntimeError(f"the training ended with exit code {process.returncode}\n{log.read_text()}")
        figures = summarise(looks) | {
            "iterations": _iteration(run_dir),
            "seconds": time.monotonic() - start,
            "processes_left": _alive_after(started, seconds=30.0),
            "temporary_files_left": sorted(p.name for p in temporary.iterdir() if not p.name.startswith(CACHE)),
            "ray_results_left": sorted(path.name for path in home.glob("ray_results/*")),
            "unfinished_files_left": [path.name for path in run_dir.rglob("*") if path.suffix in (".part", ".partial")],
            "checkpoints": len(list((run_dir / "checkpoints").iterdir())),
            "event_files": len(list((run_dir / "tensorboard").iterdir())),
        }
        return figures, looks


def summarise(looks: Sequence[Look]) -> dict[str, Any]:
    """Growth over the second half of the iterations, and the range of what is only counted."""
    middle = (looks[0]["iteration"] + looks[-1]["iteration"]) / 2
    half = [look for look in looks if look["iteration"] >= middle]
    iteration = np.array([look["iteration"] for look in half])
    figures: dict[str, Any] = {"looks": len(looks)}
    for name in ("driver_mb", "runner_mb"):
        values = np.array([look[name] for look in half])
        slope = np.polyfit(iteration, values, 1)[0] if np.ptp(iteration) else 0.0
        figures[name] = {
            "first": float(values[0]),
            "last": float(values[-1]),
            "growth_in_1000_iterations": 1000.0 * float(slope),
        }
    for name in ("driver_files", "driver_threads", "runner_files", "runners", "processes"):
        values = [look[name] for look in half]
        figures[name] = {"min": min(values), "max": max(values)}
    return figures


def faults(figures: dict[str, Any]) -> list[str]:
    """What is left or grows, in words."""
    left = {name: value for name, value in figures.items() if name.endswith("_left") and value}
    grown = {
        name: figures[name]["growth_in_1000_iterations"]
        for name, most in LIMITS.items()
        if figures[name]["growth_in_1000_iterations"] > most
    }
    spread = {
        name: figures[name]
        for name, most in MOST_DIFFERENCE.items()
        if figures[name]["max"] - figures[name]["min"] > most
    }
    return [f"{name}: {value}" for name, value in (left | grown | spread).items()]


def _look(driver: int, offspring: set[int], run_dir: Path) -> Look:
    runners = [pid for pid in offspring if _command(pid).startswith(RUNNER)]
    return {
        "iteration": _iteration(run_dir),
        "driver_mb": _own_megabytes(driver),
        "driver_files": _open_files(driver),
        "driver_threads": _count(Path(f"/proc/{driver}/task")),
        "runners": len(runners),
        "runner_mb": max((_own_megabytes(pid) for pid in runners), default=0.0),
        "runner_files": max((_open_files(pid) for pid in runners), default=0),
        "processes": len(offspring),
    }


def _iteration(run_dir: Path) -> int:
    file = run_dir / "metrics.parquet"
    return pq.ParquetFile(file).metadata.num_rows if file.exists() else 0


def _own_megabytes(pid: int) -> float:
    """Resident memory that is not of files or shared."""
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("RssAnon:"):
                return int(line.split()[1]) / 1024
    return 0.0


def _open_files(pid: int) -> int:
    return _count(Path(f"/proc/{pid}/fd"))


def _count(directory: Path) -> int:
    with suppress(OSError):
        return len(list(directory.iterdir()))
    return 0


def _command(pid: int) -> str:
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    return ""


def _alive_after(pids: set[int], seconds: float) -> int:
    """How many of these processes are left, when they had so long to end."""
    deadline = time.monotonic() + seconds
    while alive := sum(bool(_command(pid)) for pid in pids):
        if time.monotonic() > deadline:
            break
        time.sleep(0.2)
    return alive


def main() -> None:
    parser = arguments_parser(__doc__)
    parser.add_argument("--iterations", type=int, default=2000, help="of six tiny episodes each (2000)")
    options = parser.parse_args()
    if options.quick:
        options.iterations = 100
    figures, looks = soak(options.iterations, every=0.5, patience=60.0 + 30.0 * options.iterations)
    for name, value in figures.items():
        print(f"{name}: {value}")
    print(write_result("faults.soak", sys.argv[1:], figures, looks, result_directory(options)))
    if wrong := faults(figures):
        print("\n".join(["left behind or growing:", *wrong]), file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
