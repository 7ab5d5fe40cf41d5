"""A node leaves in the midst of an iteration and comes back: how long training takes over it, and what it loses.

    python -m benchmarks.faults.nodes [--iterations 4] [--quick]

Two simulated nodes (`ray.cluster_utils.Cluster`) of one CPU each carry an env runner each; the driver is on a head node
of its own. After some iterations one node is killed while its runner samples; after some more another one is added in
its place. Every episode is written down: none may be dropped or missing, none may come twice.
"""

from __future__ import annotations

import statistics
import sys
import time
from typing import Any

from ray.cluster_utils import Cluster

from benchmarks.algorithms import build
from benchmarks.cluster import joined_cluster
from benchmarks.faults.ledger import Ledger, after
from benchmarks.record import arguments_parser, result_directory, write_result
from rllib_psparsity.config.load import load_config

PATIENCE_SECONDS = 300.0
NODE: dict[str, Any] = {"num_cpus": 1, "object_store_memory": 150_000_000, "include_dashboard": False}


def main() -> None:
    parser = arguments_parser(__doc__)
    parser.add_argument("--iterations", type=int, default=4, help="with both nodes, with one, and with both again (4)")
    options = parser.parse_args()
    if options.quick:
        options.iterations = 2
    config = load_config(
        variation="B",
        overrides=("env_runners.count=2", "training.episodes_per_iteration=64", "env_runners.episodes_per_chunk=4"),
    )
    cluster = Cluster()
    with joined_cluster(cluster, [NODE, NODE]) as nodes:
        algorithm = build(config)
        group, ledger = algorithm.env_runner_group, Ledger(algorithm)

        def iterate(count: int) -> list[float]:
            seconds = []
            for _ in range(count):
                start = time.perf_counter()
                algorithm.train()
                seconds.append(time.perf_counter() - start)
            return seconds

        iterate(1)  # connects, compiles
        both = iterate(options.iterations)
        timer = after(0.3 * statistics.median(both), lambda: cluster.remove_node(nodes[1], allow_graceful=False))
        (leaves,) = iterate(1)
        timer.join()
        one = iterate(options.iterations)
        alone = group.num_healthy_remote_workers()
        cluster.add_node(**NODE)
        start, iterations = time.perf_counter(), 0
        while group.num_healthy_remote_workers() < 2 and time.perf_counter() - start < PATIENCE_SECONDS:
            iterate(1)
            iterations += 1
        back = time.perf_counter() - start
        again = iterate(options.iterations)
        healthy = group.num_healthy_remote_workers()
        counted = ledger.figures()
        algorithm.stop()

    figures = {
        "seconds_an_iteration": {
            "both_nodes": statistics.median(both),
            "the_one_in_which_a_node_leaves": leaves,
            "one_node": statistics.median(one),
            "both_again": statistics.median(again),
        },
        "runners_while_the_node_is_away": alone,
        "runners_at_the_end": healthy,
        "seconds_from_the_new_node_to_its_use": back,
        "iterations_meanwhile": iterations,
        **counted,
    }
    for name, value in figures.items():
        print(f"{name}: {value}")
    print(
        write_result(
            "faults.nodes",
            sys.argv[1:],
            figures,
            [{"both": both, "one": one, "again": again}],
            result_directory(options),
        )
    )
    if counted["dropped"] or counted["missing"] or counted["double"] or healthy < 2:
        sys.exit(1)


if __name__ == "__main__":
    main()
