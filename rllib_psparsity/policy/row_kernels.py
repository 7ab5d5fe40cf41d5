"""Compiled passes over the nodes and edges of one graph that `SparseInference` is made of.

Nodes and edges go in blocks: a block's rows are gathered into a buffer that stays in the cache, and multiplied by the
weights at once. So nothing of the size of all edges times the width is ever stored. Weights are the transposes of
torch's; all real arrays are float32, contiguous.

For `lanes` see `policy.row_vectors`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from rllib_psparsity.compiled import compiled
from rllib_psparsity.policy.row_vectors import add_row, sum_rows, sum_three
from rllib_psparsity.unsigned import unsigned

BLOCK = 128


def writable(array: np.ndarray, dtype: Any) -> np.ndarray:
    """The array itself if the kernels take it as it is, else a copy: for read-only ones numba would compile anew."""
    return np.require(array, dtype, ["C", "W"])


@compiled()
def row_adjacency(edge_index, num_nodes):
    """Rows of the symmetric adjacency: row_start (N + 1,), neighbour and incident_edge (2E,), all int32.

    Row i owns the entries row_start[i] to row_start[i + 1], which ascend in neighbours and in edges: since edges are
    sorted by first, then second end, all lower neighbours come before the upper ones, which follow each other.
    """
    edge_index = unsigned(edge_index)
    num_edges = edge_index.shape[1]
    first, second = edge_index[0], edge_index[1]
    row_start = np.zeros(num_nodes + 1, np.int32)
    free = np.zeros(num_nodes, np.uint32)  # first the number of lower neighbours, then where the next one goes
    neighbour = np.empty(2 * num_edges, np.int32)
    incident_edge = np.empty(2 * num_edges, np.int32)
    for e in range(num_edges):
        free[second[e]] += 1
    e = 0
    for i in range(num_nodes):
        entry = row_start[i] + free[i]
        free[i] = row_start[i]
        while e < num_edges and first[e] == i:
            neighbour[entry] = second[e]
            incident_edge[entry] = e
            entry += 1
            e += 1
        row_start[i + 1] = entry
    for e in range(num_edges):
        j = second[e]
        neighbour[free[j]] = first[e]
        incident_edge[free[j]] = e
        free[j] += 1
    return row_start, neighbour, incident_edge


@compiled()
def normalise_operators(values, edge_index, num_nodes):
    """D^-1/2 W D^-1/2 in place, for the R = 3 symmetric W whose entries are the columns of `values` (E, 3)."""
    edge_index = unsigned(edge_index)
    scale = np.zeros((num_nodes, 3), np.float32)
    for e in range(len(values)):
        i, j = edge_index[0, e], edge_index[1, e]
        for r in range(3):
            scale[i, r] += values[e, r]
            scale[j, r] += values[e, r]
    for i in range(num_nodes):
        for r in range(3):
            scale[i, r] = np.float32(1) / np.sqrt(max(scale[i, r], np.float32(1e-12)))
    for e in range(len(values)):
        i, j = edge_index[0, e], edge_index[1, e]
        for r in range(3):
            values[e, r] *= scale[i, r] * scale[j, r]


@compiled()
def input_layer(node_features, edge_features, row_start, incident_edge, from_node, from_edge, bias, lanes):
    """(N, C): linear in a node's features and in the mean of those of its edges; lanes: F_e."""
    row_start, incident_edge = unsigned(row_start), unsigned(incident_edge)
    N = len(node_features)
    h = np.empty((N, len(bias)), np.float32)
    mean = np.empty((BLOCK, len(lanes)), np.float32)
    part = np.empty((BLOCK, len(bias)), np.float32)
    for start in range(0, N, BLOCK):
        stop = min(N, start + BLOCK)
        for i in range(start, stop):
            share = np.float32(1) / np.float32(max(row_start[i + 1] - row_start[i], 1))
            sum_rows(mean, i - start, edge_features, share, incident_edge, row_start[i], row_start[i + 1], lanes)
        np.dot(node_features[start:stop], from_node, h[start:stop])
        np.dot(mean[: stop - start], from_edge, part[: stop - start])
        for i in range(start, stop):
            for c in range(len(bias)):
                h[i, c] += part[i - start, c] + bias[c]
    return h


@compiled(nogil=True)
def mixing_layer(h, values, row_start, neighbour, incident_edge, weight, bias, active, out, first, last, lanes):
    """``out = h + active``, ``active = relu([h, S_1 h, S_2 h, S_3 h] weight + bias)``, in the rows from first to last;
    an `active` without rows is not filled; lanes: C."""
    row_start, neighbour = unsigned(row_start), unsigned(neighbour)
    incident_edge = unsigned(incident_edge)
    C = h.shape[1]
    rows = np.empty((4 * BLOCK, C), np.float32)
    part = np.empty((BLOCK, C), np.float32)
    keeps = len(active) > 0
    for start in range(first, last, BLOCK):
        stop = min(last, start + BLOCK)
        for i in range(start, stop):
            row = 4 * (i - start)
            for c in range(C):
                rows[row, c] = h[i, c]
            sum_three(rows, row + 1, h, values, neighbour, incident_edge, row_start[i], row_start[i + 1], lanes)
        np.dot(rows.reshape(BLOCK, 4 * C)[: stop - start], weight, part[: stop - start])
        for i in range(start, stop):
            for c in range(C):
                value = max(part[i - start, c] + bias[c], np.float32(0))
                out[i, c] = h[i, c] + value
                if keeps:
                    active[i, c] = value


