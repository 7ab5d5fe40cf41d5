"""At how many env runners the learner, the driver or the network is full: measured costs, and a model in README.md.

    python -m benchmarks.saturation [--sizes 32 128 512] [--gigabits 10] [--repeats 3] [--quick]

For the triage study's problems on grids of each size, with one env runner and the learner in the driver:

    bytes       of an episode, pickled as Ray ships it (protocol 5, arrays out of band)
    sampling    seconds that a runner takes for an episode
    gradient    seconds that the learner takes for an episode, all epochs
    driver      CPU seconds of the driver for an episode without learning: receiving, metrics, handing out chunks
    broadcast   bytes and seconds of the weights on their way to a runner
"""

from __future__ import annotations

import math
import pickle
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from statistics import median
from typing import Any

from ray.rllib.core import COMPONENT_LEARNER, COMPONENT_RL_MODULE

from benchmarks.algorithms import TimedLearner, build, iterate, local_ray
from benchmarks.record import arguments_parser, interleave, result_directory, spread, write_result
from rllib_psparsity.config.load import load_config
from rllib_psparsity.config.schema import Config

EPISODES_OF_NODES = 65_536
"""Nodes of the finest level of all episodes of an iteration: 64 episodes of 32x32, 4 of 128x128."""
LARGEST_MINIBATCH_NODES = 98_304
"""As the default study's 96 graphs of 32x32: bounds the memory that a gradient takes."""
FEWEST_EPISODES = 2
MODULE = [f"{COMPONENT_LEARNER}/{COMPONENT_RL_MODULE}"]


@dataclass(frozen=True)
class Costs:
    """Of one episode; `broadcast_bytes` of one runner and iteration."""

    episode_bytes: float
    sampling_seconds: float
    gradient_seconds: float
    driver_seconds: float
    broadcast_bytes: float


def saturation(costs: Costs, bits_per_second: float, episodes_per_iteration: int) -> dict[str, float]:
    """Numbers of runners beyond which more of them give no more episodes a second.

    W runners make W / t_s episodes a second.

        learner    W = t_s / t_g              a learner with a core of its own
        driver     W = t_s / (t_g + t_d)      a learner in the driver
        network    b W / t_s + w W^2 / (t_s M) = B    episodes in, and weights out once every M episodes
    """
    bandwidth = bits_per_second / 8
    b, w = costs.episode_bytes, costs.broadcast_bytes / episodes_per_iteration
    driver = costs.gradient_seconds + costs.driver_seconds
    # The positive root of w W^2 + b W = B t_s, without the cancellation of the textbook formula.
    supply = bandwidth * costs.sampling_seconds
    return {
        "learner": costs.sampling_seconds / costs.gradient_seconds,
        "driver": costs.sampling_seconds / driver,
        "network": 2 * supply / (b + math.sqrt(b * b + 4 * w * supply)),
        "episodes_per_second": 1 / driver,
    }


def weigh(episodes: Any) -> int:
    """Bytes of an object on the wire: the pickle, and the arrays beside it."""
    buffers: list[pickle.PickleBuffer] = []
    head = pickle.dumps(episodes, protocol=5, buffer_callback=buffers.append)
    return len(head) + sum(buffer.raw().nbytes for buffer in buffers)


def sample_and_weigh(runner: Any, first: int, count: int) -> dict[str, float]:
    """Inside a runner: seconds and bytes of an episode, sampled in one chunk and not sent."""
    start = time.perf_counter()
    episodes = runner.sample(indices=range(first, first + count), difficulty=1.0)
    seconds = time.perf_counter() - start
    return {"sampling_seconds": seconds / count, "episode_bytes": weigh(episodes) / count}


