"""Compiled kernels for the features of a level's graph, on the reduced matrix W."""

from __future__ import annotations

import numpy as np

from rllib_psparsity.compiled import compiled
from rllib_psparsity.unsigned import unsigned

TINY = 1e-300
"""Smallest divisor: the reciprocal of anything less might overflow."""
NEGLIGIBLE = 1e-12
"""A w_ij of less than this times sqrt(w_ii w_jj) is what rounding left of a zero: assembled elements of degree two and
Galerkin products are full of them."""


@compiled()
def row_statistics(indptr, indices, values, node):
    """The number of edges, whether any entry is `NEGLIGIBLE`, and per row what the edges need of their ends.

    Fills the first six node features. An entry that is negligible counts as zero.

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
    num_edges, negligible = 0, False
    for i in range(n):
        own = diagonal[i] if diagonal[i] > 0 else 1.0
        degree, signed, total, positive, square, scaled, scaled_max, largest = 0, own, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
        for e in range(indptr[i], indptr[i + 1]):
            j = indices[e]
            w = values[e]
            if j == i or w == 0.0:
                continue
            size = abs(w)
            relative = size * root[i] * root[j]
            if relative < NEGLIGIBLE:
                negligible = True
                continue
            degree += 1
            num_edges += j > i
            signed += w
            total += size
            square += size * size
            positive += max(w, 0.0)
            largest = max(largest, -w)
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
            j = indices[e]
            if j != i and not (negligible and abs(values[e]) * root[i] * root[j] < NEGLIGIBLE):
                back += values[e] * values[e] / weight[j]
        evolved[i] = stay[i] * stay[i] + back / weight[i]
    return num_edges, negligible, (diagonal, root, per_degree, per_largest, per_total, weight, stay, evolved)


@compiled()
def clear_negligible(indptr, indices, values, root):
    """Zeros in place of what is `NEGLIGIBLE`; `root` is that of `row_statistics`."""
    indptr, indices = unsigned(indptr), unsigned(indices)
    for i in range(len(root)):
        for e in range(indptr[i], indptr[i + 1]):
            if indices[e] != i and abs(values[e]) * root[i] * root[indices[e]] < NEGLIGIBLE:
                values[e] = 0.0


@compiled()
def _one_way_distance(response, full):
    """``|1 - full / response|``, capped: how far a delta function, evolved, is from the constant across an edge.

    A response of the other sign, or none, is no connection at all.
    """
    return min(abs(1.0 - full / response), 1e3) if full > 0 and response > 1e-3 * full else 1e3


@compiled()
def _distance(response, full_i, full_j):
    """The evolution distance of an edge, 0 for the strongest.

    The mean over both ends of ``|1 - z_i / z_j|`` for the delta function z of i, evolved by S^2 (Olson, Schroder and
    Tuminaro 2010, section 3, for one candidate, which is the constant in W's variables). D S^2 is symmetric: its entry
    is the response of each end to a delta function in the other.
    """
    return max(0.5 * (_one_way_distance(response, full_i) + _one_way_distance(response, full_j)), 1e-4)


@compiled(inline="always")
def _larger(values, start, end, own, bound):
    """How many values of a row are larger than the bound, without its own diagonal: a loop without branches."""
    count = -int(abs(own) > bound)
    for p in range(start, end):
        count += abs(values[p]) > bound
    return count


@compiled(inline="always")
def _meet(spread, at_j, indices, values, start, end):
    """Row i of W D^-1, in `spread`, times row j of W, both without diagonals, and the number of common neighbours."""
    path, common = -at_j, -int(at_j != 0.0)
    for q in range(start, end):
        step = spread[indices[q]] * values[q]
        path += step
        common += step != 0.0
    return path, common


@compiled(inline="always")
def _own_features(i, j, w, root, per_largest, per_total, f):
    """The features of an edge that follow from its value and `row_statistics`; the first without its logarithm."""
    size = abs(w)
    f[0] = size * root[i] * root[j]
    pull = max(-w, 0.0)
    c_i, c_j = pull * per_largest[i], pull * per_largest[j]
    f[1], f[2] = min(c_i, c_j), max(c_i, c_j)
    # A product may leave a coupling in one direction only, by rounding: row j then knows nothing of it.
    s_i = size * per_total[i]
    s_j = min(size * per_total[j], 1.0) if per_total[j] > 0 else 1.0
    f[3], f[4] = min(s_i, s_j), max(s_i, s_j)
    f[7] = 1.0 if w > 0 else -1.0


@compiled(inline="always")
def _shared_features(i, j, larger_i, larger_j, common, per_degree, f):
    """The features of an edge that follow from how many couplings are larger, and from the common neighbours."""
    r_i, r_j = larger_i * per_degree[i], larger_j * per_degree[j]
    f[5], f[6] = min(r_i, r_j), max(r_i, r_j)
    f[10] = common * max(per_degree[i], per_degree[j])


@compiled(inline="always")
def _scatter(i, start, end, indices, values, weight, spread):
    for e in range(start, end):
        spread[indices[e]] = values[e] / weight[indices[e]]
    spread[i] = 0.0


@compiled(inline="always")
def _clear(start, end, indices, spread):
    for e in range(start, end):
        spread[indices[e]] = 0.0


@compiled()
def edge_features(indptr, indices, values, rows, edge, distance, nearest):
    """Evolution distances of all edges, and of all nodes to the nearest neighbour, infinite before; and features.

    That is, all features but 8 and 9, the first without its logarithm; none where `edge` has no rows.
    """
    indptr, indices = unsigned(indptr), unsigned(indices)
    diagonal, root, per_degree, per_largest, per_total, weight, stay, evolved = rows
    n = len(nearest)
    spread = np.zeros(n)
    count = 0
    for i in range(n):
        start, end = indptr[i], indptr[i + 1]
        _scatter(i, start, end, indices, values, weight, spread)
        for e in range(start, end):
            j = indices[e]
            w = values[e]
            if j <= i or w == 0.0:
                continue
            path, common = _meet(spread, spread[j] * diagonal[j], indices, values, indptr[j], indptr[j + 1])
            far = _distance(path - w * (stay[i] + stay[j]), weight[j] * evolved[i], weight[i] * evolved[j])
            distance[count] = far
            nearest[i] = min(nearest[i], far)
            nearest[j] = min(nearest[j], far)
            if len(edge) > 0:
                f = edge[count]
                _own_features(i, j, w, root, per_largest, per_total, f)
                bound = abs(w) * (1.0 + 1e-6)  # a margin that rounding cannot cross
                larger_i = _larger(values, start, end, diagonal[i], bound)
                larger_j = _larger(values, indptr[j], indptr[j + 1], diagonal[j], bound)
                _shared_features(i, j, larger_i, larger_j, common, per_degree, f)
            count += 1
        _clear(start, end, indices, spread)


@compiled()
def edges(indptr, indices, values, edge_index):
    """Fill `edge_index` alone."""
    indptr, indices = unsigned(indptr), unsigned(indices)
    count = 0
    for i in range(len(indptr) - 1):
        for e in range(indptr[i], indptr[i + 1]):
            if indices[e] > i and values[e] != 0.0:
                edge_index[0, count] = i
                edge_index[1, count] = indices[e]
                count += 1


@compiled()
def own_feature(indptr, indices, values, rows, feature, out):
    """One of the features of `_own_features` for all edges."""
    indptr, indices = unsigned(indptr), unsigned(indices)
    _, root, _, per_largest, per_total, _, _, _ = rows
    f = np.zeros(11)
    count = 0
    for i in range(len(indptr) - 1):
        for e in range(indptr[i], indptr[i + 1]):
            if indices[e] > i and values[e] != 0.0:
                _own_features(i, indices[e], values[e], root, per_largest, per_total, f)
                out[count] = f[feature]
                count += 1


@compiled()
def nearest_of(ends, indptr, indices, values, rows, distance, nearest):
    """The evolution distance to the nearest neighbour, for each end of these edges (2, S); 0 before, and elsewhere."""
    indptr, indices = unsigned(indptr), unsigned(indices)
    diagonal, _, _, _, _, weight, stay, evolved = rows
    spread = np.zeros(len(indptr) - 1)
    for side in range(2):
        for k in range(ends.shape[1]):
            i = ends[side, k]
            if nearest[i] == 0.0:
                start, end = indptr[i], indptr[i + 1]
                _scatter(i, start, end, indices, values, weight, spread)
                nearest[i] = np.inf
                for e in range(start, end):
                    j = indices[e]
                    w = values[e]
                    if j == i or w == 0.0:
                        continue
                    path, _ = _meet(spread, spread[j] * diagonal[j], indices, values, indptr[j], indptr[j + 1])
                    far = _distance(path - w * (stay[i] + stay[j]), weight[j] * evolved[i], weight[i] * evolved[j])
                    nearest[i] = min(nearest[i], far)
                _clear(start, end, indices, spread)
            nearest[i] = min(nearest[i], distance[k])  # a coupling may be there in one direction only


@compiled()
def features_of(ends, indptr, indices, values, rows, edge, distance):
    """What `edge_features` fills, but `nearest`, for the edges with these ends (2, S) alone."""
    indptr, indices = unsigned(indptr), unsigned(indices)
    diagonal, root, per_degree, per_largest, per_total, weight, stay, evolved = rows
    spread = np.zeros(len(indptr) - 1)
    for k in range(ends.shape[1]):
        i, j = ends[0, k], ends[1, k]
        start, end = indptr[i], indptr[i + 1]
        w = 0.0
        for e in range(start, end):
            if indices[e] == j:
                w = values[e]
        _scatter(i, start, end, indices, values, weight, spread)
        path, common = _meet(spread, spread[j] * diagonal[j], indices, values, indptr[j], indptr[j + 1])
        distance[k] = _distance(path - w * (stay[i] + stay[j]), weight[j] * evolved[i], weight[i] * evolved[j])
        _clear(start, end, indices, spread)
        f = edge[k]
        _own_features(i, j, w, root, per_largest, per_total, f)
        bound = abs(w) * (1.0 + 1e-6)  # a margin that rounding cannot cross
        larger_i = _larger(values, start, end, diagonal[i], bound)
        larger_j = _larger(values, indptr[j], indptr[j + 1], diagonal[j], bound)
        _shared_features(i, j, larger_i, larger_j, common, per_degree, f)


@compiled()
def nearness(ends, distance, nearest, table, column, start, stop):
    """How near the edges from start to stop are, of those of their ends (2, E): two columns, the smaller comes first.

    1 for the nearest. Arrays come whole, since there is a kernel for every layout.
    """
    for e in range(start, stop):
        v_i, v_j = nearest[ends[0, e]] / distance[e], nearest[ends[1, e]] / distance[e]
        table[e, column], table[e, column + 1] = min(v_i, v_j), max(v_i, v_j)
