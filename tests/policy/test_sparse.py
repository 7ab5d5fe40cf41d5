import torch

from rllib_psparsity.graph.level_graph import EDGE_FEATURES
from rllib_psparsity.policy.batch import GraphBatch
from rllib_psparsity.policy.sparse import (
    edge_difference,
    edge_sum,
    node_inputs,
    normalised_operators,
    symmetric_product,
)
from tests.policy.random_graphs import random_graph


def _dense(values: torch.Tensor, batch: GraphBatch) -> torch.Tensor:
    n = len(batch.node_features)
    dense = torch.zeros((n, n), dtype=values.dtype)
    for row in range(n):
        for entry in range(int(batch.row_start[row]), int(batch.row_start[row + 1])):
            dense[row, batch.neighbour[entry]] = values[entry]
    return dense


def test_operators_equal_dense_normalised_weights():
    batch = GraphBatch.from_graphs([random_graph(0), random_graph(1, nodes=1, edges=0)])
    columns = [EDGE_FEATURES.index(name) for name in ("log_symmetric", "evolution_max")]
    strengths = [
        torch.ones(20),
        10.0 ** batch.edge_features[:, columns[0]],
        batch.edge_features[:, columns[1]],
    ]
    for values, strength in zip(normalised_operators(batch), strengths, strict=True):
        weight = torch.zeros((13, 13))
        for (i, j), w in zip(batch.edge_index.t().tolist(), strength, strict=True):
            weight[i, j] = weight[j, i] = w
        scale = torch.where(weight.sum(1) > 0, weight.sum(1), torch.inf).rsqrt()
        found = _dense(values, batch)
        torch.testing.assert_close(found, scale[:, None] * weight * scale)
        assert torch.equal(found, found.t())
        assert torch.linalg.eigvalsh(found).abs().max() < 1 + 1e-5


def test_product_equals_the_dense_one_in_values_and_gradient():
    batch = GraphBatch.from_graphs([random_graph(0)])
    values = normalised_operators(batch)[1]
    h = torch.randn((12, 3), requires_grad=True)
    out = symmetric_product(h, values, batch)
    torch.testing.assert_close(out, _dense(values, batch) @ h)
    weight = torch.randn_like(out)
    (grad,) = torch.autograd.grad((out * weight).sum(), h)
    torch.testing.assert_close(grad, _dense(values, batch) @ weight)


def test_edge_sum_and_difference_have_the_right_gradients():
    batch = GraphBatch.from_graphs([random_graph(0), random_graph(1, nodes=3, edges=2)])
    h = torch.randn((15, 2), dtype=torch.float64, requires_grad=True)
    i, j = batch.edge_index
    torch.testing.assert_close(edge_sum(h, batch), h[i] + h[j])
    torch.testing.assert_close(edge_difference(h, batch), h[i] - h[j])
    assert torch.autograd.gradcheck(lambda h: edge_sum(h, batch), h)
    assert torch.autograd.gradcheck(lambda h: edge_difference(h, batch), h)


def test_node_inputs_hold_the_mean_of_the_incident_edges():
    batch = GraphBatch.from_graphs([random_graph(0), random_graph(1, nodes=1, edges=0)])
    inputs = node_inputs(batch)
    for node in range(13):
        mine = (batch.edge_index == node).any(0)
        mean = batch.edge_features[mine].mean(0) if mine.any() else torch.zeros(batch.edge_features.shape[1])
        torch.testing.assert_close(inputs[node], torch.cat([batch.node_features[node], mean]))
