"""Two simulated nodes that see some directories of each other and not others; run by test_shared_directory.

Prints, as JSON, the sentence by which each directory is refused, or null. `/proc/self/cwd` is another directory in
processes that work elsewhere: a path in it looks the same to them, and what one writes there no other sees.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import ray
from ray.cluster_utils import Cluster

from rllib_psparsity.errors import InputError
from rllib_psparsity.training.shared_directory import require_shared


def main(directory: Path) -> None:
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "object_store_memory": 80_000_000})
    try:
        ray.init(address=cluster.address, logging_level="ERROR", log_to_driver=False)
        answers = {"one node": refusal(Path("/proc/self/cwd/alone"))}
        cluster.add_node(num_cpus=0, object_store_memory=80_000_000)
        cluster.wait_for_nodes()
        answers["shared, new"] = refusal(directory / "new" / "run")
        (directory / "old").mkdir()
        answers["shared, old"] = refusal(directory / "old")
        os.chdir(directory)
        answers["not shared"] = refusal(Path("/proc/self/cwd/hidden/run"))
        print(json.dumps(answers | {"left": sorted(path.name for path in directory.rglob("*"))}))
    finally:
        ray.shutdown()
        cluster.shutdown()


def refusal(directory: Path) -> str | None:
    try:
        require_shared(directory)
    except InputError as error:
        return str(error)
    return None


if __name__ == "__main__":
    main(Path(sys.argv[1]))
