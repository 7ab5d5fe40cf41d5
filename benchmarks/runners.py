"""How much faster two env runners are than one, with the real environment.

    python -m benchmarks.runners [--runners 1 2] [--repeats 7] [--set KEY=VALUE ...] [--quick]

Iterations of variation B's problems (32x32), each an `Algorithm.train()` of `training.episodes_per_iteration` episodes,
interleaved:

    sampling     with a learner that does nothing: episodes, shipping, metrics, weights
    end to end   with the real learner, as in `psparsity train`

Every algorithm runs one iteration before the clock starts. Target: 1.8 x from 1 to 2 runners.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from typing import Any

from benchmarks.algorithms import IdleLearner, build, iterate, local_ray
from benchmarks.record import arguments_parser, interleave, result_directory, spread, write_result
from rllib_psparsity.config.load import load_config
from rllib_psparsity.training.learner import SparsifyLearner

TARGET = 1.8
SAMPLING, END_TO_END = "sampling", "end to end"
LEARNERS: dict[str, type[SparsifyLearner]] = {SAMPLING: IdleLearner, END_TO_END: SparsifyLearner}


def label(what: str, runners: int) -> str:
    """Of a variant, in the result file."""
    return f"{what}, {runners} runner{'s' if runners > 1 else ''}"


def measure(algorithm: Any) -> dict[str, Any]:
    """One iteration and its rate."""
    done = iterate(algorithm)
    return {**asdict(done), "episodes_per_second": done.episodes / done.seconds}


def summarise(rows: Sequence[dict[str, dict[str, Any]]], counts: Sequence[int]) -> dict[str, Any]:
    """Episodes per second of every variant, and what the last number of runners gains over the first, by repeat."""
    figures: dict[str, Any] = {"target_ratio": TARGET}
    for what in LEARNERS:
        few, many = label(what, counts[0]), label(what, counts[-1])
        for name in (label(what, count) for count in counts):
            figures[name] = spread([row[name]["episodes_per_second"] for row in rows])
        ratios = [row[many]["episodes_per_second"] / row[few]["episodes_per_second"] for row in rows]
        figures[f"{what}, ratio"] = spread(ratios)
    return figures


def main() -> None:
    parser = arguments_parser(__doc__, repeats=7)
    parser.add_argument("--runners", type=int, nargs="+", default=[1, 2], help="numbers to compare (1 2)")
    parser.add_argument("--set", dest="overrides", nargs="*", default=[], help="key=value of the configuration")
    options = parser.parse_args()
    if options.quick:
        options.repeats, options.overrides = 1, [*options.overrides, "training.episodes_per_iteration=16"]

    with local_ray(cpus=len(LEARNERS) * sum(options.runners)):
        algorithms = {}
        for what, learner in LEARNERS.items():
            for count in options.runners:
                overrides = (*options.overrides, f"env_runners.count={count}")
                algorithms[label(what, count)] = build(load_config(variation="B", overrides=overrides), learner)
        variants = {name: partial(measure, algorithm) for name, algorithm in algorithms.items()}
        interleave(variants, 1)  # compiles, connects, warms up
        rows = interleave(variants, options.repeats)
        for algorithm in algorithms.values():
            algorithm.stop()

    figures = summarise(rows, options.runners)
    for name, values in figures.items():
        if isinstance(values, dict):
            print(f"{name:<28} {values['median']:8.2f}  ({values['min']:.2f} to {values['max']:.2f})")
    print(write_result("runners", sys.argv[1:], figures, rows, result_directory(options)))


if __name__ == "__main__":
    main()
