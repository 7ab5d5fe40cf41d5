"""From a level's matrix and candidates to its graph with features.

Every feature is algebraic and local, follows a renumbering of the nodes, and does not change under A -> c A. For scalar
problems none changes under a diagonal scaling A -> D A D, B -> D^-1 B either, since all are functions of the reduced
matrix W below. Coordinates are never used: users have none.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from scipy.sparse import bsr_array, csr_array

from rllib_psparsity.graph.level_graph import EDGE_FEATURES, NODE_FEATURES, LevelGraph

LOG_FLOOR = -8.0
"""Couplings below 10^-8 of the diagonals count as 10^-8."""


def level_graph(A: csr_array | bsr_array, B: np.ndarray, level: int) -> LevelGraph:
    """The observation of the level (A, B).

    Parameters
    ----------
    A : (n, n) symmetric csr_array, or bsr_array whose blocks become nodes; sorted indices
    B : (n, K_b) near-nullspace candidates
    level : number of the level, 0 for the finest
    """
    block = A.blocksize[0] if A.format == "bsr" else 1
    W = reduced_matrix(A, B)
    n = W.shape[0]
    edge_index, edge_features, node_features = _features(W.indptr, W.indices, W.data, W.diagonal(), W.nnz)
    node_features[:, 6:] = (level / 4.0, np.log10(n) / 6.0, (block - 1) / 2.0)
    return LevelGraph(node_features, edge_index, edge_features, level, block)


def reduced_matrix(A: csr_array | bsr_array, B: np.ndarray) -> csr_array:
    """One number per pair of nodes: the (N, N) matrix W that the features are made of.

    Scalar A: ``w_ij = b_i a_ij b_j`` with the first candidate b, so that smooth error is constant in W's variables; if
    b has a zero, ``a_ij / sqrt(a_ii a_jj)``. Block A: the graph Laplacian of the blocks' Frobenius norms,
    ``w_ij = -|A_ij|_F``, the auxiliary matrix that block methods commonly coarsen by.
    """
    if A.format == "bsr":
        norms = np.sqrt(np.einsum("eij,eij->e", A.data, A.data))
        rows = np.repeat(np.arange(len(A.indptr) - 1), np.diff(A.indptr))
        off = rows != A.indices
        norms = np.where(off, -norms, 0.0)
        sums = -np.bincount(rows, weights=norms, minlength=len(A.indptr) - 1)
        norms[~off] = np.where(sums > 0, sums, 1.0)[rows[~off]]
        return csr_array((norms, A.indices, A.indptr), shape=(len(A.indptr) - 1,) * 2)
    b = B[:, 0]
    if (b == 0).any():
        diagonal = A.diagonal()
        b = 1.0 / np.sqrt(np.where(diagonal > 0, diagonal, 1.0))
    rows = np.repeat(b, np.diff(A.indptr))
    return csr_array((A.data * rows * b[A.indices], A.indices, A.indptr), shape=A.shape)


def _features(indptr, indices, data, diagonal, nnz):
    """Allocate and fill; the work is in the compiled kernels."""
    n = len(diagonal)
    node = np.zeros((n, len(NODE_FEATURES)), dtype=np.float32)
    edge_index = np.empty((2, nnz), dtype=np.int32)
    edge = np.empty((nnz, len(EDGE_FEATURES)), dtype=np.float32)
    diagonal = np.where(diagonal > 0, diagonal, 1.0)
    row = _row_statistics(indptr, indices, data, diagonal, node)
    count = _edge_features(indptr, indices, data, diagonal, *row, edge_index, edge)
    return edge_index[:, :count].copy(), edge[:count].copy(), node


@njit(cache=True)
def _two_step(indptr, indices, data, weight, i, j):
    """Entries (S^2)_ij and the number of common neighbours of i and j, for S = I - D^-1 W with D = diag(weight).

    Merges the sorted rows i and j; W is symmetric, so row j is also column j.
    """
    p, q = indptr[i], indptr[j]
    end_p, end_q = indptr[i + 1], indptr[j + 1]
    total, common = 0.0, 0
    while p < end_p and q < end_q:
        k = indices[p]
        if k < indices[q]:
            p += 1
        elif k > indices[q]:
            q += 1
        else:
            s_ik = (1.0 if k == i else 0.0) - data[p] / weight[i]
            s_kj = (1.0 if k == j else 0.0) - data[q] / weight[k]
            total += s_ik * s_kj
            if k != i and k != j and data[p] != 0.0 and data[q] != 0.0:
                common += 1
            p += 1
            q += 1
    return total, common


@njit(cache=True)
def _row_statistics(indptr, indices, data, diagonal, node):
    """Per row: degree, l1 weight, largest -w, sum |w| (off-diagonal), evolved diagonal, smallest evolution distance;
    fills the first six node features. Explicit zeros are no couplings."""
    n = len(diagonal)
    degrees = np.zeros(n, dtype=np.int32)
    weight = np.empty(n)
    largest_negative = np.zeros(n)
    total = np.zeros(n)
    for i in range(n):
        degree, signed, positive, square, scaled, scaled_max = 0, diagonal[i], 0.0, 0.0, 0.0, 0.0
        for e in range(indptr[i], indptr[i + 1]):
            j = indices[e]
            w = data[e]
            if j == i or w == 0.0:
                continue
            size = abs(w)
            degree += 1
            signed += w
            total[i] += size
            square += size * size
            if w > 0:
                positive += size
            largest_negative[i] = max(largest_negative[i], -w)
            relative = size / np.sqrt(diagonal[i] * diagonal[j])
            scaled += relative
            scaled_max = max(scaled_max, relative)
        degrees[i] = degree
        weight[i] = diagonal[i] + total[i]
        node[i, 0] = np.log1p(degree) / 3.0
        node[i, 1] = min(scaled, 10.0)
        node[i, 2] = min(scaled_max, 10.0)
        node[i, 3] = positive / total[i] if total[i] > 0 else 0.0
        node[i, 4] = min(abs(signed) / diagonal[i], 10.0)
        node[i, 5] = square / (total[i] * total[i]) if square > 0 else 0.0
    evolved = np.empty(n)
    for i in range(n):
        evolved[i] = _two_step(indptr, indices, data, weight, i, i)[0]
    nearest = np.full(n, np.inf)
    for i in range(n):
        for e in range(indptr[i], indptr[i + 1]):
            j = indices[e]
            if j > i and data[e] != 0.0:
                distance = _evolution_distance(
                    _two_step(indptr, indices, data, weight, i, j)[0], evolved[i], evolved[j], weight[i], weight[j]
                )
                nearest[i] = min(nearest[i], distance)
                nearest[j] = min(nearest[j], distance)
    return degrees, weight, largest_negative, total, evolved, nearest


@njit(cache=True)
def _evolution_distance(entry, evolved_i, evolved_j, weight_i, weight_j):
    """How far the evolved delta functions of i and j are from the constant across the edge; 0 is strongest.

    ``|1 - z_i / z_j|`` for the evolved delta function z of i, and the mean with that of j (Olson, Schroder and Tuminaro
    2010, section 3, for one candidate, which is the constant in W's variables). ``entry`` is (S^2)_ij; since D S^2 is
    symmetric, (S^2)_ji = entry weight_i / weight_j.
    """
    # A response of the other sign, or none, is no connection at all.
    at_j = entry * weight_i / weight_j / evolved_i if evolved_i > 0 else 0.0
    at_i = entry / evolved_j if evolved_j > 0 else 0.0
    d_i = min(abs(1.0 - 1.0 / at_j), 1e3) if at_j > 1e-3 else 1e3
    d_j = min(abs(1.0 - 1.0 / at_i), 1e3) if at_i > 1e-3 else 1e3
    return max(0.5 * (d_i + d_j), 1e-4)


@njit(cache=True)
def _rank(indptr, indices, data, i, size):
    """Share of row i's couplings that are larger than `size`, by a margin that rounding cannot cross."""
    larger, degree = 0, 0
    for e in range(indptr[i], indptr[i + 1]):
        if indices[e] != i and data[e] != 0.0:
            degree += 1
            if abs(data[e]) > size * (1.0 + 1e-6):
                larger += 1
    return larger / degree if degree > 0 else 0.0


@njit(cache=True)
def _edge_features(
    indptr,
    indices,
    data,
    diagonal,
    degrees,
    weight,
    largest_negative,
    total,
    evolved,
    nearest,
    edge_index,
    edge,
):
    n = len(diagonal)
    count = 0
    for i in range(n):
        for e in range(indptr[i], indptr[i + 1]):
            j = indices[e]
            w = data[e]
            if j <= i or w == 0.0:
                continue
            size = abs(w)
            edge_index[0, count] = i
            edge_index[1, count] = j
            f = edge[count]
            f[0] = max(np.log10(size / np.sqrt(diagonal[i] * diagonal[j])), -8.0)
            pull = max(-w, 0.0)
            c_i = pull / largest_negative[i] if largest_negative[i] > 0 else 0.0
            c_j = pull / largest_negative[j] if largest_negative[j] > 0 else 0.0
            f[1], f[2] = min(c_i, c_j), max(c_i, c_j)
            # A product may leave a coupling in one direction only, by rounding: total[j] is then 0.
            s_i, s_j = size / total[i], size / max(total[j], size)
            f[3], f[4] = min(s_i, s_j), max(s_i, s_j)
            r_i = _rank(indptr, indices, data, i, size)
            r_j = _rank(indptr, indices, data, j, size)
            f[5], f[6] = min(r_i, r_j), max(r_i, r_j)
            f[7] = 1.0 if w > 0 else -1.0
            entry, common = _two_step(indptr, indices, data, weight, i, j)
            distance = _evolution_distance(entry, evolved[i], evolved[j], weight[i], weight[j])
            v_i, v_j = nearest[i] / distance, nearest[j] / distance
            f[8], f[9] = min(v_i, v_j), max(v_i, v_j)
            f[10] = common / max(1, min(degrees[i], degrees[j]))
            count += 1
    return count
