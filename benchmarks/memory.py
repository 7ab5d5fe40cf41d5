"""Resident memory of an env runner on 128x128 problems, and whether it grows.

    python -m benchmarks.memory [--episodes 2000] [--every 40] [--set KEY=VALUE ...] [--quick]

The runner is the actor that `psparsity train --variation A` starts, alone with a learner that does nothing. After every
few episodes the actor itself reads its pages from /proc/self/status: all that is resident, of it its own (anonymous)
and what it shares with the object store, and the most that ever was, in the middle of an episode too. The first reading
is from before the first episode, with the seconds since the algorithm was asked for. Growth is the slope of a straight
line through the resident memory over the second half of the episodes. Targets: at most 600 MB, no growth over 2,000
episodes.

Where numba has compiled nothing yet, it does so in the first episodes and adds to the most that ever was: run it once
with --quick before.

One process is one repeat: `--repeats` starts new ones.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.algorithms import IdleLearner, build, iterate, local_ray
from benchmarks.record import arguments_parser, result_directory, spread, write_result
from rllib_psparsity.config.load import load_config
from rllib_psparsity.config.schema import Config

TARGET_MB = 600.0
PARTS = {"own_mb": "RssAnon", "shared_mb": "RssShmem", "files_mb": "RssFile"}
FIELDS = {"resident_mb": "VmRSS", **PARTS, "most_mb": "VmHWM"}


def resident_memory(runner: Any = None) -> dict[str, float]:
    """Megabytes (1e6 bytes) of the calling process, by kind of page.

    A function of the main program goes to the runner by value; one of a module would be imported there, with all that
    the benchmarks import.
    """
    lines = Path("/proc/self/status").read_text().splitlines()
    values = {key: value for key, _, value in (line.partition(":") for line in lines)}
    return {name: int(values[field].split()[0]) * 1024 / 1e6 for name, field in FIELDS.items()}


def growth(episodes: Sequence[float] | np.ndarray, megabytes: Sequence[float] | np.ndarray) -> dict[str, float]:
    """Slope over the second half of the samples, in MB per 1,000 episodes, with its standard error."""
    half = len(episodes) // 2
    x, y = np.asarray(episodes[half:], float) / 1000, np.asarray(megabytes[half:], float)
    (slope, intercept), deviations = np.polyfit(x, y, 1), x - x.mean()
    residual = y - (slope * x + intercept)
    error = np.sqrt((residual @ residual) / max(len(x) - 2, 1) / (deviations @ deviations))
    return {"mb_per_1000_episodes": float(slope), "standard_error": float(error)}


def run(config: Config, episodes: int) -> dict[str, Any]:
    """A runner's memory before the first episode, and after every iteration."""
    samples: list[dict[str, float]] = []
    with local_ray(cpus=2):
        start = time.perf_counter()
        algorithm = build(config, IdleLearner)

        def memory() -> dict[str, float]:
            return algorithm.env_runner_group.foreach_env_runner(resident_memory, local_env_runner=False)[0]

        first = memory() | {"seconds": time.perf_counter() - start}
        done = 0
        while done < episodes:
            done += iterate(algorithm).episodes
            samples.append({"episodes": done, **memory()})
        algorithm.stop()
    return {"start": first, "samples": samples}


def main() -> None:
    parser = arguments_parser(__doc__, repeats=1)
    parser.add_argument("--episodes", type=int, default=2000)
    parser.add_argument("--every", type=int, default=40, help="episodes between two readings (40)")
    parser.add_argument("--set", dest="overrides", nargs="*", default=[], help="key=value of the configuration")
    options = parser.parse_args()
    if options.quick:
        options.episodes, options.every = 96, 8
    common = (f"training.episodes_per_iteration={options.every}", "env_runners.count=1")
    config = load_config(variation="A", overrides=(*common, *options.overrides))

    rows = [run(config, options.episodes) for _ in range(options.repeats)]
    figures: dict[str, Any] = {
        "episodes": options.episodes,
        "target_mb": TARGET_MB,
        "peak_mb": spread([max(sample["resident_mb"] for sample in row["samples"]) for row in rows]),
        "most_mb": spread([row["samples"][-1]["most_mb"] for row in rows]),
        "start": rows[-1]["start"],
        "end": rows[-1]["samples"][-1],
        "growth": [
            growth(*([sample[key] for sample in row["samples"]] for key in ("episodes", "resident_mb"))) for row in rows
        ],
    }
    print(f"at the start {_line(figures['start'])}, after {figures['start']['seconds']:.1f} s")
    print(f"at the end {_line(figures['end'])}")
    print(f"largest reading {figures['peak_mb']['median']:.0f} MB, ever {figures['most_mb']['median']:.0f} MB")
    for slope in figures["growth"]:
        print(
            f"second half: {slope['mb_per_1000_episodes']:+.1f} MB per 1,000 episodes "
            f"(standard error {slope['standard_error']:.1f})"
        )
    print(write_result("memory", sys.argv[1:], figures, rows, result_directory(options)))


def _line(sample: dict[str, float]) -> str:
    return ", ".join(f"{name.removesuffix('_mb')} {sample[name]:.0f} MB" for name in ("resident_mb", *PARTS))


if __name__ == "__main__":
    main()
