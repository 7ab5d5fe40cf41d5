"""The observation of a large level, whose edge features are computed when they are asked for."""

from __future__ import annotations

from typing import Any

import numpy as np

from rllib_psparsity.graph import kernels
from rllib_psparsity.graph.level_graph import EDGE_FEATURES, LevelGraph

SAMPLE = 1024
"""Edges that stand for all of a large graph: means stray by 3 % of the deviation among edges."""

LOG_FLOOR = -8.0
"""Couplings below 10^-8 of the diagonals count as 10^-8."""

IN_CACHE = 8192
"""Edges whose features, 44 bytes each, stay in a processor's cache between two passes over them."""

LOG_SYMMETRIC = EDGE_FEATURES.index("log_symmetric")
OWN = (*range(5), EDGE_FEATURES.index("sign"))
"""Features that an edge has by itself."""
NEARNESS = EDGE_FEATURES.index("evolution_min")
"""This one and the next."""


class LargeLevelGraph(LevelGraph):
    """A `LevelGraph` that knows its matrix.

    A policy without message passing asks for one feature of all edges and for some edges' features. The whole table has
    eleven columns, takes as much memory as the operator, and to fill it takes longer than to coarsen.

    Pickled, as everywhere outside a set-up, it is a complete `LevelGraph`.
    """

    __slots__ = ("_W", "_complete", "_rows")

    def __init__(
        self,
        node_features: np.ndarray,
        level: int,
        block_size: int,
        W: tuple[np.ndarray, np.ndarray, np.ndarray],
        rows: tuple[np.ndarray, ...],
        num_edges: int,
    ) -> None:
        """W (N, N) is ``indptr, indices, values`` of the reduced matrix, and `rows` its `row_statistics`."""
        edge_index = np.empty((2, num_edges), dtype=np.int32)
        kernels.edges(*W, edge_index)
        state = {"node_features": node_features, "edge_index": edge_index, "level": level, "block_size": block_size}
        for name, value in (state | {"_W": W, "_rows": rows, "_complete": None}).items():
            object.__setattr__(self, name, value)

    @property
    def edge_features(self) -> np.ndarray:  # type: ignore[override]
        return self.complete().edge_features

    def complete(self) -> LevelGraph:
        complete: LevelGraph | None = self._complete
        if complete is None:
            complete = self._completed()
            object.__setattr__(self, "_complete", complete)
        return complete

    def _completed(self) -> LevelGraph:
        features = np.empty((self.num_edges, len(EDGE_FEATURES)), dtype=np.float32)
        distance, nearest = np.empty(self.num_edges), np.full(self.num_nodes, np.inf)
        kernels.edge_features(*self._W, self._rows, features, distance, nearest)
        for start in range(0, self.num_edges, IN_CACHE):
            stop = min(start + IN_CACHE, self.num_edges)
            kernels.nearness(self.edge_index, distance, nearest, features, NEARNESS, start, stop)
            _take_logarithm(features[start:stop, LOG_SYMMETRIC])
        return LevelGraph(self.node_features, self.edge_index, features, self.level, self.block_size)

    def edge_feature(self, column: int) -> np.ndarray:
        if column in OWN:
            found = np.empty(self.num_edges, dtype=np.float32)
            kernels.own_feature(*self._W, self._rows, column, found)
            if column == LOG_SYMMETRIC:
                _take_logarithm(found)
            return found
        if column in (NEARNESS, NEARNESS + 1):
            distance, nearest = np.empty(self.num_edges), np.full(self.num_nodes, np.inf)
            no_table = np.empty((0, len(EDGE_FEATURES)), dtype=np.float32)
            kernels.edge_features(*self._W, self._rows, no_table, distance, nearest)
            found = np.empty((self.num_edges, 2), dtype=np.float32)
            kernels.nearness(self.edge_index, distance, nearest, found, 0, 0, self.num_edges)
            return found[:, column - NEARNESS]
        return self.edge_features[:, column]

    def edge_sample(self) -> np.ndarray:
        """Of `SAMPLE` edges, one drawn from each of as many equal parts of their list; always the same ones."""
        count = min(SAMPLE, self.num_edges)
        parts = np.arange(count) + np.random.default_rng(0).random(count)
        ends = np.ascontiguousarray(self.edge_index[:, (parts * (self.num_edges / max(count, 1))).astype(int)])
        features = np.empty((count, len(EDGE_FEATURES)), dtype=np.float32)
        distance = np.empty(count)
        kernels.features_of(ends, *self._W, self._rows, features, distance)
        nearest = np.zeros(self.num_nodes)
        kernels.nearest_of(ends, *self._W, self._rows, distance, nearest)
        kernels.nearness(ends, distance, nearest, features, NEARNESS, 0, count)
        _take_logarithm(features[:, LOG_SYMMETRIC])
        return features

    def __reduce__(self) -> tuple[Any, ...]:
        graph = self.complete()
        return LevelGraph, (graph.node_features, graph.edge_index, graph.edge_features, graph.level, graph.block_size)


def _take_logarithm(feature: np.ndarray) -> None:
    """In place; numpy takes the logarithms of many at once, which the kernels cannot."""
    relative = np.maximum(feature, np.float32(0.1 * 10.0**LOG_FLOOR))
    np.maximum(np.log10(relative, out=relative), LOG_FLOOR, out=feature)
