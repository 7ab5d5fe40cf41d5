"""Backward passes of `row_kernels.mixing_layer` and `row_kernels.edge_head`, in the same style: block by block, nothing
of the size of all edges times the width is stored."""

from __future__ import annotations

import numpy as np

from rllib_psparsity.compiled import compiled
from rllib_psparsity.policy.row_kernels import BLOCK, add_row


@compiled(nogil=True)
def mixing_layer_backward(
    grad, masked, h, values, row_start, neighbour, incident_edge, weight, d_h, first, last, lanes
):
    """Gradient of h (N, C), written to d_h in the rows from first to last, and these rows' share of the weight's.

    grad, masked : (N, C) gradient of the layer's result, and the same where the layer was active, else 0
    weight : (4C, C), the layer's own weight (C, 4C) with its four blocks, of h, S_1 h, S_2 h and S_3 h, one below the
        other; the weight's gradient (C, 4C) is returned as ``h^T [g, S_1 g, S_2 g, S_3 g]``, g being `masked`
    The operators are symmetric, so they are their own transposes; lanes: C.
    """
    C = h.shape[1]
    one = np.float32(1)
    d_weight = np.zeros((C, 4 * C), np.float32)
    part = np.empty((C, 4 * C), np.float32)
    rows = np.empty((4 * BLOCK, C), np.float32)
    for start in range(first, last, BLOCK):
        stop = min(last, start + BLOCK)
        rows[:] = 0
        for i in range(start, stop):
            row = 4 * (i - start)
            add_row(rows, row, masked, i, one, lanes)
            for k in range(row_start[i], row_start[i + 1]):
                j, e = neighbour[k], incident_edge[k]
                add_row(rows, row + 1, masked, j, values[e, 0], lanes)
                add_row(rows, row + 2, masked, j, values[e, 1], lanes)
                add_row(rows, row + 3, masked, j, values[e, 2], lanes)
        stacked = rows.reshape(BLOCK, 4 * C)[: stop - start]
        np.dot(stacked, weight, d_h[start:stop])
        np.dot(h[start:stop].T, stacked, part)
        d_weight += part
        for i in range(start, stop):
            for c in range(C):
                d_h[i, c] += grad[i, c]
    return d_weight


@compiled(nogil=True)
def edge_head_backward(
    grad,
    ends,
    edge_index,
    edge_features,
    from_features,
    bias,
    from_contrast,
    contrast_to_hidden,
    to_logits,
    logits_to_hidden,
    prior,
    temperature,
    first,
    last,
    lanes,
):
    """The share that the edges from first to last have in the gradients of ends, from_features, bias, from_contrast,
    to_logits, out_bias, threshold and steepness.

    grad : (E, R) of the logits; contrast_to_hidden and logits_to_hidden : the transposes of from_contrast (H, H) and of
    to_logits (H, R); the rest as in `edge_head`, whose hidden layer is computed again.
    """
    H, R = len(bias), grad.shape[1]
    columns, threshold, steepness, bound = prior
    one = np.float32(1)
    d_ends = np.zeros_like(ends)
    d_from_features, d_bias = np.zeros_like(from_features), np.zeros_like(bias)
    d_from_contrast, d_to_logits = np.zeros_like(from_contrast), np.zeros_like(to_logits)
    d_out_bias, d_threshold, d_steepness = np.zeros(R), np.zeros(R), np.zeros(R)
    scaled = np.empty((BLOCK, R), np.float32)
    hidden = np.empty((BLOCK, H), np.float32)
    signed = np.empty((BLOCK, H), np.float32)
    contrast = np.empty((BLOCK, H), np.float32)
    part = np.empty((BLOCK, H), np.float32)
    d_hidden = np.empty((BLOCK, H), np.float32)
    features_part = np.empty_like(from_features)
    contrast_part = np.empty_like(from_contrast)
    logits_part = np.empty_like(to_logits)
    for start in range(first, last, BLOCK):
        stop = min(last, start + BLOCK)
        count = stop - start
        np.dot(edge_features[start:stop], from_features, hidden[:count])
        signed[:] = 0
        for r in range(count):
            i, j = edge_index[0, start + r], edge_index[1, start + r]
            add_row(hidden, r, ends, 2 * i, one, lanes)
            add_row(hidden, r, ends, 2 * j, one, lanes)
            add_row(signed, r, ends, 2 * i + 1, one, lanes)
            add_row(signed, r, ends, 2 * j + 1, -one, lanes)
            for k in range(R):
                g = grad[start + r, k] / temperature
                scaled[r, k] = g
                d_out_bias[k] += g
                margin = edge_features[start + r, columns[k]] - threshold[k]
                if abs(steepness[k] * margin) <= bound:
                    d_steepness[k] += g * margin
                    d_threshold[k] -= g * steepness[k]
        for r in range(count):
            for c in range(H):
                contrast[r, c] = abs(signed[r, c])
        np.dot(contrast[:count], from_contrast, part[:count])
        np.dot(scaled[:count], logits_to_hidden, d_hidden[:count])
        for r in range(count):
            for c in range(H):
                hidden[r, c] = max(hidden[r, c] + part[r, c] + bias[c], np.float32(0))
                d_hidden[r, c] = d_hidden[r, c] if hidden[r, c] > 0 else np.float32(0)
                d_bias[c] += d_hidden[r, c]
        np.dot(hidden[:count].T, scaled[:count], logits_part)
        d_to_logits += logits_part
        np.dot(edge_features[start:stop].T, d_hidden[:count], features_part)
        d_from_features += features_part
        np.dot(contrast[:count].T, d_hidden[:count], contrast_part)
        d_from_contrast += contrast_part
        np.dot(d_hidden[:count], contrast_to_hidden, part[:count])
        for r in range(count):
            for c in range(H):
                # The sign of no difference is 0, as torch has it.
                part[r, c] *= np.sign(signed[r, c])
        for r in range(count):
            i, j = edge_index[0, start + r], edge_index[1, start + r]
            add_row(d_ends, 2 * i, d_hidden, r, one, lanes)
            add_row(d_ends, 2 * j, d_hidden, r, one, lanes)
            add_row(d_ends, 2 * i + 1, part, r, one, lanes)
            add_row(d_ends, 2 * j + 1, part, r, -one, lanes)
    return d_ends, d_from_features, d_bias, d_from_contrast, d_to_logits, d_out_bias, d_threshold, d_steepness
