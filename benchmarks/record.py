"""What every benchmark leaves behind: the figures, and the command, commit and machine that they come from."""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, TypeVar

from rllib_psparsity.reporting.atomic import write_atomically

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
QUICK_RESULTS = RESULTS / "quick"
"""Not committed: a quick run checks that a benchmark works, its figures mean little."""
PACKAGES = ("numpy", "scipy", "numba", "pyamg", "torch", "torch-geometric", "ray")
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")
ENVIRONMENT = (*THREADS, "NUMPY_MADVISE_HUGEPAGE")
"""Variables that change what is measured. A result's command starts with those that are set."""

T = TypeVar("T")


def arguments_parser(description: str | None, repeats: int | None = None) -> argparse.ArgumentParser:
    """A parser with the options that all benchmarks share: --quick, --out and, if anything is repeated, --repeats."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    if repeats is not None:
        parser.add_argument("--repeats", type=int, default=repeats, help=f"of every variant, interleaved ({repeats})")
    parser.add_argument("--quick", action="store_true", help="small sizes, one repeat; results go to results/quick")
    parser.add_argument("--out", type=Path, default=None, help="directory of the result file")
    return parser


def interleave(variants: Mapping[str, Callable[[], T]], repeats: int) -> list[dict[str, T]]:
    """Run every variant once per repeat; a row per repeat.

    Each repeat starts with another variant, so that a machine that grows slower, or a neighbour on it, favours none.
    """
    names, rows = list(variants), []
    for repeat in range(repeats):
        start = repeat % len(names)
        done = {name: variants[name]() for name in names[start:] + names[:start]}
        rows.append({name: done[name] for name in names})
    return rows


def spread(values: Sequence[float]) -> dict[str, float]:
    """Median, smallest and largest."""
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def machine() -> dict[str, Any]:
    """Processor, memory and versions; nothing that names the machine."""
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "cpu": _line("/proc/cpuinfo", "model name") or platform.processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1),
        "load_average": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        "packages": {name: found for name in PACKAGES if (found := _version(name))},
        "environment": {name: os.environ[name] for name in ENVIRONMENT if name in os.environ},
    }


def commit() -> dict[str, Any]:
    """The commit of the code, and whether anything but earlier results differs from it."""
    return {
        "commit": _git("rev-parse", "HEAD"),
        "dirty": bool(
            _git("status", "--porcelain", "--", ".", ":(exclude)benchmarks/results", ":(exclude)studies/results")
        ),
    }


def write_result(
    name: str,
    arguments: Sequence[str],
    figures: Mapping[str, Any],
    repeats: Sequence[Mapping[str, Any]],
    directory: Path = RESULTS,
) -> Path:
    """Write ``NAME.json``: provenance, summary and all raw repeats.

    Parameters
    ----------
    name : of the benchmark, as in ``python -m benchmarks.NAME``
    arguments : as given on the command line
    figures : the summary, which is what a reader wants
    repeats : one entry per repeat, with everything the summary was made of
    """
    environment = [f"{variable}={os.environ[variable]}" for variable in ENVIRONMENT if variable in os.environ]
    content = {
        "command": " ".join([*environment, "python", "-m", f"benchmarks.{name}", *arguments]),
        **commit(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        "figures": figures,
        "repeats": list(repeats),
    }
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f"{name}.json"
    text = json.dumps(content, indent=2) + "\n"
    write_atomically(path, lambda file: file.write_text(text))
    return path


def result_directory(options: argparse.Namespace) -> Path:
    """Where the options of `arguments_parser` send the result."""
    return options.out or (QUICK_RESULTS if options.quick else RESULTS)


def _git(*arguments: str) -> str:
    try:
        return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True).stdout.strip()
    except FileNotFoundError:
        return ""


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _line(file: str, key: str) -> str | None:
    """The value of the first ``key : value`` line of a file."""
    try:
        lines = Path(file).read_text().splitlines()
    except OSError:
        return None
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(key)), None)
