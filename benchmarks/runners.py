"""How much faster two env runners are than one, with the real environment.

    python -m benchmarks.runners [--runners 1 2] [--iterations 3] [--repeats 7] [--set KEY=VALUE ...] [--quick]

Variation B's problems (32x32), a number of iterations of `training.episodes_per_iteration` episodes each, interleaved:

    alone        the runners sample as many episodes and ship nothing: what this machine gives for more processes
    sampling     `Algorithm.train()` with a learner that does nothing: episodes, shipping, metrics, weights
    end to end   with the real learner, as in `psparsity train`

Every algorithm runs one iteration before the clock starts. Target: 1.8 x from 1 to 2 runners. Beside the rates stand
the CPU milliseconds that all processes together take for an episode: with two runners there are more of them where the
cores wait for each other's caches and memory, and what is more of them than alone is RLlib's, Ray's and the learner's.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from typing import Any

from benchmarks.algorithms import IdleLearner, build, iterate, local_ray
from benchmarks.processes import cpu_seconds, descendants
from benchmarks.record import arguments_parser, interleave, result_directory, spread, write_result
from rllib_psparsity.config.load import load_config
from rllib_psparsity.training.learner import SparsifyLearner

TARGET = 1.8
ALONE, SAMPLING, END_TO_END = "alone", "sampling", "end to end"
VARIANTS = (ALONE, SAMPLING, END_TO_END)
LEARNERS: dict[str, type[SparsifyLearner]] = {SAMPLING: IdleLearner, END_TO_END: SparsifyLearner}


def label(what: str, runners: int) -> str:
    """Of a variant, in the result file."""
    return f"{what}, {runners} runner{'s' if runners > 1 else ''}"


def measure(work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What `work` says of its seconds and episodes, the rate, and the CPU time of all processes an episode."""
    processes = {os.getpid()} | descendants(os.getpid())
    before = cpu_seconds(processes)
    done = work()
    return {
        **done,
        "episodes_per_second": done["episodes"] / done["seconds"],
        "cpu_milliseconds_per_episode": 1e3 * (cpu_seconds(processes) - before) / done["episodes"],
    }


def train(algorithm: Any, iterations: int) -> dict[str, Any]:
    """Some iterations."""
    return asdict(iterate(algorithm, iterations))


def sample_only(algorithm: Any, iterations: int) -> dict[str, Any]:
    """As many episodes, an equal share by every runner, which keeps them to itself."""
    run, group = algorithm.config.run_config, algorithm.env_runner_group
    episodes = iterations * run.training.episodes_per_iteration // group.num_remote_workers()
    start = time.perf_counter()
    counts = group.foreach_env_runner(
        partial(sample_alone, episodes=episodes, chunk=run.env_runners.episodes_per_chunk), local_env_runner=False
    )
    return {"seconds": time.perf_counter() - start, "episodes": sum(counts)}


def sample_alone(runner: Any, episodes: int, chunk: int) -> int:
    """Inside a runner: episodes of its own range of numbers, in chunks."""
    first = runner.worker_index * 1_000_000
    for start in range(first, first + episodes, chunk):
        runner.sample(indices=range(start, min(start + chunk, first + episodes)))
    return episodes


def summarise(rows: Sequence[dict[str, dict[str, Any]]], counts: Sequence[int]) -> dict[str, Any]:
    """Episodes per second of every variant, and what the last number of runners gains over the first, by repeat."""
    figures: dict[str, Any] = {"target_ratio": TARGET}
    for what in VARIANTS:
        few, many = label(what, counts[0]), label(what, counts[-1])
        for name in (label(what, count) for count in counts):
            figures[name] = spread([row[name]["episodes_per_second"] for row in rows])
            figures[f"{name}, CPU ms an episode"] = spread([row[name]["cpu_milliseconds_per_episode"] for row in rows])
        ratios = [row[many]["episodes_per_second"] / row[few]["episodes_per_second"] for row in rows]
        figures[f"{what}, ratio"] = spread(ratios)
    return figures


def main() -> None:
    parser = arguments_parser(__doc__, repeats=7)
    parser.add_argument("--runners", type=int, nargs="+", default=[1, 2], help="numbers to compare (1 2)")
    parser.add_argument("--set", dest="overrides", nargs="*", default=[], help="key=value of the configuration")
    parser.add_argument("--iterations", type=int, default=3, help="of a variant in a repeat (3)")
    options = parser.parse_args()
    if options.quick:
        options.repeats, options.overrides = 1, [*options.overrides, "training.episodes_per_iteration=16"]

    with local_ray(cpus=len(LEARNERS) * sum(options.runners)):
        algorithms = {}
        for what, learner in LEARNERS.items():
            for count in options.runners:
                overrides = (*options.overrides, f"env_runners.count={count}")
                algorithms[label(what, count)] = build(load_config(variation="B", overrides=overrides), learner)
        variants = {
            name: partial(measure, partial(train, algorithm, options.iterations))
            for name, algorithm in algorithms.items()
        }
        for count in options.runners:
            sampler = algorithms[label(SAMPLING, count)]
            variants[label(ALONE, count)] = partial(measure, partial(sample_only, sampler, options.iterations))
        interleave(variants, 1)  # compiles, connects, warms up
        rows = interleave(variants, options.repeats)
        for algorithm in algorithms.values():
            algorithm.stop()

    figures = summarise(rows, options.runners)
    for name, values in figures.items():
        if isinstance(values, dict):
            print(f"{name:<44} {values['median']:8.2f}  ({values['min']:.2f} to {values['max']:.2f})")
    print(write_result("runners", sys.argv[1:], figures, rows, result_directory(options)))


if __name__ == "__main__":
    main()
