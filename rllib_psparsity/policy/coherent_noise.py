"""Noise that like edges share, so that exploration tries whole directions of coupling and not one edge here and there.

Where every edge is drawn by itself, the random cuts of thousands of edges cancel out: the hierarchies of a policy look
all alike, and what a stencil direction would be worth as a whole is never seen. Here edges with like features are drawn
alike. The probability of each single edge stays what the policy says, so nothing changes for a learner that takes
probability ratios edge by edge; only their joint distribution does.

A large graph is divided into regions, each with noise of its own. Credit is by node, so every region is an experiment
by itself, and an episode on 128x128 nodes tries as much as 16 on 32x32.
"""

from __future__ import annotations

import numpy as np

from rllib_psparsity.compiled import compiled
from rllib_psparsity.graph.level_graph import LevelGraph
from rllib_psparsity.policy.row_kernels import row_adjacency, writable

SPREAD_FLOOR = 1e-3
"""Features that vary by less over a graph do not tell its edges apart."""
REGION = 1024
"""Nodes of a region, on average: enough for the hierarchies of their neighbours to matter little."""


def coherent_uniform(graph: LevelGraph, coherence: float, rng: np.random.Generator) -> np.ndarray:
    """(E,) float64, each entry uniform in [0, 1]: shared with like edges with probability `coherence`, else its own.

    What is shared is ``(1 + p_1 / |p|) / 2`` for ``p = G f_e`` in three dimensions, with one standard normal matrix G
    for each region and f_e the edge's features, in deviations from their mean over the graph, and a one. The direction
    of p is uniform on the sphere, whatever f_e is, and so is its height between the poles (Archimedes). An edge belongs
    to the region of its first end.
    """
    count = max(1, graph.num_nodes // REGION)
    G = rng.standard_normal((count, graph.edge_features.shape[1] + 1, 3))
    uniform = rng.random(graph.num_edges)
    region = np.zeros(graph.num_nodes, dtype=np.int32)
    if count > 1:
        row_start, neighbour, _ = row_adjacency(writable(graph.edge_index, np.int32), graph.num_nodes)
        centres = rng.choice(graph.num_nodes, count, replace=False)
        _grow(row_start, neighbour, centres, region)
    _share(graph.edge_features, writable(graph.edge_index[0], np.int32), region, G, coherence, uniform)
    return uniform


@compiled()
def _grow(row_start, neighbour, centres, region):
    """Number of the centre that is nearest by steps along edges, for every node; 0 where there is no way to any."""
    queue = np.empty(len(region), np.int64)
    region[:] = -1
    last = 0
    for k in range(len(centres)):
        region[centres[k]] = k
        queue[last] = centres[k]
        last += 1
    first = 0
    while first < last:
        i = queue[first]
        first += 1
        for entry in range(row_start[i], row_start[i + 1]):
            j = neighbour[entry]
            if region[j] < 0:
                region[j] = region[i]
                queue[last] = j
                last += 1
    for i in range(len(region)):
        region[i] = max(region[i], 0)


@compiled()
def _share(features, first_end, region, G, coherence, uniform):
    count, columns = features.shape
    total, squares = np.zeros(columns), np.zeros(columns)
    for e in range(count):
        for f in range(columns):
            x = np.float64(features[e, f])
            total[f] += x
            squares[f] += x * x
    scaled, shift = np.empty((len(G), columns, 3)), G[:, columns].copy()
    for f in range(columns):
        mean = total[f] / max(count, 1)
        deviation = np.sqrt(max(squares[f] / max(count, 1) - mean * mean, 0.0))
        for g in range(len(G)):
            for k in range(3):
                scaled[g, f, k] = G[g, f, k] / (deviation + SPREAD_FLOOR)
                shift[g, k] -= mean * scaled[g, f, k]
    for e in range(count):
        if uniform[e] < coherence:
            g = region[first_end[e]]
            p, q, r = shift[g, 0], shift[g, 1], shift[g, 2]
            for f in range(columns):
                x = np.float64(features[e, f])
                p += x * scaled[g, f, 0]
                q += x * scaled[g, f, 1]
                r += x * scaled[g, f, 2]
            uniform[e] = 0.5 + 0.5 * p / np.sqrt(p * p + q * q + r * r)
        else:
            uniform[e] = (uniform[e] - coherence) / (1.0 - coherence)
