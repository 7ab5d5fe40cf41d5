import pickle
import warnings

import numpy as np
import torch

from rllib_psparsity.graph.level_graph import LevelGraph
from rllib_psparsity.policy.batch import GraphBatch
from tests.policy.random_graphs import random_graph


def test_union_keeps_graphs_apart():
    graphs = [random_graph(0), random_graph(1, nodes=1, edges=0), random_graph(2, nodes=5, edges=4, block_size=2)]
    batch = GraphBatch.from_graphs(graphs)
    assert batch.num_graphs == 3
    assert batch.num_nodes.tolist() == [12, 1, 5] and batch.num_edges.tolist() == [20, 0, 4]
    assert batch.block_size.tolist() == [1, 1, 2]
    first_node = 0
    for g, graph in enumerate(graphs):
        mine = batch.edge_graph == g
        assert (batch.edge_index[:, mine].numpy() - first_node == graph.edge_index).all()
        assert (batch.edge_features[mine].numpy() == graph.edge_features).all()
        assert (batch.node_features[batch.node_graph == g].numpy() == graph.node_features).all()
        first_node += graph.num_nodes


def test_adjacency_equals_a_slow_one():
    batch = GraphBatch.from_graphs([random_graph(s) for s in range(3)])
    rows = [[] for _ in range(len(batch.node_features))]
    for edge, (i, j) in enumerate(batch.edge_index.t().tolist()):
        rows[i].append((edge, j))
        rows[j].append((edge, i))
    for row, entries in enumerate(rows):
        own = slice(int(batch.row_start[row]), int(batch.row_start[row + 1]))
        assert list(zip(batch.incident_edge[own].tolist(), batch.neighbour[own].tolist(), strict=True)) == entries
        assert batch.neighbour[own].tolist() == sorted(batch.neighbour[own].tolist())


def test_read_only_arrays_are_copied_without_a_warning():
    graph = random_graph(0)
    arrays = [graph.node_features, graph.edge_index, graph.edge_features]
    for array in arrays:
        array.flags.writeable = False
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        batch = GraphBatch.from_graphs([LevelGraph(*arrays, level=0, block_size=1)])
    batch.node_features.add_(1.0)
    assert (batch.node_features.numpy() - graph.node_features).min() > 0.5


def test_batch_is_a_leaf_and_travels():
    batch = GraphBatch.from_graphs([random_graph(0)])
    assert not isinstance(batch, dict | tuple | list)
    again = pickle.loads(pickle.dumps(batch))
    assert torch.equal(again.edge_features, batch.edge_features)
    assert batch.to("cpu").num_edges.dtype == torch.int64
    assert np.array_equal(batch.to("meta").row_start.shape, batch.row_start.shape)
