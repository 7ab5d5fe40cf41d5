"""A policy as the callable that `build_hierarchy` asks once per level."""

from __future__ import annotations

import numpy as np
import torch

from rllib_psparsity.amg.decision import Decide, Decision
from rllib_psparsity.errors import InputError
from rllib_psparsity.graph.level_graph import LevelGraph
from rllib_psparsity.policy.actions import make_actions
from rllib_psparsity.policy.batch import GraphBatch
from rllib_psparsity.policy.network import SparsifierPolicy


def policy_decide(network: SparsifierPolicy, mode: bool = True, rng: np.random.Generator | None = None) -> Decide:
    """The network's most likely decision, or, with ``mode=False``, one drawn with `rng`."""
    if not mode and rng is None:
        raise InputError("mode is False, which draws decisions, but rng is None; pass a numpy Generator")

    def decide(graph: LevelGraph) -> Decision:
        with torch.inference_mode():
            batch = _batch_of_one(network, graph)
            actions = make_actions(network.config, network(batch, with_value=False), batch)
            return actions.mode()[0] if mode or rng is None else actions.sample([rng])[0]

    return decide


def prior_decide(network: SparsifierPolicy) -> Decide:
    """The classical prior alone, as it was before any training: see `SparsifierPolicy.prior_output`."""

    def decide(graph: LevelGraph) -> Decision:
        with torch.inference_mode():
            batch = _batch_of_one(network, graph)
            return make_actions(network.config, network.prior_output(batch), batch).mode()[0]

    return decide


def _batch_of_one(network: SparsifierPolicy, graph: LevelGraph) -> GraphBatch:
    return GraphBatch.from_graphs([graph], network.temperature.device)
