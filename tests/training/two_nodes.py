"""Two simulated nodes that see some directories of each other and not others; run by test_shared_directory.

Prints, as JSON, the sentence by which each directory is refused, or null. `/proc/self/cwd` is another directory in
processes that work elsewhere: a path in it looks the same to them, and what one writes there no other sees.
"""

from __future__ import annotations

import json
import os
import sys
from contextlib import nullcontext
from pathlib import Path

import ray
from ray.cluster_utils import Cluster

from rllib_psparsity.errors import InputError
from rllib_psparsity.training import run
from rllib_psparsity.training.mirror import Mirror
from rllib_psparsity.training.shared_directory import require_shared
from tests.environment.tiny import tiny_config


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
        answers["URI, shared"] = refusal_of_a_run(f"file://{directory}/uri")
        answers["URI, not shared"] = refusal_of_a_run("file:///proc/self/cwd/uri")
        answers["URI, not shared, accepted"] = refusal_of_a_run(
            "file:///proc/self/cwd/uri", "cluster.shared_run_dir=false"
        )
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


def refusal_of_a_run(uri: str, *overrides: str) -> str | None:
    """Of a run that would end where its training begins."""
    mirror = Mirror(uri)
    try:
        run.train(tiny_config(*overrides), mirror.directory, mirror)
    except InputError as error:
        return str(error)
    except Begun:
        return None
    finally:
        mirror.discard()


class Begun(Exception):
    pass


def begin(*arguments: object) -> None:
    raise Begun


if __name__ == "__main__":
    run.ray_session = lambda num_cpus: nullcontext()
    run.reference_figures = lambda config: {}
    run.TrainingSession = begin
    main(Path(sys.argv[1]))
