"""Whether the cluster has what a run asks for: RLlib would wait without a word for what never comes."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence

import ray
import torch

from rllib_psparsity.config.schema import Config
from rllib_psparsity.errors import InputError

NODE_GROUP = "ray.io/node-group"
"""Label of nodes that `ray up` or KubeRay started, which may have an autoscaler."""
PATIENCE_SECONDS = 600.0
"""Without a new node, in a cluster of such nodes; a virtual machine takes some minutes to join."""
POLL_SECONDS = 2.0


def bundles(config: Config) -> list[dict[str, float]]:
    """What RLlib asks for, one actor each: a CPU for an env runner, and GPUs or else a CPU for a remote learner."""
    learner = {"GPU": config.learner.gpus} if config.learner.gpus else {"CPU": 1.0}
    return [{"CPU": 1.0}] * config.env_runners.count + [learner] * config.learner.count


def require_resources(config: Config) -> None:
    """Refuse a run whose actors or driver would lack CPUs or GPUs; `InputError` with the numbers."""
    if config.learner.gpus and not config.learner.count and not torch.cuda.is_available():
        raise InputError(
            f"learner.gpus is {config.learner.gpus:g} with the learner in the driver, but PyTorch finds no GPU on the "
            "driver's node; set learner.count=1 for a learner on a node with a GPU, or learner.gpus=0"
        )
    missing = await_nodes(bundles(config), config.cluster.patience)
    if missing:
        raise InputError(
            f"the run needs {missing}; lower env_runners.count, learner.count or learner.gpus, or set "
            "cluster.patience to the seconds in which nodes that are still to come will join"
        )


def await_nodes(wanted: Sequence[Mapping[str, float]], patience: float | None) -> str:
    """What the cluster as a whole lacks for these bundles in the end; empty if nothing.

    In a cluster whose nodes come and go, nodes are asked for, and waited for as long as new ones join
    (`cluster.patience`).
    """
    missing = lacking(wanted)
    if patience is None:
        patience = PATIENCE_SECONDS if any(NODE_GROUP in node["Labels"] for node in ray.nodes()) else 0.0
    return _wait(wanted, patience) if missing and patience else missing


def lacking(wanted: Sequence[Mapping[str, float]]) -> str:
    """What the cluster as a whole lacks for the bundles, as in "32 CPUs, but the cluster has 3"; empty if nothing."""
    total: Counter[str] = Counter()
    for bundle in wanted:
        total.update(bundle)
    there = ray.cluster_resources()
    return " and ".join(
        f"{total[kind]:g} {kind}s, but the cluster has {there.get(kind, 0.0):g}"
        for kind in ("CPU", "GPU")
        if total[kind] > there.get(kind, 0.0)
    )


def _wait(wanted: Sequence[Mapping[str, float]], patience: float) -> str:
    """Ask an autoscaler for nodes, and wait until nothing is lacking or none has joined for a while."""
    from ray.autoscaler.sdk import request_resources

    request_resources(bundles=[dict(bundle) for bundle in wanted])
    known, since = set(), time.monotonic()
    try:
        while missing := lacking(wanted):
            alive = {node["NodeID"] for node in ray.nodes() if node["Alive"]}
            if alive - known:
                print(f"waiting for nodes: the run needs {missing}", flush=True)
                known, since = known | alive, time.monotonic()
            if time.monotonic() - since > patience:
                break
            time.sleep(min(POLL_SECONDS, patience))
        return missing
    finally:
        request_resources(bundles=[])  # from now on the actors themselves ask
