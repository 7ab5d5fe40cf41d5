"""From a level's matrix and candidates to its graph with features.

Every feature is algebraic and local, follows a renumbering of the nodes, and does not change under A -> c A. For scalar
problems none changes under a diagonal scaling A -> D A D, B -> D^-1 B either, since all are functions of the reduced
matrix W below. Coordinates are never used: users have none. What rounding left of a zero is none of its edges.
"""

from __future__ import annotations

import numpy as np
from scipy.sparse import bsr_array, csr_array

from rllib_psparsity.compiled import compiled
from rllib_psparsity.graph.kernels import clear_negligible, row_statistics
from rllib_psparsity.graph.large_graph import LargeLevelGraph
from rllib_psparsity.graph.level_graph import NODE_FEATURES, LevelGraph
from rllib_psparsity.unsigned import unsigned

LARGEST = 16_384
"""Nodes from which on all sizes look alike: what is best hardly depends on them there, and a policy that has seen few
such graphs would extrapolate."""
AT_ONCE = 4096
"""Nodes up to which all edge features are computed at once, since they stay in a processor's cache."""
EDGES_AT_ONCE = 1 << 17
"""And edges: a coarse level in three dimensions has hundreds a node."""


def level_graph(A: csr_array | bsr_array, B: np.ndarray, level: int) -> LevelGraph:
    """The observation of the level (A, B): a `LargeLevelGraph`, whose edge features wait, above `AT_ONCE` nodes or
    `EDGES_AT_ONCE` edges.

    Parameters
    ----------
    A : (n, n) symmetric csr_array, or bsr_array whose blocks become nodes; sorted indices
    B : (n, K_b) near-nullspace candidates
    level : number of the level, 0 for the finest
    """
    graph = large_level_graph(A, B, level)
    return graph if graph.num_nodes > AT_ONCE or graph.num_edges > EDGES_AT_ONCE else graph.complete()


def large_level_graph(A: csr_array | bsr_array, B: np.ndarray, level: int) -> LargeLevelGraph:
    """The same for a graph of any size, its edge features not computed yet."""
    block = A.blocksize[0] if A.format == "bsr" else 1
    n = len(A.indptr) - 1
    values = reduced_values(A, B)
    node_features = np.empty((n, len(NODE_FEATURES)), dtype=np.float32)
    node_features[:, 6:] = (level / 4.0, np.log10(min(n, LARGEST)) / 6.0, (block - 1) / 2.0)
    num_edges, negligible, rows = row_statistics(A.indptr, A.indices, values, node_features)
    if negligible:
        values = values.copy() if values is A.data else values
        clear_negligible(A.indptr, A.indices, values, rows[1])
    return LargeLevelGraph(node_features, level, block, (A.indptr, A.indices, values), rows, num_edges)


def reduced_values(A: csr_array | bsr_array, B: np.ndarray) -> np.ndarray:
    """One number per stored entry or block of A: the values of the (N, N) matrix W that the features are made of.

    Scalar A: ``w_ij = b_i a_ij b_j`` with the first candidate b, so that smooth error is constant in W's variables; if
    b has a zero, ``a_ij / sqrt(a_ii a_jj)``. Block A: the graph Laplacian of the blocks' Frobenius norms,
    ``w_ij = -|A_ij|_F``, the auxiliary matrix that block methods commonly coarsen by. For a constant b, A's own array,
    since a factor changes no feature.
    """
    if A.format == "bsr":
        values = np.empty(len(A.indices))
        _block_laplacian(A.indptr, A.indices, A.data, values)
        return values
    b = B[:, 0]
    if (b == 0).any():
        diagonal = A.diagonal()
        b = 1.0 / np.sqrt(np.where(diagonal > 0, diagonal, 1.0))
    elif (b == b[0]).all():
        return A.data
    values = np.empty(len(A.indices))
    _scale(A.indptr, A.indices, A.data, np.ascontiguousarray(b), values)
    return values


@compiled()
def _scale(indptr, indices, data, b, values):
    indptr, indices = unsigned(indptr), unsigned(indices)
    for i in range(len(b)):
        for e in range(indptr[i], indptr[i + 1]):
            values[e] = data[e] * b[i] * b[indices[e]]


@compiled()
def _block_laplacian(indptr, indices, blocks, values):
    for i in range(len(indptr) - 1):
        total, diagonal = 0.0, -1
        for e in range(indptr[i], indptr[i + 1]):
            if indices[e] == i:
                diagonal = e
                continue
            square = 0.0
            for p in range(blocks.shape[1]):
                for q in range(blocks.shape[2]):
                    square += blocks[e, p, q] * blocks[e, p, q]
            values[e] = -np.sqrt(square)
            total += np.sqrt(square)
        if diagonal >= 0:
            values[diagonal] = total if total > 0 else 1.0
