"""The observation of one AMG level."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

NODE_FEATURES = (
    "log_degree",
    "row_sum_abs",
    "row_max",
    "positive_share",
    "null_residual",
    "concentration",
    "level",
    "log_size",
    "block_size",
)

EDGE_FEATURES = (
    "log_symmetric",
    "classical_min",
    "classical_max",
    "share_min",
    "share_max",
    "rank_min",
    "rank_max",
    "sign",
    "evolution_min",
    "evolution_max",
    "common_neighbours",
)


@dataclass(frozen=True, slots=True)
class LevelGraph:
    """The graph of a level's matrix; nodes are unknowns, or blocks of unknowns for a block matrix.

    Attributes
    ----------
    node_features : (N, F_n) float32, columns `NODE_FEATURES`
    edge_index : (2, E) int32
        Undirected edges, each once, with ``edge_index[0] < edge_index[1]``, sorted by first then second end.
    edge_features : (E, F_e) float32, columns `EDGE_FEATURES`; equal for both directions of an edge
    level : int, 0 for the user's matrix
    block_size : int, unknowns per node

    A dataclass with slots, never a dict or tuple: RLlib would batch those field by field.
    """

    node_features: np.ndarray
    edge_index: np.ndarray
    edge_features: np.ndarray
    level: int
    block_size: int

    @property
    def num_nodes(self) -> int:
        return len(self.node_features)

    @property
    def num_edges(self) -> int:
        return self.edge_index.shape[1]

    def edge_feature(self, column: int) -> np.ndarray:
        """(E,) one of the features."""
        return self.edge_features[:, column]

    def edge_sample(self) -> np.ndarray:
        """(S, F_e) features of edges that stand for all: of all, or of some of a large graph."""
        return self.edge_features

    def complete(self) -> LevelGraph:
        """With all features in memory."""
        return self
