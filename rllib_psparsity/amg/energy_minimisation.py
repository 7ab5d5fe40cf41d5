"""The energy-minimising prolongator of scalar problems with one candidate.

The algorithm and its numbers are those of PyAMG's `energy_prolongation_smoother`; `block_energy` has all other
problems.
"""

from __future__ import annotations

import numpy as np
from scipy.sparse import csc_array, csr_array

from rllib_psparsity.amg.energy_by_columns import minimise_by_columns
from rllib_psparsity.amg.energy_by_rows import minimise_by_rows
from rllib_psparsity.amg.products import CSRArrays, transposed
from rllib_psparsity.amg.tentative import Tentative
from rllib_psparsity.compiled import compiled
from rllib_psparsity.unsigned import unsigned

ENERGY_ITERATIONS = 4
"""Steps of conjugate gradients, PyAMG's default."""

TOLERANCE = 1e-8
"""A squared norm of the preconditioned residual below this ends the iteration, as in PyAMG."""

MANY_ROWS = 1 << 17
"""Beyond so many rows nearly every level gains by storage by rows; from half as many on some do, and some lose."""


def minimise_energy(A: csr_array, T: Tentative, C: csr_array, degree: int, by_rows: bool | None = None) -> csr_array:
    """Columns of little energy on the pattern of |C|^degree |T| that still reproduce the candidate.

    Parameters
    ----------
    A : (N, N) csr_array, symmetric positive definite
    T : the tentative prolongator, where the iteration starts
    C : (N, N) symmetric csr_array with its diagonal, the strong couplings; its values play no role
    degree : 1 or more
    by_rows : whether the values are stored by rows of P in the meantime, or by its columns; by default the former
        beyond `MANY_ROWS`, where it is faster

    Returns
    -------
    (N, N_c) csr_array P, sorted, without entries that are zero.

    Notes
    -----
    Conjugate gradients for A P = 0 in the space of updates U within the pattern with U b_c = 0 (Olson, Schroder and
    Tuminaro, SIAM J. Sci. Comput. 33, 2011, algorithm 1), preconditioned by the rows' sums of magnitudes. Rows of roots
    stay the identity (Manteuffel, Olson, Schroder and Southworth 2017). Every product and residual X is projected row
    by row: ``x_i - (x_i . b_i) b_i / (b_i . b_i)`` with b_i the coarse candidate on the row's pattern.

    `energy_by_rows` and `energy_by_columns` sum in the same order but for the inner products over all of P.
    """
    shape = A.shape[0], len(T.b_coarse)
    by_rows = shape[0] > MANY_ROWS if by_rows is None else by_rows
    member_indptr, members = members_of(T.columns, shape[1])
    indptr, rows = reach(C.indptr, C.indices, member_indptr, members, T.columns, T.is_root, degree)
    if by_rows:
        pattern = csc_array((np.ones(len(rows), dtype=np.int8), rows, indptr), shape=shape).tocsr()
        del rows
        indptr, indices, data = _by_rows(A, T, pattern.indptr, pattern.indices)
    else:
        indptr, indices, data = _by_columns(A, T, indptr, rows, member_indptr, members)
    return csr_array((data, indices, indptr), shape=shape)


def _by_rows(A: csr_array, T: Tentative, indptr: np.ndarray, indices: np.ndarray) -> CSRArrays:
    """CSR arrays of P within this pattern, which is stored by rows."""
    # Made by numpy, which asks for huge pages: arrays that a kernel makes get small ones, and each costs a fault.
    values, *work = (np.empty(len(indices)) for _ in range(4))
    minimise_by_rows(
        *(A.indptr, A.indices, A.data, indptr, indices),
        *(T.columns, T.values, T.is_root, T.b_coarse, ENERGY_ITERATIONS, TOLERANCE, values, *work),
    )
    count = _drop_zeros(indptr, indices, values)
    return indptr, indices[:count], values[:count]


def _by_columns(
    A: csr_array, T: Tentative, indptr: np.ndarray, rows: np.ndarray, member_indptr: np.ndarray, members: np.ndarray
) -> CSRArrays:
    """The same of a pattern that is stored by columns, as the members of the aggregates are."""
    values, *work = (np.empty(len(rows)) for _ in range(4))
    minimise_by_columns(
        *(A.indptr, A.indices, A.data, indptr, rows, member_indptr, members),
        *(T.columns, T.values, T.is_root, T.b_coarse, ENERGY_ITERATIONS, TOLERANCE, values, *work),
    )
    count = _drop_zeros(indptr, rows, values)
    return transposed(indptr, rows[:count], values[:count], A.shape[0])


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
