"""Random level graphs, and ways to rearrange them."""

from __future__ import annotations

import numpy as np

from rllib_psparsity.graph.level_graph import EDGE_FEATURES, NODE_FEATURES, LevelGraph


def random_graph(seed: int, nodes: int = 12, edges: int = 20, block_size: int = 1) -> LevelGraph:
    """A graph of distinct random edges with features in their documented ranges."""
    rng = np.random.default_rng(seed)
    first, second = np.triu_indices(nodes, 1)
    chosen = np.sort(rng.choice(len(first), size=min(edges, len(first)), replace=False))
    return graph_from(rng, nodes, np.stack([first[chosen], second[chosen]]), block_size)


def graph_from(rng: np.random.Generator, nodes: int, edge_index: np.ndarray, block_size: int = 1) -> LevelGraph:
    edge_features = rng.random((edge_index.shape[1], len(EDGE_FEATURES))).astype(np.float32)
    edge_features[:, EDGE_FEATURES.index("log_symmetric")] *= -3
    node_features = rng.random((nodes, len(NODE_FEATURES))).astype(np.float32)
    return LevelGraph(node_features, edge_index.astype(np.int32).reshape(2, -1), edge_features, 0, block_size)


def renumbered(graph: LevelGraph, permutation: np.ndarray) -> tuple[LevelGraph, np.ndarray]:
    """Node i becomes permutation[i]; also the old number of each new edge."""
    ends = np.sort(permutation[graph.edge_index], axis=0)
    old_edge = np.lexsort((ends[1], ends[0]))
    node_features = np.empty_like(graph.node_features)
    node_features[permutation] = graph.node_features
    edge_index = ends[:, old_edge].astype(np.int32)
    new = LevelGraph(node_features, edge_index, graph.edge_features[old_edge], graph.level, graph.block_size)
    return new, old_edge
