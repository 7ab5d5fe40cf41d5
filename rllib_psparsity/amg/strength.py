"""Strength of connection: from a mask over undirected edges to PyAMG's matrix C."""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_array

from rllib_psparsity.graph.level_graph import LevelGraph


def strength_matrix(graph: LevelGraph, edge_is_strong: np.ndarray) -> csr_array:
    """The nodal strength-of-connection matrix of a decision.

    Parameters
    ----------
    graph : LevelGraph with N nodes and E undirected edges
    edge_is_strong : (E,) bool

    Returns
    -------
    (N, N) csr_array with entries 1: both directions of every strong edge, and the diagonal, which PyAMG's aggregation
    and prolongation smoothing take for granted. Symmetric; sorted indices.
    """
    n = graph.num_nodes
    i, j = graph.edge_index[:, np.asarray(edge_is_strong, dtype=bool)]
    nodes = np.arange(n, dtype=np.int32)
    rows = np.concatenate([i, j, nodes])
    columns = np.concatenate([j, i, nodes])
    order = np.lexsort((columns, rows))
    indptr = np.zeros(n + 1, dtype=np.int32)
    np.cumsum(np.bincount(rows, minlength=n), out=indptr[1:])
    return csr_array((np.ones(len(rows)), columns[order], indptr), shape=(n, n))
