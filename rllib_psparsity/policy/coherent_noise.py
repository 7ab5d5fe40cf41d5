"""Noise that like edges share, so that exploration tries whole directions of coupling and not one edge here and there.

Where every edge is drawn by itself, the random cuts of thousands of edges cancel out: the hierarchies of a policy look
all alike, and what a stencil direction would be worth as a whole is never seen. Here edges with like features are drawn
alike. The probability of each single edge stays what the policy says, so nothing changes for a learner that takes
probability ratios edge by edge; only their joint distribution does.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from rllib_psparsity.graph.level_graph import LevelGraph

SPREAD_FLOOR = 1e-3
"""Features that vary by less over a graph do not tell its edges apart."""


def coherent_uniform(graph: LevelGraph, coherence: float, rng: np.random.Generator) -> np.ndarray:
    """(E,) float64, each entry uniform in [0, 1]: shared with like edges with probability `coherence`, else its own.

    What is shared is ``(1 + p_1 / |p|) / 2`` for ``p = G f_e`` in three dimensions, with one standard normal matrix G
    for the whole graph and f_e the edge's features, in deviations from their mean over the graph, and a one. The
    direction of p is uniform on the sphere, whatever f_e is, and so is its height between the poles (Archimedes).
    """
    G = rng.standard_normal((graph.edge_features.shape[1] + 1, 3))
    uniform = rng.random(graph.num_edges)
    _share(graph.edge_features, G, coherence, uniform)
    return uniform


@njit(cache=True)
def _share(features, G, coherence, uniform):
    count, columns = features.shape
    total, squares = np.zeros(columns), np.zeros(columns)
    for e in range(count):
        for f in range(columns):
            x = np.float64(features[e, f])
            total[f] += x
            squares[f] += x * x
    scaled, shift = np.empty((columns, 3)), G[columns].copy()
    for f in range(columns):
        mean = total[f] / max(count, 1)
        deviation = np.sqrt(max(squares[f] / max(count, 1) - mean * mean, 0.0))
        for k in range(3):
            scaled[f, k] = G[f, k] / (deviation + SPREAD_FLOOR)
            shift[k] -= mean * scaled[f, k]
    for e in range(count):
        if uniform[e] < coherence:
            p, q, r = shift[0], shift[1], shift[2]
            for f in range(columns):
                x = np.float64(features[e, f])
                p += x * scaled[f, 0]
                q += x * scaled[f, 1]
                r += x * scaled[f, 2]
            uniform[e] = 0.5 + 0.5 * p / np.sqrt(p * p + q * q + r * r)
        else:
            uniform[e] = (uniform[e] - coherence) / (1.0 - coherence)
