"""The energy-minimising prolongator of scalar problems with one candidate.

The algorithm and its numbers are those of PyAMG's `energy_prolongation_smoother`; `block_energy` has all other
problems.
"""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_array

from rllib_psparsity.amg.products import transposed
from rllib_psparsity.amg.tentative import Tentative
from rllib_psparsity.compiled import compiled
from rllib_psparsity.prefetch import CACHED, ROWS_AHEAD, prefetch_row
from rllib_psparsity.unsigned import unsigned

ENERGY_ITERATIONS = 4
"""Steps of conjugate gradients, PyAMG's default."""

TOLERANCE = 1e-8
"""A squared norm of the preconditioned residual below this ends the iteration, as in PyAMG."""


def minimise_energy(A: csr_array, T: Tentative, C: csr_array, degree: int) -> csr_array:
    """Columns of little energy on the pattern of |C|^degree |T| that still reproduce the candidate.

    Parameters
    ----------
    A : (N, N) csr_array, symmetric positive definite
    T : the tentative prolongator, where the iteration starts
    C : (N, N) symmetric csr_array with its diagonal, the strong couplings; its values play no role
    degree : 1 or more

    Returns
    -------
    (N, N_c) csr_array P, sorted, without entries that are zero.

    Notes
    -----
    Conjugate gradients for A P = 0 in the space of updates U within the pattern with U b_c = 0 (Olson, Schroder and
    Tuminaro, SIAM J. Sci. Comput. 33, 2011, algorithm 1), preconditioned by the rows' sums of magnitudes. Rows of roots
    stay the identity (Manteuffel, Olson, Schroder and Southworth 2017). Every product and residual X is projected row
    by row: ``x_i - (x_i . b_i) b_i / (b_i . b_i)`` with b_i the coarse candidate on the row's pattern.

    All is stored by columns of P. A product with A is then one row of A times a dense column for every entry of the
    pattern, without a search for where the sum belongs.
    """
    num_columns = len(T.b_coarse)
    member_indptr, members = members_of(T.columns, num_columns)
    indptr, rows = reach(C.indptr, C.indices, member_indptr, members, T.columns, T.is_root, degree)
    # Made by numpy, which asks for huge pages: arrays that a kernel makes get small ones, and each costs a fault.
    values, *work = (np.empty(len(rows)) for _ in range(4))
    _minimise(
        *(A.indptr, A.indices, A.data, indptr, rows, member_indptr, members),
        *(T.columns, T.values, T.is_root, T.b_coarse, ENERGY_ITERATIONS, values, *work),
    )
    del work  # four fifths of the memory; the transpose takes its place
    count = _drop_zeros(indptr, rows, values)
    p_indptr, p_indices, p_data = transposed(indptr, rows[:count], values[:count], A.shape[0])
    return csr_array((p_data, p_indices, p_indptr), shape=(A.shape[0], num_columns))


@compiled()
def members_of(columns, num_columns):
    """(indptr, rows) of the entries of T by columns."""
    indptr = np.zeros(num_columns + 1, dtype=np.int32)
    for j in columns:
        if j >= 0:
            indptr[j + 1] += 1
    for j in range(num_columns):
        indptr[j + 1] += indptr[j]
    place = indptr[:-1].copy()
    rows = np.empty(indptr[-1], dtype=np.int32)
    for i in range(len(columns)):
        if columns[i] >= 0:
            rows[place[columns[i]]] = i
            place[columns[i]] += 1
    return indptr, rows


@compiled()
def reach(c_indptr, c_indices, member_indptr, members, columns, is_root, degree):
    """(indptr, rows) by columns: the nodes within `degree` strong couplings of each aggregate, by a breadth-first
    search; a root only where it is a member. C is symmetric, so its rows are its columns."""
    c_indptr, c_indices = unsigned(c_indptr), unsigned(c_indices)
    member_indptr, members = unsigned(member_indptr), unsigned(members)
    n, num_columns = len(columns), len(member_indptr) - 1
    indptr = np.zeros(num_columns + 1, dtype=np.int32)
    rows = np.empty(len(c_indices) + n, dtype=np.int32)  # a guess, which grows
    seen = np.full(n, -1, dtype=np.int32)  # seen[i] == j: row i is in column j
    count = 0
    for j in range(num_columns):
        if count + n > len(rows):
            grown = np.empty(2 * len(rows), dtype=np.int32)
            grown[:count] = rows[:count]
            rows = grown
        end = count
        for e in range(member_indptr[j], member_indptr[j + 1]):
            seen[members[e]] = j
            rows[end] = members[e]
            end += 1
        start = count
        for _ in range(degree):
            last = end
            for f in range(start, last):
                k = np.uint32(rows[f])
                for e in range(c_indptr[k], c_indptr[k + 1]):
                    i = c_indices[e]
                    if seen[i] != j:
                        seen[i] = j
                        rows[end] = i
                        end += 1
            start = last
        for f in range(count, end):
            i = np.uint32(rows[f])
            if not is_root[i] or columns[i] == j:
                rows[count] = i
                count += 1
        indptr[j + 1] = count
    return indptr, rows[:count].copy()


@compiled(error_model="numpy")
def _minimise(
    indptr, indices, data, p_indptr, rows, member_indptr, members, columns, values, is_root, b, iterations,
    x, residual, direction, product
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
        if norm < TOLERANCE:
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


@compiled()
def _drop_zeros(indptr, indices, data):
    """Close the gaps of entries that are zero, in place; the number of those left."""
    count, start = 0, 0
    for j in range(len(indptr) - 1):
        end = indptr[j + 1]
        for e in range(start, end):
            if data[e] != 0.0:
                indices[count] = indices[e]
                data[count] = data[e]
                count += 1
        indptr[j + 1] = count
        start = end
    return count
