"""A batch of level graphs: their disjoint union, as tensors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import torch
from torch import Tensor

from rllib_psparsity.graph.level_graph import LevelGraph
from rllib_psparsity.policy.row_kernels import feature_moments, row_adjacency, writable


@dataclass(frozen=True, slots=True)
class GraphBatch:
    """The disjoint union of G level graphs; N and E count the nodes and edges of all of them.

    Attributes
    ----------
    node_features : (N, F_n) float32
    edge_index : (2, E) int64, node numbers in the union, ``edge_index[0] < edge_index[1]``
    edge_features : (E, F_e) float32
    edge_moments : (G, 2 F_e) float32, mean and deviation of each graph's edge features, zero without edges
    node_graph, edge_graph : (N,) and (E,) int64, the graph that each belongs to
    num_nodes, num_edges, block_size, level : (G,) int64
    row_start : (N + 1,) int32
        The union's adjacency by rows: row i owns the entries row_start[i] to row_start[i + 1].
    neighbour, incident_edge : (2E,) int32
        Other end and edge number of each entry; a row's entries ascend in both.

    Graphs and their nodes and edges keep their order. A dataclass with slots, never a dict or tuple: RLlib would
    batch those field by field.
    """

    node_features: Tensor
    edge_index: Tensor
    edge_features: Tensor
    edge_moments: Tensor
    node_graph: Tensor
    edge_graph: Tensor
    num_nodes: Tensor
    num_edges: Tensor
    block_size: Tensor
    level: Tensor
    row_start: Tensor
    neighbour: Tensor
    incident_edge: Tensor

    @property
    def num_graphs(self) -> int:
        return len(self.num_nodes)

    @classmethod
    def from_graphs(
        cls,
        graphs: Sequence[LevelGraph],
        device: torch.device | str | None = None,
        edge_moments: Tensor | None = None,
    ) -> GraphBatch:
        """Collate at least one graph; the graphs' arrays are copied, so they may be read-only.

        `edge_moments` is given where they are known from another batch.
        """
        num_nodes = np.array([graph.num_nodes for graph in graphs], dtype=np.int64)
        num_edges = np.array([graph.num_edges for graph in graphs], dtype=np.int64)
        first_node = np.cumsum(num_nodes) - num_nodes
        ids = np.arange(len(graphs), dtype=np.int64)
        edge_index = np.concatenate([graph.edge_index for graph in graphs], axis=1, dtype=np.int64)
        edge_index += np.repeat(first_node, num_edges)
        row_start, neighbour, incident_edge = row_adjacency(edge_index, int(num_nodes.sum()))
        arrays = {
            "node_features": np.concatenate([graph.node_features for graph in graphs], dtype=np.float32),
            "edge_index": edge_index,
            "edge_features": np.concatenate([graph.edge_features for graph in graphs], dtype=np.float32),
            "node_graph": np.repeat(ids, num_nodes),
            "edge_graph": np.repeat(ids, num_edges),
            "num_nodes": num_nodes,
            "num_edges": num_edges,
            "block_size": np.array([graph.block_size for graph in graphs], dtype=np.int64),
            "level": np.array([graph.level for graph in graphs], dtype=np.int64),
            "row_start": row_start,
            "neighbour": neighbour,
            "incident_edge": incident_edge,
        }
        if edge_moments is None:
            edge_moments = torch.from_numpy(np.stack([np.concatenate(_moments(graph)) for graph in graphs])).to(device)
        return cls(
            edge_moments=edge_moments,
            **{name: torch.from_numpy(array).to(device) for name, array in arrays.items()},
        )

    def to(self, device: torch.device | str) -> GraphBatch:
        return GraphBatch(**{field.name: getattr(self, field.name).to(device) for field in fields(self)})


def _moments(graph: LevelGraph) -> tuple[np.ndarray, np.ndarray]:
    features = writable(graph.edge_features, np.float32)
    return feature_moments(features, (0,) * features.shape[1])
