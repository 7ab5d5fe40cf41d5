"""As many runners as simulated nodes carry on this machine: throughput, and episodes lost, with kills and without.

    python -m benchmarks.faults.load [--runners 16] [--nodes 4] [--iterations 10] [--kills 5] [--quick]

Fractional-CPU runners are spread over simulated nodes (`ray.cluster_utils.Cluster`) and sample real episodes of
variation B (32x32) for a real learner. In the second half a runner is killed (SIGKILL) in the midst of some iterations.
Every episode is written down: none may be dropped or missing, none may come twice, and all runners must be back at the
end.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from functools import partial
from typing import Any

import ray
from ray.cluster_utils import Cluster

from benchmarks.cluster import joined_cluster
from benchmarks.faults.ledger import Ledger, after, runner_processes
from benchmarks.record import arguments_parser, result_directory, write_result
from rllib_psparsity.config.load import load_config
from rllib_psparsity.training.algorithm_config import SparsifyPPOConfig

PATIENCE_SECONDS = 300.0
CHUNKS_PER_RUNNER = 2
CHUNK = 4


def main() -> None:
    parser = arguments_parser(__doc__)
    parser.add_argument("--runners", type=int, default=16, help="in all (16)")
    parser.add_argument("--nodes", type=int, default=4, help="of one CPU each (4)")
    parser.add_argument("--iterations", type=int, default=10, help="without kills, and as many with (10)")
    parser.add_argument("--kills", type=int, default=5, help="in the second half, one an iteration (5)")
    options = parser.parse_args()
    if options.quick:
        options.runners, options.nodes, options.iterations, options.kills = 4, 2, 2, 1
    config = load_config(
        variation="B",
        overrides=(
            f"env_runners.count={options.runners}",
            f"training.episodes_per_iteration={options.runners * CHUNKS_PER_RUNNER * CHUNK}",
            f"env_runners.episodes_per_chunk={CHUNK}",
        ),
    )
    settings: Any = SparsifyPPOConfig().apply_run(config)  # RLlib says that an int is expected; halves are fine
    settings.env_runners(num_cpus_per_env_runner=options.nodes / options.runners)
    node: dict[str, Any] = {"num_cpus": 1, "object_store_memory": 150_000_000, "include_dashboard": False}
    with joined_cluster(Cluster(), [node] * options.nodes):
        start = time.perf_counter()
        algorithm: Any = settings.build_algo()
        group, ledger = algorithm.env_runner_group, Ledger(algorithm)
        algorithm.train()  # connects, compiles
        started = time.perf_counter() - start
        spread_over = len(set(group.foreach_env_runner(_node, local_env_runner=False)))

        def rate(kills: int) -> tuple[float, list[float]]:
            """Episodes a second, and the seconds of each iteration."""
            seconds = []
            for k in range(options.iterations):
                victims = runner_processes(algorithm) if k < kills else []
                timer = after(0.2, partial(os.kill, victims[k % len(victims)], signal.SIGKILL)) if victims else None
                begin = time.perf_counter()
                algorithm.train()
                seconds.append(time.perf_counter() - begin)
                if timer is not None:
                    timer.join()
            return options.iterations * config.training.episodes_per_iteration / sum(seconds), seconds

        undisturbed, first = rate(0)
        disturbed, second = rate(options.kills)
        begin = time.perf_counter()
        while group.num_healthy_remote_workers() < options.runners and time.perf_counter() - begin < PATIENCE_SECONDS:
            algorithm.restore_env_runners(group)
        healthy = group.num_healthy_remote_workers()
        back = time.perf_counter() - begin
        counted = ledger.figures()
        algorithm.stop()

    figures = {
        "runners": options.runners,
        "nodes_that_carry_them": spread_over,
        "seconds_to_start": started,
        "episodes_per_second": undisturbed,
        "episodes_per_second_with_kills": disturbed,
        "kills": options.kills,
        "runners_at_the_end": healthy,
        "seconds_until_all_are_back": back,
        **counted,
    }
    for name, value in figures.items():
        print(f"{name}: {value}")
    print(
        write_result(
            "faults.load",
            sys.argv[1:],
            figures,
            [{"undisturbed": first, "with_kills": second}],
            result_directory(options),
        )
    )
    if counted["dropped"] or counted["missing"] or counted["double"] or healthy < options.runners:
        sys.exit(1)


def _node(runner: Any) -> str:
    return ray.get_runtime_context().get_node_id()


if __name__ == "__main__":
    main()
