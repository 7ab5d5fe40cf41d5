"""Random minibatches without any environment."""

from __future__ import annotations

import numpy as np
import torch

from rllib_psparsity.config.schema import Config
from rllib_psparsity.policy.choice import sample
from rllib_psparsity.policy.inference import inference_of
from rllib_psparsity.policy.network import SparsifierPolicy
from rllib_psparsity.training.advantages import Step
from tests.policy.random_graphs import random_graph

SIZES = ((9, 14), (5, 4), (20, 60), (7, 12), (1, 0))


def network_of(config: Config, seed: int = 0) -> SparsifierPolicy:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return SparsifierPolicy(config.policy)


def random_steps(
    config: Config, network: SparsifierPolicy, seed: int = 0, spread: float = 0.3, draws: int | None = None
) -> list[Step]:
    """Steps drawn from the network, whose log-probabilities are off by `spread`, as after some updates.

    `seed` names the graphs, and `draws`, if given, the draws on them.
    """
    rng = np.random.default_rng(seed if draws is None else draws)
    steps = []
    for number, (nodes, edges) in enumerate(SIZES):
        graph = random_graph(100 * seed + number, nodes, edges)
        choice = sample(config.policy, inference_of(network).logits([graph]), [rng])
        (decision,), (units,) = choice.decisions, choice.unit_log_prob()
        steps.append(
            Step(
                graph,
                decision,
                (units + spread * rng.standard_normal(len(units))).astype(np.float32),
                float(choice.recipe_log_prob()[0]) + spread * float(rng.standard_normal()),
                advantage=rng.standard_normal(nodes).astype(np.float32),
                recipe_advantage=float(rng.standard_normal()),
                target=rng.standard_normal(nodes).astype(np.float32),
            )
        )
    return steps
