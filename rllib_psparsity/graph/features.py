"""From a level's matrix and candidates to its graph with features.

Every feature is algebraic and local, follows a renumbering of the nodes, and does not change under A -> c A. For scalar
problems none changes under a diagonal scaling A -> D A D, B -> D^-1 B either, since all are functions of the reduced
matrix W below. Coordinates are never used: users have none.
"""

from __future__ import annotations

import numpy as np
from scipy.sparse import bsr_array, csr_array

from rllib_psparsity.compiled import compiled
from rllib_psparsity.graph.level_graph import EDGE_FEATURES, NODE_FEATURES, LevelGraph
from rllib_psparsity.unsigned import unsigned

LOG_FLOOR = -8.0
"""Couplings below 10^-8 of the diagonals count as 10^-8."""

IN_CACHE = 8192
"""Edges whose features, 44 bytes each, stay in a processor's cache between two passes over them."""

LARGEST = 16_384
"""Nodes from which on all sizes look alike: what is best hardly depends on them there, and a policy that has seen few
such graphs would extrapolate."""

TINY = 1e-300
"""Smallest divisor: the reciprocal of anything less might overflow."""


def level_graph(A: csr_array | bsr_array, B: np.ndarray, level: int) -> LevelGraph:
    """The observation of the level (A, B).

    Parameters
    ----------
    A : (n, n) symmetric csr_array, or bsr_array whose blocks become nodes; sorted indices
    B : (n, K_b) near-nullspace candidates
    level : number of the level, 0 for the finest
    """
    block = A.blocksize[0] if A.format == "bsr" else 1
    n = len(A.indptr) - 1
    W = A.indptr, A.indices, reduced_values(A, B)
    node_features = np.empty((n, len(NODE_FEATURES)), dtype=np.float32)
    node_features[:, 6:] = (level / 4.0, np.log10(min(n, LARGEST)) / 6.0, (block - 1) / 2.0)
    num_edges, rows = _row_statistics(*W, node_features)
    edge_index = np.empty((2, num_edges), dtype=np.int32)
    edge_features = np.empty((num_edges, len(EDGE_FEATURES)), dtype=np.float32)
    distance, nearest = np.empty(num_edges), np.full(n, np.inf)
    _edge_features(*W, rows, edge_index, edge_features, distance, nearest)
    for start in range(0, num_edges, IN_CACHE):
        part = slice(start, min(start + IN_CACHE, num_edges))
        _nearness(edge_index, distance, nearest, edge_features, part.start, part.stop)
        # Here, since numpy takes the logarithms of many at once.
        relative = np.maximum(edge_features[part, 0], np.float32(0.1 * 10.0**LOG_FLOOR))
        np.maximum(np.log10(relative, out=relative), LOG_FLOOR, out=edge_features[part, 0])
    return LevelGraph(node_features, edge_index, edge_features, level, block)


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


@compiled()
def _row_statistics(indptr, indices, values, node):
    """The number of edges, and per row what the edges need of their ends; fills the first six node features.

    Per row: w_ii as stored; ``1 / sqrt(w_ii)``; the reciprocals of the degree, of the largest -w and of the sum of
    magnitudes, all off the diagonal, and 0 where there is none; the l1 weight, which is w_ii plus that sum; the
    diagonals of S and of S^2 for the l1-Jacobi sweep S = I - D^-1 W, D = diag(weight). Explicit zeros are no couplings;
    a w_ii that is not positive counts as 1.
    """
    indptr, indices = unsigned(indptr), unsigned(indices)
    n = len(node)
    diagonal, root, per_degree = np.zeros(n), np.empty(n), np.zeros(n)
    per_largest, per_total = np.zeros(n), np.zeros(n)
    weight, stay, evolved = np.empty(n), np.empty(n), np.empty(n)
    for i in range(n):
        for e in range(indptr[i], indptr[i + 1]):
            if indices[e] == i:
                diagonal[i] = values[e]
        root[i] = 1.0 / np.sqrt(diagonal[i]) if diagonal[i] > 0 else 1.0
    num_edges = 0
    for i in range(n):
        own = diagonal[i] if diagonal[i] > 0 else 1.0
        degree, signed, total, positive, square, scaled, scaled_max, largest = 0, own, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
        for e in range(indptr[i], indptr[i + 1]):
            j = indices[e]
            w = values[e]
            if j == i or w == 0.0:
                continue
            size = abs(w)
            degree += 1
            num_edges += j > i
            signed += w
            total += size
            square += size * size
            positive += max(w, 0.0)
            largest = max(largest, -w)
            relative = size * root[i] * root[j]
            scaled += relative
            scaled_max = max(scaled_max, relative)
        if degree > 0:
            per_degree[i] = 1.0 / degree
            per_total[i] = 1.0 / max(total, TINY)
        if largest > 0:
            per_largest[i] = 1.0 / max(largest, TINY)
        weight[i] = own + total
        stay[i] = 1.0 - diagonal[i] / weight[i]
        node[i, 0] = np.log1p(degree) / 3.0
        node[i, 1] = min(scaled, 10.0)
        node[i, 2] = min(scaled_max, 10.0)
        node[i, 3] = positive * per_total[i]
        node[i, 4] = min(abs(signed) / own, 10.0)
        node[i, 5] = square * per_total[i] * per_total[i]
    for i in range(n):
        back = 0.0
        for e in range(indptr[i], indptr[i + 1]):
            if indices[e] != i:
                back += values[e] * values[e] / weight[indices[e]]
        evolved[i] = stay[i] * stay[i] + back / weight[i]
    return num_edges, (diagonal, root, per_degree, per_largest, per_total, weight, stay, evolved)


