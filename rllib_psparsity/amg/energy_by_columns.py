"""Conjugate gradients of energy minimisation, all stored by columns of P.

A product with A is then one row of A times a dense column for every entry of the pattern, without a search for where
the sum belongs.
"""

from __future__ import annotations

import numpy as np

from rllib_psparsity.compiled import compiled
from rllib_psparsity.prefetch import CACHED, ROWS_AHEAD, prefetch_row
from rllib_psparsity.unsigned import unsigned


@compiled(error_model="numpy")
def minimise_by_columns(
    indptr, indices, data, p_indptr, rows, member_indptr, members, columns, values, is_root, b, iterations,
    tolerance, x, residual, direction, product
):  # fmt: skip
    """x: values of P on the pattern, by columns. A division by zero gives what is not finite, and is refused later."""
    indptr, indices = unsigned(indptr), unsigned(indices)
    p_indptr, rows = unsigned(p_indptr), unsigned(rows)
    member_indptr, members = unsigned(member_indptr), unsigned(members)
    n, num_columns = len(columns), len(b)
    weight, projection = np.zeros(n), np.zeros(n)  # inverses of the rows' sums of |A|, and of b_i . b_i
    for j in range(num_columns):
        for e in range(p_indptr[j], p_indptr[j + 1]):
            projection[rows[e]] += b[j] * b[j]
            x[e] = values[rows[e]] if columns[rows[e]] == j else 0.0
            direction[e] = 0.0
    for i in range(n):
        for e in range(indptr[i], indptr[i + 1]):
            weight[i] += abs(data[e])
        weight[i] = 1.0 / weight[i] if weight[i] != 0.0 else 0.0
        projection[i] = 1.0 / projection[i] if projection[i] != 0.0 else 0.0
    dense, along = np.zeros(n), np.empty(n)
    _tentative_product(indptr, indices, data, p_indptr, rows, member_indptr, members, values, b, dense, along, residual)
    for i in range(n):
        along[i] *= projection[i]
    norm = 0.0
    for j in range(num_columns):
        for e in range(p_indptr[j], p_indptr[j + 1]):
            residual[e] = along[rows[e]] * b[j] - residual[e]
            norm += residual[e] * (residual[e] * weight[rows[e]])
    beta = 0.0
    for _ in range(iterations):
        if norm < tolerance:
            break
        # A direction is orthogonal to b in every row, so its product with A needs no projection to give alpha.
        alpha = norm / _next_product(
            indptr, indices, data, p_indptr, rows, residual, weight, beta, b, direction, dense, along, product
        )
        for i in range(n):
            along[i] *= projection[i]
        before, norm = norm, 0.0
        for j in range(num_columns):
            for e in range(p_indptr[j], p_indptr[j + 1]):
                i = rows[e]
                residual[e] -= alpha * (product[e] - along[i] * b[j])
                norm += residual[e] * (residual[e] * weight[i])
                if not is_root[i]:
                    x[e] += alpha * direction[e]
        beta = norm / before


# In the functions below the index arrays are unsigned already.


@compiled()
def _tentative_product(indptr, indices, data, p_indptr, rows, member_indptr, members, values, b, dense, along, y):
    """y = A T on the pattern, and along = y b. T has few entries, so its columns are scattered: A is symmetric.
    `dense` is zero before and after."""
    ends = indptr[1:]
    along[:] = 0.0
    for j in range(len(b)):
        for m in range(member_indptr[j], member_indptr[j + 1]):
            k = members[m]
            for f in range(indptr[k], ends[k]):
                dense[indices[f]] += data[f] * values[k]
        for e in range(p_indptr[j], p_indptr[j + 1]):
            y[e] = dense[rows[e]]
            along[rows[e]] += y[e] * b[j]
        for m in range(member_indptr[j], member_indptr[j + 1]):
            k = members[m]
            for f in range(indptr[k], ends[k]):
                dense[indices[f]] = 0.0


@compiled()
def _next_product(indptr, indices, data, p_indptr, rows, residual, weight, beta, b, x, dense, along, y):
    """The next direction x = residual * weight + beta x, y = A x on the pattern, and along = y b; returns the sum of
    all x y. `dense` is zero before and after."""
    ends = indptr[1:]
    along[:] = 0.0
    inner = 0.0
    hints = np.uint32(len(rows) if len(indices) > CACHED else 0)
    for j in range(len(b)):
        for e in range(p_indptr[j], p_indptr[j + 1]):
            x[e] = residual[e] * weight[rows[e]] + beta * x[e]
            dense[rows[e]] = x[e]
        for e in range(p_indptr[j], p_indptr[j + 1]):
            if e + ROWS_AHEAD < hints:
                prefetch_row(indices, data, indptr[rows[e + ROWS_AHEAD]])
            i = rows[e]
            total = 0.0
            for f in range(indptr[i], ends[i]):
                total += data[f] * dense[indices[f]]
            y[e] = total
            along[i] += total * b[j]
            inner += x[e] * total
        for e in range(p_indptr[j], p_indptr[j + 1]):
            dense[rows[e]] = 0.0
    return inner
