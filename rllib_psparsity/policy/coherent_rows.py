"""Draws of k edges a row without replacement that like rows share; every row's own distribution stays Plackett-Luce.

`policy.coherent_noise` draws edges with like features alike. For the action `top_k` the edges of one row must stay
apart, since they compete. So a row takes the inverse of its own distribution function at a uniform number: which edge
that is depends on the order in which the row's edges lie in [0, 1]. Here all rows of a graph lie in the order of one
random projection of the features, and most take the same numbers: rows with like edges then draw like edges, and an
edge that one end draws is likely drawn by the other.
"""

from __future__ import annotations

import numpy as np

from rllib_psparsity.compiled import compiled
from rllib_psparsity.graph.level_graph import LevelGraph
from rllib_psparsity.policy.row_kernels import row_adjacency, writable


def coherent_rows(
    graph: LevelGraph, logits: np.ndarray, k: int, coherence: float, rng: np.random.Generator
) -> np.ndarray:
    """(N, k) int32: the edges that every row draws, in that order, then -1 where it has fewer.

    Parameters
    ----------
    logits : (E,) real
    coherence : probability with which a row takes the graph's numbers in place of its own, in [0, 1)
    """
    row_start, _, edge = row_adjacency(writable(graph.edge_index, np.int32), graph.num_nodes)
    direction = rng.standard_normal(graph.edge_features.shape[1])
    shared = rng.random(k)
    own = rng.random((graph.num_nodes, k))
    uniform = np.where((rng.random(graph.num_nodes) < coherence)[:, None], shared, own)
    spread = graph.edge_features.std(axis=0, dtype=np.float64) if graph.num_edges else np.ones_like(direction)
    height = graph.edge_features @ (direction / np.maximum(spread, 1e-3))
    row = np.repeat(np.arange(graph.num_nodes), np.diff(row_start))
    ordered = edge[np.lexsort((height[edge], row))]
    return _draw(row_start, ordered, logits.astype(np.float64), uniform)


@compiled()
def _draw(row_start, ordered, logits, uniform):
    rows, k = uniform.shape
    picks = np.full((rows, k), -1, np.int32)
    weight = np.empty(max(1, np.max(np.diff(row_start)) if rows else 1))
    for i in range(rows):
        start, count = row_start[i], row_start[i + 1] - row_start[i]
        if count == 0:
            continue
        largest = logits[ordered[start]]
        for t in range(1, count):
            largest = max(largest, logits[ordered[start + t]])
        left = 0.0
        for t in range(count):
            # An edge is never quite out of reach: all rows fill their k places.
            weight[t] = np.exp(max(logits[ordered[start + t]] - largest, -600.0))
            left += weight[t]
        for step in range(min(k, count)):
            target, passed, last = uniform[i, step] * left, 0.0, -1
            for t in range(count):
                if weight[t] > 0.0:
                    last = t
                    passed += weight[t]
                    if passed > target:
                        break
            picks[i, step] = ordered[start + last]
            weight[last] = 0.0
            left = 0.0
            for t in range(count):
                left += weight[t]
    return picks
