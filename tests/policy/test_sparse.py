import torch

from rllib_psparsity.graph.level_graph import EDGE_FEATURES
from rllib_psparsity.policy.batch import GraphBatch
from rllib_psparsity.policy.sparse import Operators, SparseEncoder, _Mixing, node_inputs
from tests.policy.random_graphs import random_graph


def _dense(values: torch.Tensor, batch: GraphBatch) -> torch.Tensor:
    n = len(batch.node_features)
    dense = torch.zeros((n, n), dtype=values.dtype)
    for (i, j), value in zip(batch.edge_index.t().tolist(), values, strict=True):
        dense[i, j] = dense[j, i] = value
    return dense


def test_operators_equal_dense_normalised_weights():
    batch = GraphBatch.from_graphs([random_graph(0), random_graph(1, nodes=1, edges=0)])
    columns = [EDGE_FEATURES.index(name) for name in ("log_symmetric", "evolution_max")]
    strengths = [
        torch.ones(20),
        10.0 ** batch.edge_features[:, columns[0]],
        batch.edge_features[:, columns[1]],
    ]
    for values, strength in zip(Operators.of(batch).values.T, strengths, strict=True):
        weight = torch.zeros((13, 13))
        for (i, j), w in zip(batch.edge_index.t().tolist(), strength, strict=True):
            weight[i, j] = weight[j, i] = w
        scale = torch.where(weight.sum(1) > 0, weight.sum(1), torch.inf).rsqrt()
        found = _dense(values, batch)
        torch.testing.assert_close(found, scale[:, None] * weight * scale)
        torch.testing.assert_close(found, found.t())
        assert torch.linalg.eigvalsh(found).abs().max() < 1 + 1e-5


def test_a_layer_equals_the_dense_one_in_values_and_gradients():
    batch = GraphBatch.from_graphs([random_graph(0), random_graph(1, nodes=1, edges=0)])
    operators = Operators.of(batch)
    dense = [torch.eye(13), *(_dense(values, batch) for values in operators.values.T)]
    encoder = SparseEncoder(9, 11, 4, 1)
    mix = encoder.mixers[0]
    h = torch.randn((13, 4), requires_grad=True)
    for product, S in zip(operators.products(h), dense[1:], strict=True):
        torch.testing.assert_close(product, S @ h)
    found = _Mixing.apply(h, mix.weight, mix.bias, operators)
    expected = h + torch.relu(mix(torch.cat([S @ h for S in dense], dim=1)))
    assert ((expected - h) == 0).any() and ((expected - h) > 0).any(), "the relu must cut some, and pass some"
    torch.testing.assert_close(found, expected)
    weight = torch.randn_like(found)
    leaves = (h, mix.weight, mix.bias)
    for a, b in zip(*(torch.autograd.grad((out * weight).sum(), leaves) for out in (found, expected)), strict=True):
        torch.testing.assert_close(a, b)


def test_node_inputs_hold_the_mean_of_the_incident_edges():
    batch = GraphBatch.from_graphs([random_graph(0), random_graph(1, nodes=1, edges=0)])
    inputs = node_inputs(batch)
    for node in range(13):
        mine = (batch.edge_index == node).any(0)
        mean = batch.edge_features[mine].mean(0) if mine.any() else torch.zeros(batch.edge_features.shape[1])
        torch.testing.assert_close(inputs[node], torch.cat([batch.node_features[node], mean]))