@compiled()
def _one_way_distance(response, full):
    """``|1 - full / response|``, capped: how far a delta function, evolved, is from the constant across an edge.

    A response of the other sign, or none, is no connection at all.
    """
    return min(abs(1.0 - full / response), 1e3) if full > 0 and response > 1e-3 * full else 1e3


@compiled()
def _edge_features(indptr, indices, values, rows, edge_index, edge, distance, nearest):
    """Fill all arrays but the features 8 and 9, the first without its logarithm; `nearest` is infinite before.

    The evolution distance of an edge, 0 for the strongest, is the mean over both ends of
    ``|1 - z_i / z_j|`` for the delta function z of i, evolved by S^2 (Olson, Schroder and Tuminaro 2010, section 3, for
    one candidate, which is the constant in W's variables).
    """
    indptr, indices = unsigned(indptr), unsigned(indices)
    diagonal, root, per_degree, per_largest, per_total, weight, stay, evolved = rows
    n = len(diagonal)
    spread = np.zeros(n)  # row i of W D^-1 without its diagonal, scattered
    count = 0
    for i in range(n):
        start, end = indptr[i], indptr[i + 1]
        for e in range(start, end):
            spread[indices[e]] = values[e] / weight[indices[e]]
        spread[i] = 0.0
        for e in range(start, end):
            j = indices[e]
            w = values[e]
            if j <= i or w == 0.0:
                continue
            size = abs(w)
            bound = size * (1.0 + 1e-6)  # a margin that rounding cannot cross
            # Over all of rows i and j, then without their diagonals: loops without branches.
            larger_i = -int(abs(diagonal[i]) > bound)
            for p in range(start, end):
                larger_i += abs(values[p]) > bound
            at_j = spread[j] * diagonal[j]
            larger_j, common, path = -int(abs(diagonal[j]) > bound), -int(at_j != 0.0), -at_j
            for q in range(indptr[j], indptr[j + 1]):
                step = spread[indices[q]] * values[q]
                path += step
                common += step != 0.0
                larger_j += abs(values[q]) > bound
            # D S^2 is symmetric: its entry is the response of each end to a delta function in the other.
            response = path - w * (stay[i] + stay[j])
            far = _one_way_distance(response, weight[j] * evolved[i]) + _one_way_distance(
                response, weight[i] * evolved[j]
            )
            distance[count] = max(0.5 * far, 1e-4)
            nearest[i] = min(nearest[i], distance[count])
            nearest[j] = min(nearest[j], distance[count])

            edge_index[0, count] = i
            edge_index[1, count] = j
            f = edge[count]
            f[0] = size * root[i] * root[j]
            pull = max(-w, 0.0)
            c_i, c_j = pull * per_largest[i], pull * per_largest[j]
            f[1], f[2] = min(c_i, c_j), max(c_i, c_j)
            # A product may leave a coupling in one direction only, by rounding: row j then knows nothing of it.
            s_i = size * per_total[i]
            s_j = min(size * per_total[j], 1.0) if per_total[j] > 0 else 1.0
            f[3], f[4] = min(s_i, s_j), max(s_i, s_j)
            r_i, r_j = larger_i * per_degree[i], larger_j * per_degree[j]
            f[5], f[6] = min(r_i, r_j), max(r_i, r_j)
            f[7] = 1.0 if w > 0 else -1.0
            f[10] = common * max(per_degree[i], per_degree[j])
            count += 1
        for e in range(start, end):
            spread[indices[e]] = 0.0


@compiled()
def _nearness(edge_index, distance, nearest, edge, start, stop):
    """Features 8 and 9 of the edges from start to stop: how near an edge is, of those of its ends."""
    for e in range(start, stop):
        v_i, v_j = nearest[edge_index[0, e]] / distance[e], nearest[edge_index[1, e]] / distance[e]
        edge[e, 8], edge[e, 9] = min(v_i, v_j), max(v_i, v_j)
