"""Strength of connection: from a mask over undirected edges to PyAMG's matrix C."""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_array

from rllib_psparsity.compiled import compiled
from rllib_psparsity.graph.level_graph import LevelGraph
from rllib_psparsity.unsigned import unsigned


def strength_matrix(graph: LevelGraph, edge_is_strong: np.ndarray) -> csr_array:
    """The nodal strength-of-connection matrix of a decision.

    Parameters
    ----------
    graph : LevelGraph with N nodes and E undirected edges
    edge_is_strong : (E,) bool

    Returns
    -------
    (N, N) csr_array of int8 with entries 1: both directions of every strong edge, and the diagonal, which PyAMG's
    aggregation and prolongation smoothing take for granted. Symmetric; sorted indices. Only its pattern plays a role,
    and hierarchies that are updated keep it.
    """
    n = graph.num_nodes
    mask = np.asarray(edge_is_strong, dtype=bool)
    indptr = np.zeros(n + 1, dtype=np.int32)
    indices = np.empty(n + 2 * np.count_nonzero(mask), dtype=np.int32)
    _fill(graph.edge_index, mask, indptr, indices)
    return csr_array((np.ones(len(indices), dtype=np.int8), indices, indptr), shape=(n, n))


@compiled()
def _fill(edge_index, mask, indptr, indices):
    """Edges come sorted by their smaller, then their larger end, so rows filled in their order are sorted."""
    edge_index = unsigned(edge_index)
    n = len(indptr) - 1
    lower = np.zeros(n, dtype=np.int32)  # first the counts, then the next places of each row's smaller neighbours
    upper = np.zeros(n, dtype=np.int32)
    for e in range(len(mask)):
        if mask[e]:
            upper[edge_index[0, e]] += 1
            lower[edge_index[1, e]] += 1
    for i in range(n):
        diagonal = indptr[i] + lower[i]
        indptr[i + 1] = diagonal + 1 + upper[i]
        indices[diagonal] = i
        lower[i], upper[i] = indptr[i], diagonal + 1
    for e in range(len(mask)):
        if mask[e]:
            i, j = edge_index[0, e], edge_index[1, e]
            indices[upper[i]] = j
            indices[lower[j]] = i
            upper[i] += 1
            lower[j] += 1
