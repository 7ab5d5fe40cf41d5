"""Inference without torch equals the network that is trained."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from pyamg.gallery import poisson
from scipy.sparse import csr_array

from rllib_psparsity.config.schema import BACKBONE_NAMES, PolicyConfig
from rllib_psparsity.graph.features import level_graph
from rllib_psparsity.graph.level_graph import EDGE_FEATURES, LevelGraph
from rllib_psparsity.policy import inference as inference_module
from rllib_psparsity.policy.batch import GraphBatch
from rllib_psparsity.policy.inference import Inference, expected_tensors, inference_of, make_inference
from rllib_psparsity.policy.network import SparsifierPolicy
from rllib_psparsity.policy.row_kernels import BLOCK, row_adjacency
from tests.policy.random_graphs import random_graph


def _policy(seed: int = 0, **settings) -> SparsifierPolicy:
    """Away from where training starts, so that every weight counts."""
    torch.manual_seed(seed)
    policy = SparsifierPolicy(PolicyConfig(**settings))
    with torch.no_grad():
        for parameter in policy.parameters():
            parameter += 0.05 * torch.randn_like(parameter)
        if policy.edge_head is not None:
            policy.edge_head.out.weight *= 5.0
        policy.recipe_head[-1].weight *= 5.0
        policy.temperature.fill_(0.7)
        for name, statistic in policy.named_buffers():
            if name.endswith((".mean", ".deviation")):
                statistic.uniform_(0.2, 1.5)
    return policy


def _graphs() -> list[LevelGraph]:
    """With rows and graphs without edges, blocks, and more nodes and edges than a block of the kernels holds."""
    return [
        random_graph(0),
        random_graph(1, nodes=1, edges=0),
        random_graph(2, nodes=7, edges=9, block_size=2),
        random_graph(3, nodes=4, edges=0),
        random_graph(4, nodes=2 * BLOCK + 3, edges=700),
        random_graph(5, nodes=BLOCK, edges=BLOCK),
    ]


def _compare(policy: SparsifierPolicy, inference: Inference, graphs: list[LevelGraph], prior: bool = False) -> None:
    batch = GraphBatch.from_graphs(graphs)
    with torch.no_grad():
        expected = policy.prior_output(batch) if prior else policy(batch, with_value=False)
    logits = inference.prior_logits(graphs) if prior else inference.logits(graphs)
    np.testing.assert_allclose(logits.recipe_logits, expected.recipe_logits.numpy(), atol=1e-5, rtol=1e-5)
    for recipe in range(len(policy.menu)):
        found = logits.edge_logits(np.full(len(graphs), recipe))
        assert [len(part) for part in found] == [graph.num_edges for graph in graphs]
        whole = np.concatenate(found)
        assert whole.dtype == np.float32
        np.testing.assert_allclose(whole, expected.edge_logits[:, recipe].numpy(), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"width": 2, "layers": 1},
        {"width": 7, "layers": 2, "recipes": ("classical/direct/classical", "sa/jacobi/symmetric")},
        {"width": 33, "layers": 1, "separate_value_trunk": False},
        {"backbone": "gin", "width": 8},
        {"prior": False, "recipes": ("sa/jacobi/symmetric",)},
        {"prior": False, "backbone": "gat", "width": 8},
        {"network": "pooled", "width": 6},
        {"network": "pooled", "backbone": "gin", "width": 8},
        {"standardise": True},
        {"standardise": True, "backbone": "gin", "width": 8},
    ],
)
def test_logits_equal_those_of_the_network(settings):
    policy = _policy(**settings)
    _compare(policy, inference_of(policy), _graphs())
    _compare(policy, inference_of(policy), _graphs(), prior=True)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"separate_value_trunk": False},
        {"backbone": "gin", "width": 8},
        {"network": "pooled"},
        {"standardise": True},
        {"standardise": True, "network": "pooled"},
    ],
)
def test_node_values_equal_those_of_the_network(settings):
    policy = _policy(**settings)
    with torch.no_grad():
        policy.value_head[-1].weight *= 30.0
    graphs = _graphs()
    graphs.append(graphs[0])
    batch = GraphBatch.from_graphs(graphs)
    with torch.no_grad():
        expected = policy(batch, with_value=True).node_values
        torch.testing.assert_close(policy.values(batch), expected)
    found = inference_of(policy).logits(graphs).node_values()
    assert [part.shape for part in found] == [(graph.num_nodes, len(policy.menu)) for graph in graphs]
    assert expected.std() > 0.1
    np.testing.assert_allclose(np.concatenate(found), expected.numpy(), atol=1e-5, rtol=1e-5)


def test_prior_logits_are_bounded_as_the_networks_are():
    graph = random_graph(0)
    graph.edge_features[::2, EDGE_FEATURES.index("log_symmetric")] = -9
    graph.edge_features[::3, EDGE_FEATURES.index("classical_max")] = 5
    policy = _policy(recipes=("sa/jacobi/symmetric", "sa/jacobi/classical"))
    _compare(policy, inference_of(policy), [graph])
    _compare(policy, inference_of(policy), [graph], prior=True)


@pytest.mark.parametrize(
    ("name", "network"),
    [
        ("encoder.norm.weight", "graph"),
        ("edge_head.from_contrast.weight", "graph"),
        ("prior.raw_steepness", "graph"),
        ("prior.offset", "pooled"),
        ("recipe_head.0.weight", "pooled"),
        ("encoder.input.mean", "graph"),
        ("encoder.input.deviation", "graph"),
        ("edge_head.from_features.mean", "graph"),
    ],
)
def test_the_comparison_sees_a_changed_weight(name, network):
    policy = _policy(network=network, standardise=name.endswith((".mean", ".deviation")))
    weights = dict(inference_of(policy).weights())
    weights[name] = weights[name] + np.float32(0.01)
    with pytest.raises(AssertionError):
        _compare(policy, make_inference(policy.config, weights), _graphs())


@pytest.mark.parametrize("network", ["graph", "pooled"])
def test_each_graph_of_a_batch_gets_the_bits_that_it_gets_alone(network):
    inference = inference_of(_policy(network=network))
    graphs = _graphs()
    together = inference.logits(graphs)
    recipe = np.arange(len(graphs)) % together.recipe_logits.shape[1]
    edges = together.edge_logits(recipe)
    for g, graph in enumerate(graphs):
        alone = inference.logits([graph])
        assert np.array_equal(alone.recipe_logits[0], together.recipe_logits[g])
        assert np.array_equal(alone.edge_logits(recipe[g : g + 1])[0], edges[g])


def test_memory_bounds_do_not_change_results(monkeypatch):
    inference, graph = inference_of(_policy()), random_graph(4, nodes=40, edges=300)
    whole = inference.logits([graph]).recipe_logits
    monkeypatch.setattr(inference_module, "EDGES_AT_ONCE", 7)
    np.testing.assert_allclose(inference.logits([graph]).recipe_logits, whole, atol=1e-5)


@pytest.mark.parametrize("network", ["graph", "pooled"])
def test_read_only_graphs_give_the_same(network):
    inference, graph = inference_of(_policy(network=network)), random_graph(0)
    before = inference.logits([graph])
    for array in (graph.node_features, graph.edge_index, graph.edge_features):
        array.flags.writeable = False
    after = inference.logits([graph])
    assert np.array_equal(before.recipe_logits, after.recipe_logits)
    assert np.array_equal(before.edge_logits(np.array([2]))[0], after.edge_logits(np.array([2]))[0])


def test_features_that_are_equal_on_all_edges_have_no_deviation():
    """Rounding must not pass for variety: on a uniform grid it would enter the recipe's logits at its square root."""
    graph = level_graph(csr_array(poisson((30, 30), format="csr")), np.ones((900, 1)), 0)
    graph.edge_features[:] = np.float32(0.1)
    mean, deviation = inference_module.row_kernels.feature_moments(graph.edge_features, (0,) * len(EDGE_FEATURES))
    assert (deviation == 0).all() and mean == pytest.approx(0.1, rel=1e-6)


@pytest.mark.parametrize("backbone", BACKBONE_NAMES)
@pytest.mark.parametrize(("network", "separate"), [("graph", True), ("graph", False), ("pooled", True)])
def test_expected_tensors_are_those_of_the_network(backbone, network, separate):
    for settings in ({"standardise": True}, {"width": 5, "layers": 1, "recipes": ("sa/jacobi/symmetric",)}):
        policy = _policy(backbone=backbone, network=network, separate_value_trunk=separate, **settings)
        state = policy.state_dict()
        assert {name: tuple(tensor.shape) for name, tensor in state.items()} == expected_tensors(policy.config)
        assert {tensor.dtype for tensor in state.values()} == {torch.float32}


def test_row_adjacency_equals_that_of_the_batch():
    for graph in _graphs():
        batch = GraphBatch.from_graphs([graph])
        expected = (batch.row_start, batch.neighbour, batch.incident_edge)
        for ours, theirs in zip(row_adjacency(graph.edge_index, graph.num_nodes), expected, strict=True):
            assert ours.dtype == np.int32 and np.array_equal(ours, theirs.numpy())
