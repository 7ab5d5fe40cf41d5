"""Scaling beyond this machine: simulated nodes, and environments that only wait.

    python -m benchmarks.cluster [--runners 1 2 4 8 16] [--milliseconds 50] [--repeats 3] [--quick]

A Ray of several nodes (`ray.cluster_utils.Cluster`), each an own scheduler and object store, on which algorithms with
1 to 16 env runners sample recorded episodes of variation B (32x32) whose steps sleep, so that cores do not count. What
does cost CPU is real: inference, connectors, shipping from node to node, metrics, weights. All of it shares this
machine's cores, where a cluster would have one a runner: `cores_busy`, of all processes, says when they and not the
design are the limit, `driver_busy` the share of the time for which the driver computes.

Ideal is a step in every so many milliseconds by every runner, as if all the rest cost nothing.
"""

from __future__ import annotations

import logging
import math
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import ray
from ray.cluster_utils import Cluster

from benchmarks.algorithms import IdleLearner, build, iterate, prepared_process
from benchmarks.record import arguments_parser, interleave, result_directory, spread, write_result
from benchmarks.simulated import SLEEP, SimulatedEnvRunner
from rllib_psparsity.config.load import load_config

RUNNERS_PER_NODE = 4
OBJECT_STORE_BYTES = 150_000_000
"""Of every node."""
CHUNKS_PER_RUNNER = 2
CHUNK = 8


@contextmanager
def joined_cluster(cluster: Cluster, nodes: Sequence[dict[str, Any]]) -> Iterator[list[Any]]:
    """This process on a head node without CPUs of its own, beside nodes with these options; yields the nodes."""
    with prepared_process():
        try:
            cluster.add_node(num_cpus=0, object_store_memory=OBJECT_STORE_BYTES, include_dashboard=False)
            added = [cluster.add_node(**options) for options in nodes]
            ray.init(address=cluster.address, logging_level=logging.ERROR, log_to_driver=False)
            yield added
        finally:
            ray.shutdown()
            cluster.shutdown()


@contextmanager
def simulated_cluster(runners: int) -> Iterator[None]:
    """A head node for the driver, and nodes of `RUNNERS_PER_NODE` CPUs for that many runners."""
    node = {"num_cpus": RUNNERS_PER_NODE, "object_store_memory": OBJECT_STORE_BYTES, "include_dashboard": False}
    with joined_cluster(Cluster(), [node] * math.ceil(runners / RUNNERS_PER_NODE)):
        yield


def measure(algorithm: Any) -> dict[str, float]:
    """One iteration: rates, and how busy driver and machine are."""
    busy, start = _machine_cpu_seconds(), time.perf_counter()
    done = iterate(algorithm)
    wall = time.perf_counter() - start
    return {
        "steps": done.steps,
        "seconds": done.seconds,
        "steps_per_second": done.steps / done.seconds,
        "driver_busy": done.driver_seconds / done.seconds,
        "cores_busy": (_machine_cpu_seconds() - busy) / wall,
    }


def _machine_cpu_seconds() -> float:
    """CPU time of the whole machine, all processes, without idling and waiting."""
    user, nice, system, _idle, _wait, *rest = map(int, Path("/proc/stat").read_text().splitlines()[0].split()[1:])
    ticks = user + nice + system + sum(rest[:2])
    return ticks / 100.0


def summarise(rows: Sequence[dict[str, dict[str, float]]], counts: Sequence[int], step: float) -> dict[str, Any]:
    """Steps per second by number of runners, and their share of what runners that only wait would make."""
    figures: dict[str, Any] = {}
    for count in counts:
        mine = [row[str(count)] for row in rows]
        figures[str(count)] = {
            "steps_per_second": spread([row["steps_per_second"] for row in mine]),
            "share_of_ideal": spread([row["steps_per_second"] * step / count for row in mine]),
            "driver_busy": spread([row["driver_busy"] for row in mine]),
            "cores_busy": spread([row["cores_busy"] for row in mine]),
        }
    return figures


def main() -> None:
    parser = arguments_parser(__doc__, repeats=3)
    parser.add_argument("--runners", type=int, nargs="+", default=[1, 2, 4, 8, 16], help="(1 2 4 8 16)")
    parser.add_argument("--milliseconds", type=float, default=50.0, help="of an environment step (50)")
    options = parser.parse_args()
    if options.quick:
        options.runners, options.repeats = [1, 2], 1
    env_config = {"seconds": options.milliseconds / 1e3, "mode": SLEEP}

    with simulated_cluster(sum(options.runners)):
        algorithms = {}
        for count in options.runners:
            overrides = (
                f"env_runners.count={count}",
                f"env_runners.episodes_per_chunk={CHUNK}",
                f"training.episodes_per_iteration={count * CHUNKS_PER_RUNNER * CHUNK}",
            )
            config = load_config(variation="B", overrides=overrides)
            algorithms[str(count)] = build(config, IdleLearner, SimulatedEnvRunner, env_config)
        nodes = sum(1 for node in ray.nodes() if node["Alive"])
        variants = {name: partial(measure, algorithm) for name, algorithm in algorithms.items()}
        interleave(variants, 1)  # connects, compiles
        rows = interleave(variants, options.repeats)
        for algorithm in algorithms.values():
            algorithm.stop()

    figures = {
        "nodes": nodes,
        "step_milliseconds": options.milliseconds,
        "runners": summarise(rows, options.runners, options.milliseconds / 1e3),
    }
    print(f"{nodes} nodes\nrunners   steps/s   of ideal   driver busy   cores busy")
    for count, values in figures["runners"].items():
        rate, share, driver, cores = (
            values[key]["median"] for key in ("steps_per_second", "share_of_ideal", "driver_busy", "cores_busy")
        )
        print(f"{count:>7} {rate:9.1f} {100 * share:8.0f} % {100 * driver:11.0f} % {cores:12.2f}")
    print(write_result("cluster", sys.argv[1:], figures, rows, result_directory(options)))


if __name__ == "__main__":
    main()
