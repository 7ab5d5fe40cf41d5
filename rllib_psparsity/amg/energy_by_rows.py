"""Conjugate gradients of energy minimisation, all stored by rows of P: the kernel for many rows.

A row of A P is the sum of the rows of P that a row of A names. With many rows this reads memory nearly in order, where
columns of P come back to every row of A as often as P has entries in it; with few, the caches hold all, and the short
rows of P cost more than they gain.
"""

from __future__ import annotations

import numpy as np

from rllib_psparsity.compiled import compiled
from rllib_psparsity.prefetch import ROWS_AHEAD, prefetch
from rllib_psparsity.unsigned import unsigned


@compiled(error_model="numpy")
def minimise_by_rows(
    indptr, indices, data, p_indptr, p_indices, columns, values, is_root, b, iterations, tolerance,
    x, residual, direction, product
):  # fmt: skip
    """x: values of P on its pattern, by rows. A division by zero gives what is not finite, and is refused later."""
    indptr, indices = unsigned(indptr), unsigned(indices)
    p_indptr, p_indices = unsigned(p_indptr), unsigned(p_indices)
    p_ends = p_indptr[1:]
    n = len(columns)
    weight, projection = np.empty(n), np.empty(n)  # inverses of the rows' sums of |A|, and of b_i . b_i
    # Sums by column of P, of one row of A P at a time. Those off the row's pattern are left behind: they are set to
    # zero before a row that has them.
    sums, along = np.zeros(len(b)), np.empty(n)
    norm = 0.0
    for i in range(n):
        square = 0.0
        for e in range(p_indptr[i], p_ends[i]):
            j = p_indices[e]
            square += b[j] * b[j]
            sums[j] = 0.0
            x[e] = values[i] if columns[i] == j else 0.0
        magnitude = 0.0
        for f in range(indptr[i], indptr[i + 1]):
            magnitude += abs(data[f])
            j = columns[indices[f]]
            if j >= 0:
                sums[j] += data[f] * values[indices[f]]
        weight[i] = 1.0 / magnitude if magnitude != 0.0 else 0.0
        projection[i] = 1.0 / square if square != 0.0 else 0.0
        total = 0.0
        for e in range(p_indptr[i], p_ends[i]):
            total += sums[p_indices[e]] * b[p_indices[e]]
        total *= projection[i]
        for e in range(p_indptr[i], p_ends[i]):
            r = total * b[p_indices[e]] - sums[p_indices[e]]
            residual[e] = r
            direction[e] = r * weight[i]
            norm += r * (r * weight[i])
    for step in range(iterations):
        if norm < tolerance:
            break
        # A direction is orthogonal to b in every row, so its product with A needs no projection to give alpha.
        alpha = norm / _product(indptr, indices, data, p_indptr, p_indices, b, direction, sums, along, product)
        for i in range(n):
            if not is_root[i]:
                for e in range(p_indptr[i], p_ends[i]):
                    x[e] += alpha * direction[e]
        if step == iterations - 1:
            break
        before, norm = norm, 0.0
        for i in range(n):
            shift = along[i] * projection[i]
            for e in range(p_indptr[i], p_ends[i]):
                r = residual[e] - alpha * (product[e] - shift * b[p_indices[e]])
                residual[e] = r
                norm += r * (r * weight[i])
        beta = norm / before
        for i in range(n):
            for e in range(p_indptr[i], p_ends[i]):
                direction[e] = residual[e] * weight[i] + beta * direction[e]


@compiled()
def _product(indptr, indices, data, p_indptr, p_indices, b, x, sums, along, y):
    """y = A x on the pattern, and along = y b; returns the sum of all x y. The index arrays are unsigned already."""
    p_ends, last = p_indptr[1:], np.uint32(len(indices))
    inner = 0.0
    for i in range(len(along)):
        for e in range(p_indptr[i], p_ends[i]):
            sums[p_indices[e]] = 0.0
        for f in range(indptr[i], indptr[i + 1]):
            k = indices[f]
            if f + 4 * ROWS_AHEAD < last:  # rows of P are short, so more of them than elsewhere
                ahead = p_indptr[indices[f + 4 * ROWS_AHEAD]]
                prefetch(p_indices, ahead)
                prefetch(x, ahead)
                prefetch(x, ahead + 7)
            a = data[f]
            for e in range(p_indptr[k], p_ends[k]):
                sums[p_indices[e]] += a * x[e]
        total = 0.0
        for e in range(p_indptr[i], p_ends[i]):
            s = sums[p_indices[e]]
            y[e] = s
            total += s * b[p_indices[e]]
            inner += x[e] * s
        along[i] = total
    return inner