def study(size: int) -> Config:
    """The triage study on grids of `size`, in iterations that fit a small machine."""
    episodes = max(FEWEST_EPISODES, EPISODES_OF_NODES // size**2)
    ranges = "{epsilon: [0.001, 0.5], theta: [0.0, 6.283185307179586]}"
    overrides = (
        f"problems.families=[{{family: anisotropic_diffusion_fd, size: [{size}, {size}], parameters: {ranges}}}]",
        f"training.episodes_per_iteration={episodes}",
        f"training.minibatch_graphs={max(1, min(96, LARGEST_MINIBATCH_NODES // size**2))}",
        f"env_runners.episodes_per_chunk={min(8, episodes)}",
        "env_runners.count=1",
    )
    return load_config(variation="B", overrides=overrides)


def measure(algorithm: Any) -> dict[str, float]:
    """One repeat of all costs."""
    run: Config = algorithm.config.run_config
    first, chunk = algorithm.episodes_started, run.env_runners.episodes_per_chunk
    group = algorithm.env_runner_group
    (sampled,) = group.foreach_env_runner(partial(sample_and_weigh, first=first, count=chunk), local_env_runner=False)
    done = iterate(algorithm)
    wall, cpu = TimedLearner.updates[-1]
    start = time.perf_counter()
    group.sync_weights(from_worker_or_learner_group=algorithm.learner_group, inference_only=True, timeout_seconds=60.0)
    return {
        **sampled,
        "gradient_seconds": wall / done.episodes,
        "driver_seconds": max(done.driver_seconds - cpu, 0.0) / done.episodes,
        "broadcast_bytes": weigh(algorithm.learner_group.get_state(components=MODULE, inference_only=True)),
        "broadcast_seconds": time.perf_counter() - start,
    }


def summarise(rows: Sequence[dict[str, dict[str, float]]], bits_per_second: float, run: Config) -> dict[str, Any]:
    """Costs of every size and what follows from their medians, for iterations as the study has them."""
    figures: dict[str, Any] = {}
    for size in rows[0]:
        costs = {key: spread([row[size][key] for row in rows]) for key in rows[0][size]}
        medians = Costs(**{key: costs[key]["median"] for key in Costs.__dataclass_fields__})
        limits = saturation(medians, bits_per_second, run.training.episodes_per_iteration)
        figures[size] = {"costs": costs, "runners": limits}
    chunks = math.ceil(run.training.episodes_per_iteration / run.env_runners.episodes_per_chunk)
    return {"sizes": figures, "chunks_per_iteration": chunks}


def main() -> None:
    parser = arguments_parser(__doc__, repeats=3)
    parser.add_argument("--sizes", type=int, nargs="+", default=[32, 128, 512], help="grid points a side (32 128 512)")
    parser.add_argument("--gigabits", type=float, default=10.0, help="per second, of the driver's network (10)")
    options = parser.parse_args()
    if options.quick:
        options.sizes, options.repeats = [32, 64], 1

    with local_ray(cpus=len(options.sizes)):
        algorithms = {str(size): build(study(size), TimedLearner) for size in options.sizes}
        variants = {size: partial(measure, algorithm) for size, algorithm in algorithms.items()}
        interleave(variants, 1)  # compiles, connects, warms up
        rows = interleave(variants, options.repeats)
        for algorithm in algorithms.values():
            algorithm.stop()

    figures = {"gigabits": options.gigabits}
    figures |= summarise(rows, options.gigabits * 1e9, load_config(variation="B"))
    print("size   kB/episode  sampling s  gradient s    driver s | runners at which full: learner  driver  network")
    for size, values in figures["sizes"].items():
        cost = {key: value["median"] for key, value in values["costs"].items()}
        full = values["runners"]
        print(
            f"{size:>4} {cost['episode_bytes'] / 1e3:12.0f} {cost['sampling_seconds']:11.4f} "
            f"{cost['gradient_seconds']:11.4f} {cost['driver_seconds']:11.5f} | "
            f"{full['learner']:30.1f} {full['driver']:7.1f} {full['network']:8.0f}"
        )
    weights = median(row[size]["broadcast_bytes"] for row in rows for size in row)
    seconds = median(row[size]["broadcast_seconds"] for row in rows for size in row)
    print(f"weights: {weights / 1e3:.0f} kB, {1e3 * seconds:.1f} ms")
    print(f"the default iteration has work for {figures['chunks_per_iteration']} runners, one a chunk")
    print(write_result("saturation", sys.argv[1:], figures, rows, result_directory(options)))


if __name__ == "__main__":
    main()