@compiled()
def output_layer(h, gain, bias, to_ends):
    """Layer norm of h, in place; its mean and maximum (C,) over the nodes, and its product (N, 2H) with `to_ends`."""
    N, C = h.shape
    total = np.zeros(C)
    largest = np.full(C, -np.inf, np.float32)
    ends = np.empty((N, to_ends.shape[1]), np.float32)
    share = np.float32(1) / np.float32(C)
    for start in range(0, N, BLOCK):
        stop = min(N, start + BLOCK)
        for i in range(start, stop):
            mean = np.float32(0)
            for c in range(C):
                mean += h[i, c]
            mean *= share
            variance = np.float32(0)
            for c in range(C):
                variance += (h[i, c] - mean) * (h[i, c] - mean)
            scale = np.float32(1) / np.sqrt(variance * share + np.float32(1e-5))
            for c in range(C):
                h[i, c] = (h[i, c] - mean) * scale * gain[c] + bias[c]
                total[c] += h[i, c]
                largest[c] = max(largest[c], h[i, c])
        np.dot(h[start:stop], to_ends, ends[start:stop])
    return (total / N).astype(np.float32), largest, ends


@compiled()
def feature_moments(features, lanes):
    """Mean and deviation (F,) float32 of the columns of `features` (E, F), zero without rows; lanes: F."""
    E, F = features.shape
    mean, square = np.zeros(F), np.zeros(F)
    if E > 0:
        rows = np.empty((BLOCK, F), np.float32)
        flat = rows.reshape(-1)
        sums = np.empty((1, F), np.float32)
        ones = np.ones((1, BLOCK), np.float32)
        for start in range(0, E, BLOCK):
            rows[:] = 0
            for r in range(min(E - start, BLOCK)):
                add_row(rows, r, features, start + r, np.float32(1), lanes)
                # From the first row, so that constant columns have no deviation at all.
                add_row(rows, r, features, 0, np.float32(-1), lanes)
            np.dot(ones, rows, sums)
            mean += sums[0]
            for k in range(len(flat)):
                flat[k] *= flat[k]
            np.dot(ones, rows, sums)
            square += sums[0]
        mean /= E
        square = np.sqrt(np.maximum(square / E - mean * mean, 0.0))
        mean += features[0]
    return mean.astype(np.float32), square.astype(np.float32)


@compiled()
def negative_prior(edge_features, columns, threshold, steepness, bound):
    """(R, E) minus the prior's logits."""
    out = np.empty((len(columns), len(edge_features)), np.float32)
    for r in range(len(columns)):
        column, shift, slope = np.uint64(columns[r]), threshold[r], steepness[r]
        for e in range(len(edge_features)):
            out[r, e] = min(max(slope * (shift - edge_features[e, column]), -bound), bound)
    return out


@compiled()
def count_above(edge_features, columns, threshold):
    """(R,) int64: of how many rows of `edge_features` the entry in column r is above threshold r."""
    count = np.zeros(len(columns), np.int64)
    for start in range(0, len(edge_features), BLOCK):
        stop = min(len(edge_features), start + BLOCK)
        for r in range(len(columns)):
            column, limit, found = np.uint64(columns[r]), threshold[r], 0
            for e in range(start, stop):
                found += edge_features[e, column] > limit
            count[r] += found
    return count


@compiled(nogil=True)
def edge_head(
    ends,
    edge_index,
    edge_features,
    from_features,
    bias,
    from_contrast,
    to_logits,
    out_bias,
    prior,
    temperature,
    logits,
    first,
    last,
    lanes,
):
    """Logits (E, R) of R recipes, over the temperature, of the edges from first to last; lanes: H.

    ends : (2N, H), the rows U h_i and D h_i of every node
    to_logits, out_bias : (H, R), (R,)
    prior : columns, threshold and steepness, (R,) each, and the bound
    """
    edge_index = unsigned(edge_index)
    H = len(bias)
    columns, threshold, steepness, bound = prior
    one = np.float32(1)
    hidden = np.empty((BLOCK, H), np.float32)
    contrast = np.empty((BLOCK, H), np.float32)
    part = np.empty((BLOCK, H), np.float32)
    for start in range(first, last, BLOCK):
        stop = min(last, start + BLOCK)
        count = stop - start
        np.dot(edge_features[start:stop], from_features, hidden[:count])
        contrast[:] = 0
        for r in range(count):
            i, j = edge_index[0, start + r], edge_index[1, start + r]
            add_row(hidden, r, ends, 2 * i, one, lanes)
            add_row(hidden, r, ends, 2 * j, one, lanes)
            add_row(contrast, r, ends, 2 * i + 1, one, lanes)
            add_row(contrast, r, ends, 2 * j + 1, -one, lanes)
        flat = contrast.reshape(-1)
        for k in range(len(flat)):
            flat[k] = abs(flat[k])
        np.dot(contrast[:count], from_contrast, part[:count])
        for r in range(count):
            for c in range(H):
                hidden[r, c] = max(hidden[r, c] + part[r, c] + bias[c], np.float32(0))
        np.dot(hidden[:count], to_logits, logits[start:stop])
        for e in range(start, stop):
            for k in range(len(out_bias)):
                classical = steepness[k] * (edge_features[e, columns[k]] - threshold[k])
                logits[e, k] = (logits[e, k] + out_bias[k] + min(max(classical, -bound), bound)) / temperature
