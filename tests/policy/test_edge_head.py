"""The compiled edge head against torch's own operations, which a GPU uses."""

import numpy as np
import torch

from rllib_psparsity.config.schema import PolicyConfig
from rllib_psparsity.graph.level_graph import EDGE_FEATURES, LevelGraph
from rllib_psparsity.policy.batch import GraphBatch
from rllib_psparsity.policy.edge_head import BOUND
from rllib_psparsity.policy.network import SparsifierPolicy
from tests.policy.random_graphs import random_graph


def test_logits_and_gradients_equal_those_by_torch():
    torch.manual_seed(0)
    policy = SparsifierPolicy(PolicyConfig(width=8))
    with torch.no_grad():  # large enough that parts of the prior reach its bound
        policy.prior.raw_steepness += 1.5
        policy.prior.offset += 0.1
        policy.edge_head.out.weight *= 10.0
    steep = random_graph(2, nodes=150, edges=600)
    steep.edge_features[::7, EDGE_FEATURES.index("evolution_max")] = 0.95
    batch = GraphBatch.from_graphs([random_graph(0), random_graph(1, nodes=1, edges=0), steep])
    head, prior = policy.edge_head, policy.prior
    classical = prior(batch.edge_features)
    assert (classical.abs() == BOUND).any() and (classical.abs() < BOUND).any()
    h = torch.randn((len(batch.node_graph), 8))
    h[20] = h[21]  # no difference has no sign
    h.requires_grad_()
    found = head(h, batch, prior, policy.temperature)
    expected = (head._own_logits(h, batch) + prior(batch.edge_features)) / policy.temperature
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-4)
    weight = torch.randn_like(found)
    leaves = [h, *head.parameters(), *prior.parameters()]
    gradients = [torch.autograd.grad((logits * weight).sum(), leaves) for logits in (found, expected)]
    for a, b in zip(*gradients, strict=True):
        assert b.abs().max() > 0
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4 * b.abs().max().item())


def test_without_the_prior_the_logits_are_the_networks_alone():
    torch.manual_seed(0)
    policy = SparsifierPolicy(PolicyConfig(prior=False))
    with torch.no_grad():
        policy.prior.raw_steepness += 1.5
        policy.edge_head.out.weight *= 10.0
    batch = GraphBatch.from_graphs([random_graph(0), random_graph(1)])
    head, prior = policy.edge_head, policy.prior
    h = torch.randn((len(batch.node_graph), policy.config.width))
    found = head(h, batch, prior, policy.temperature)
    torch.testing.assert_close(found, head._own_logits(h, batch) / policy.temperature, rtol=1e-5, atol=1e-5)
    assert not prior(batch.edge_features).any() and prior.initial(batch.edge_features).abs().max() > 1.0
    found.square().sum().backward()
    assert head.out.weight.grad is not None and head.out.weight.grad.any()
    for parameter in prior.parameters():  # several learners wait for every gradient
        assert parameter.grad is not None and not parameter.grad.any()


def test_no_edges_give_no_logits_and_no_gradient():
    policy = SparsifierPolicy(PolicyConfig())
    graph: LevelGraph = random_graph(1, nodes=3, edges=0)
    logits = policy(GraphBatch.from_graphs([graph]), with_value=False).edge_logits
    assert logits.shape == (0, len(policy.menu))
    logits.sum().backward()
    assert np.all([p.grad is None or not p.grad.any() for p in policy.edge_head.parameters()])
