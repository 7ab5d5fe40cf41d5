import numpy as np
import pytest
import torch

from rllib_psparsity.config.schema import PolicyConfig
from rllib_psparsity.deploy.decide import policy_decide, prior_decide
from rllib_psparsity.errors import InputError
from rllib_psparsity.policy.inference import inference_of
from rllib_psparsity.policy.network import SparsifierPolicy
from tests.policy.random_graphs import random_graph


def _network() -> SparsifierPolicy:
    torch.manual_seed(0)
    return SparsifierPolicy(PolicyConfig())


def test_sampling_needs_a_generator_and_follows_it():
    network, graph = _network(), random_graph(0)
    draws = [policy_decide(inference_of(network), mode=False, rng=np.random.default_rng(s))(graph) for s in (1, 1, 2)]
    assert (draws[0].edge_is_strong == draws[1].edge_is_strong).all()
    assert (draws[0].edge_is_strong != draws[2].edge_is_strong).any()
    with pytest.raises(InputError, match="mode is False, which draws decisions, but rng is None; pass a numpy Gen"):
        policy_decide(inference_of(network), mode=False)


def test_prior_follows_no_training_but_the_mode_does():
    network, graph = _network(), random_graph(0)
    prior, policy = prior_decide(inference_of(network))(graph), policy_decide(inference_of(network))(graph)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter += 1.0
    again = prior_decide(inference_of(network))(graph)
    assert prior.recipe == again.recipe == 0
    assert (prior.edge_is_strong == again.edge_is_strong).all() and 0 < again.edge_is_strong.sum() < graph.num_edges
    assert (policy_decide(inference_of(network))(graph).edge_is_strong != policy.edge_is_strong).any()
