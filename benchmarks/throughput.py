"""Episodes a second of `psparsity train` itself, and of a loop in the manner of the predecessor.

    python -m benchmarks.throughput [--iterations 20] [--updates 100] [--repeats 3] [--set KEY=VALUE ...] [--quick]

Interleaved, each in a process of its own, on the problems of variation B (32x32):

    psparsity     `psparsity train --variation B` with two env runners
    predecessor   `python -m benchmarks.predecessor`: one process, one problem an update

The rate of psparsity is that from the end of the first iteration to the end of the last one: sampling, learning,
metrics, checkpoints, all that happens in between. The first iteration, which starts the actors and compiles, is
reported apart, as are the rate with the start-up and that of the whole command with its comparison on held-out
problems. The predecessor's first update is left out in the same way. The multiple is the ratio of the two rates.
Target: 100 episodes a second on two cores.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from benchmarks.record import ROOT, arguments_parser, interleave, result_directory, spread, write_result

TARGET = 100.0
PUBLISHED = 1.85
"""Episodes a second that the predecessor itself reached at 32x32, on another machine."""
POLL_SECONDS = 0.05


@dataclass(frozen=True)
class Times:
    """Wall-clock times, in seconds since the process was started."""

    first_row: float
    last_row: float
    end: float


def run_training(arguments: Sequence[str], run_dir: Path) -> tuple[list[dict[str, Any]], Times]:
    """Run `psparsity train` with these arguments; the rows of its metrics, and when the file got its first and last.

    The metrics file is replaced as a whole after every iteration, so its time of change is that of the newest row.
    """
    command = [sys.executable, "-m", "rllib_psparsity", "train", *arguments, "--run-dir", str(run_dir)]
    metrics = run_dir / "metrics.parquet"
    began, start = time.time(), time.perf_counter()
    first = 0.0
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(command, cwd=ROOT, stdout=output, stderr=subprocess.STDOUT)
        try:
            while process.poll() is None:
                time.sleep(POLL_SECONDS)
                if not first and metrics.exists():
                    first = metrics.stat().st_mtime
        finally:
            process.terminate()  # does nothing to one that has ended
            process.wait()
        end = time.perf_counter() - start
        if process.returncode != 0:
            output.seek(0)
            raise RuntimeError(f"{' '.join(command)} failed:\n{output.read().decode(errors='replace')[-4000:]}")
    with metrics.open("rb") as file:
        rows = pq.read_table(file).to_pylist()
    return rows, Times(first - began, metrics.stat().st_mtime - began, end)


def rates(rows: Sequence[dict[str, Any]], times: Times) -> dict[str, float]:
    """What one run did: see the module's docstring."""
    first, last = rows[0], rows[-1]
    return {
        "episodes_per_second": (last["episodes"] - first["episodes"]) / (times.last_row - times.first_row),
        "episodes_per_second_iterations_only": (last["episodes"] - first["episodes"])
        / (last["seconds"] - first["seconds"]),
        "start_seconds": times.first_row - first["seconds"],
        "first_iteration_seconds": first["seconds"],
        "episodes_per_second_with_start": last["episodes"] / times.last_row,
        "comparison_seconds": times.end - times.last_row,
        "episodes_per_second_whole_command": last["episodes"] / times.end,
    }


def psparsity(arguments: Sequence[str]) -> dict[str, Any]:
    """One training; its rates and its metrics by iteration."""
    with tempfile.TemporaryDirectory() as directory:
        rows, times = run_training(arguments, Path(directory) / "run")
    return {
        **rates(rows, times),
        "by_iteration": [row["episodes_per_second"] for row in rows],
        "failed_setups": sum(row["failed_setups"] for row in rows),
    }


def predecessor(updates: int) -> dict[str, Any]:
    """One run of the predecessor's loop, without its first update."""
    command = [sys.executable, "-m", "benchmarks.predecessor", "--updates", str(updates)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stderr[-4000:]}")
    first, *seconds = json.loads(done.stdout)["seconds"]
    return {"episodes_per_second": len(seconds) / sum(seconds), "first_update_seconds": first, "seconds": seconds}


def summarise(rows: Sequence[dict[str, dict[str, Any]]]) -> dict[str, Any]:
    """Medians and ranges over the repeats; the multiple is taken within each repeat."""
    mine, theirs = [row["psparsity"] for row in rows], [row["predecessor"] for row in rows]
    numbers = [key for key, value in mine[0].items() if not isinstance(value, list)]
    multiples = [a["episodes_per_second"] / b["episodes_per_second"] for a, b in zip(mine, theirs, strict=True)]
    return {
        "target_episodes_per_second": TARGET,
        "psparsity": {key: spread([run[key] for run in mine]) for key in numbers},
        "predecessor": {"episodes_per_second": spread([run["episodes_per_second"] for run in theirs])},
        "multiple": spread(multiples),
        "multiple_of_published": statistics.median(run["episodes_per_second"] for run in mine) / PUBLISHED,
    }


def main() -> None:
    parser = arguments_parser(__doc__, repeats=3)
    parser.add_argument("--iterations", type=int, default=20, help="of psparsity train, 128 episodes each (20)")
    parser.add_argument("--updates", type=int, default=100, help="of the predecessor's loop (100)")
    parser.add_argument("--set", dest="overrides", nargs="*", default=[], help="key=value of the configuration")
    options = parser.parse_args()
    overrides = ["env_runners.count=2", f"training.iterations={options.iterations}", *options.overrides]
    if options.quick:
        options.repeats, options.updates = 1, 20
        overrides += ["training.iterations=3", "training.episodes_per_iteration=32", "problems.heldout_problems=1"]
    arguments = ["--variation", "B", *(word for override in overrides for word in ("--set", override))]

    variants = {"psparsity": partial(psparsity, arguments), "predecessor": partial(predecessor, options.updates)}
    rows = interleave(variants, options.repeats)

    figures = summarise(rows)
    for name, values in figures["psparsity"].items():
        print(f"psparsity: {name:<40} {values['median']:8.2f}  ({values['min']:.2f} to {values['max']:.2f})")
    print(f"predecessor's loop: episodes per second {figures['predecessor']['episodes_per_second']['median']:16.2f}")
    print(f"multiple {figures['multiple']['median']:.1f}; of its published rate {figures['multiple_of_published']:.1f}")
    print(write_result("throughput", sys.argv[1:], figures, rows, result_directory(options)))


if __name__ == "__main__":
    main()
