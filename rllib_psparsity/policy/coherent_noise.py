"""Noise that like edges share, so that exploration tries whole directions of coupling and not one edge here and there.

Where every edge is drawn by itself, the random cuts of thousands of edges cancel out: the hierarchies of a policy look
all alike, and what a stencil direction would be worth as a whole is never seen. Here edges with like features are drawn
alike. The probability of each single edge stays what the policy says, so nothing changes for a learner that takes
probability ratios edge by edge; only their joint distribution does (a Gaussian copula).
"""

from __future__ import annotations

import numpy as np
from numba import njit
from scipy.special import ndtr

from rllib_psparsity.graph.level_graph import LevelGraph

SPREAD_FLOOR = 1e-3
"""Features that vary by less over a graph do not tell its edges apart."""


def coherent_uniform(graph: LevelGraph, coherence: float, rng: np.random.Generator) -> np.ndarray:
    """(E,) float64, each entry uniform in [0, 1]: Phi(c z_e + sqrt(1 - c^2) n_e), c the coherence.

    n_e is independent standard normal noise. z_e = f_e . w / |f_e| is standard normal too, with one standard normal w
    for the whole graph and f_e the edge's features, in deviations from their mean over the graph, and a one. So the
    correlation of two edges is c^2 times the cosine between their features.
    """
    w = rng.standard_normal(graph.edge_features.shape[1] + 1)
    shared = np.empty(graph.num_edges)
    _project(np.ascontiguousarray(graph.edge_features), w, shared)
    own = rng.standard_normal(graph.num_edges)
    return ndtr(coherence * shared + np.sqrt(1.0 - coherence**2) * own)


@njit(cache=True)
def _project(features, w, out):
    count, columns = features.shape
    mean, deviation = np.zeros(columns), np.zeros(columns)
    for e in range(count):
        for f in range(columns):
            mean[f] += features[e, f]
            deviation[f] += features[e, f] ** 2
    for f in range(columns):
        mean[f] /= max(count, 1)
        deviation[f] = np.sqrt(max(deviation[f] / max(count, 1) - mean[f] ** 2, 0.0)) + SPREAD_FLOOR
    for e in range(count):
        dot, norm = w[columns], 1.0
        for f in range(columns):
            x = (features[e, f] - mean[f]) / deviation[f]
            dot += x * w[f]
            norm += x * x
        out[e] = dot / np.sqrt(norm)
