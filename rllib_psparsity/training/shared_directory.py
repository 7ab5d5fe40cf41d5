"""Whether all nodes of a cluster see a directory."""

from __future__ import annotations

import secrets
import time
from pathlib import Path

import ray
from ray.exceptions import RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from rllib_psparsity.errors import InputError

PROBE = ".psparsity-probe-"
SECONDS_TO_APPEAR = 10.0
"""How late a network file system may show a new file to another node."""
SECONDS_TO_ANSWER = 300.0
"""For a node that has to unpack the job's environment first."""


def require_shared(directory: Path) -> None:
    """Refuse, with `InputError`, a directory that a node of this cluster does not see; with one node there is no other.

    The driver writes a file there, and a task on every node answers with one of its own. A directory that did not exist
    does not exist afterwards either.
    """
    nodes = {node["NodeID"]: node["NodeManagerHostname"] for node in ray.nodes() if node["Alive"]}
    if len(nodes) < 2:
        return
    absolute, secret = directory.absolute(), secrets.token_hex(8)
    new = [path for path in (absolute, *absolute.parents) if not path.exists()]
    absolute.mkdir(parents=True, exist_ok=True)
    probe = absolute / f"{PROBE}{secret}"
    try:
        probe.write_text(secret)
        answers = {
            node: _answer.options(scheduling_strategy=NodeAffinitySchedulingStrategy(node, soft=False)).remote(
                str(probe), secret, f"{probe}-{node}"
            )
            for node in nodes
        }
        blind = [host for node, host in nodes.items() if not _sees(answers[node], Path(f"{probe}-{node}"))]
    finally:
        for path in absolute.glob(f"{probe.name}*"):
            path.unlink(missing_ok=True)
        for path in new:
            path.rmdir()
    if blind:
        raise InputError(
            f"{directory} is not seen by {len(blind)} of the cluster's {len(nodes)} nodes ({', '.join(blind[:3])}); "
            "name a --run-dir on a file system that all of them share or a URI such as s3://bucket/runs/first, or set "
            "cluster.shared_run_dir=false if the run may stay on the driver's node"
        )


def _sees(answer: ray.ObjectRef, reply: Path) -> bool:
    """Whether the node has read the driver's file, and the driver its reply."""
    try:
        return ray.get(answer, timeout=SECONDS_TO_ANSWER) and _appears(reply)
    except RayError:  # the node left, or does not answer
        return False


@ray.remote(num_cpus=0, max_retries=0)
def _answer(probe: str, secret: str, reply: str) -> bool:
    if not _appears(Path(probe)):
        return False
    try:
        if Path(probe).read_text() != secret:
            return False
        Path(reply).write_text(secret)
    except OSError:
        return False
    return True


def _appears(path: Path) -> bool:
    give_up = time.monotonic() + SECONDS_TO_APPEAR
    while not path.exists():
        if time.monotonic() > give_up:
            return False
        time.sleep(0.1)
    return True
