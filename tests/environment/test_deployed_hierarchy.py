"""A greedy episode and the deployed set-up build the same hierarchy, bit for bit."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from rllib_psparsity.amg.hierarchy import build_hierarchy
from rllib_psparsity.deploy.decide import policy_decide
from rllib_psparsity.environment.sparsify import SparsifyEnv
from rllib_psparsity.policy.inference import inference_of
from rllib_psparsity.policy.network import SparsifierPolicy
from tests.environment.tiny import ELASTIC, SCALAR, run_episode, tiny_config


def _equal(A, B) -> bool:
    return (
        A.format == B.format
        and A.shape == B.shape
        and all(np.array_equal(getattr(A, name), getattr(B, name)) for name in ("indptr", "indices", "data"))
    )


@pytest.mark.parametrize("action", ["edges", "top_k"])
@pytest.mark.parametrize("problems", [SCALAR, ELASTIC])
def test_greedy_episode_is_the_deployed_hierarchy(problems, action):
    config = tiny_config(problems, f"policy.action={action}", "policy.k=3", "environment.max_coarse=5")
    torch.manual_seed(1)
    network = SparsifierPolicy(config.policy).eval()
    with torch.no_grad():  # an untrained network hardly differs from the prior: let it decide for itself
        for head in (network.edge_head.out, network.recipe_head[-1]):
            head.weight *= 10.0
    env = SparsifyEnv(config)
    depths = []
    for index in range(3):
        run_episode(env, index, policy_decide(inference_of(network)))
        episode = env.hierarchy
        problem = env.problems.training(index)
        deployed = build_hierarchy(
            problem.A, problem.B, policy_decide(inference_of(network)), menu=network.menu, limits=config.environment
        )
        assert episode.end == deployed.end and len(episode.levels) == len(deployed.levels)
        for ours, theirs in zip(episode.levels, deployed.levels, strict=True):
            assert _equal(ours.A, theirs.A) and np.array_equal(ours.B, theirs.B)
            assert (ours.P is None) == (theirs.P is None)
            if ours.P is not None:
                assert _equal(ours.P, theirs.P) and ours.recipe == theirs.recipe
                assert np.array_equal(ours.decision.edge_is_strong, theirs.decision.edge_is_strong)
                assert np.array_equal(ours.aggregates, theirs.aggregates)
        depths.append(len(deployed.levels))
    assert max(depths) >= 3, "no hierarchy had two decisions"
