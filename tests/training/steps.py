"""Random minibatches without any environment."""

from __future__ import annotations

import numpy as np
import torch

from rllib_psparsity.config.schema import Config
from rllib_psparsity.policy.actions import make_actions
from rllib_psparsity.policy.batch import GraphBatch
from rllib_psparsity.policy.decision_batch import DecisionBatch
from rllib_psparsity.policy.network import SparsifierPolicy
from rllib_psparsity.training.advantages import Step
from tests.policy.random_graphs import random_graph

SIZES = ((9, 14), (5, 4), (20, 60), (7, 12), (1, 0))


def network_of(config: Config, seed: int = 0) -> SparsifierPolicy:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return SparsifierPolicy(config.policy)


def random_steps(config: Config, network: SparsifierPolicy, seed: int = 0, spread: float = 0.3) -> list[Step]:
    """Steps drawn from the network, whose log-probabilities are off by `spread`, as after some updates."""
    rng = np.random.default_rng(seed)
    steps = []
    for number, (nodes, edges) in enumerate(SIZES):
        graph = random_graph(100 * seed + number, nodes, edges)
        batch = GraphBatch.from_graphs([graph])
        with torch.no_grad():
            actions = make_actions(config.policy, network(batch, with_value=False), batch)
            (decision,) = actions.sample([rng])
            log_prob = actions.log_prob(DecisionBatch.from_decisions([decision], batch))
        units = log_prob.units.numpy()
        steps.append(
            Step(
                graph,
                decision,
                (units + spread * rng.standard_normal(len(units))).astype(np.float32),
                float(log_prob.recipe[0]) + spread * float(rng.standard_normal()),
                advantage=rng.standard_normal(nodes).astype(np.float32),
                recipe_advantage=float(rng.standard_normal()),
                target=rng.standard_normal(nodes).astype(np.float32),
            )
        )
    return steps
