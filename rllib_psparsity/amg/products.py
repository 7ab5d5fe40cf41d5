"""Transposes and products of CSR matrices.

SciPy's are compiled too, but on levels of a few hundred nodes their checks cost more than their sums. Sums run in the
order of SciPy's for (R A) P, so the results have the same bits.
"""

from __future__ import annotations

import numpy as np
from scipy.sparse import bsr_array, csr_array

from rllib_psparsity.compiled import compiled
from rllib_psparsity.errors import SetupFailure
from rllib_psparsity.prefetch import CACHED, ROWS_AHEAD, prefetch
from rllib_psparsity.unsigned import unsigned

CSRArrays = tuple[np.ndarray, np.ndarray, np.ndarray]
"""(indptr, indices, data): int32, int32 and float64."""


def transpose(P: csr_array | bsr_array) -> csr_array | bsr_array:
    """P^T, stored by rows, in P's own format; sorted indices."""
    if P.format == "bsr":
        return P.T.tobsr()
    indptr, indices, data = transposed(P.indptr, P.indices, P.data, P.shape[1])
    return csr_array((data, indices, indptr), shape=P.shape[::-1])


def galerkin_product(
    R: csr_array | bsr_array, A: csr_array | bsr_array, P: csr_array | bsr_array
) -> csr_array | bsr_array:
    """R A P for R = P^T, in A's format, with sorted indices; `SetupFailure` if it is not finite."""
    if A.format == "bsr":
        coarse = (R @ (A @ P)).tobsr(blocksize=(P.blocksize[1],) * 2)
        coarse.sort_indices()
    else:
        n = P.shape[1]
        factors = (array for M in (R, A, P) for array in (M.indptr, M.indices, M.data))
        # Made by numpy, which asks for huge pages: arrays that a kernel makes get small ones, and each costs a fault.
        # What is not written to costs nothing, so the guess of a coarse matrix is generous: as many entries as A has.
        guess = len(A.indices) + n
        result = np.zeros(n + 1, np.int32), np.empty(guess, np.int32), np.empty(guess)
        row_of_RA = np.empty(A.shape[0]), np.full(A.shape[0], -1, np.int32), np.empty(A.shape[0], np.uint32)
        row_of_result = np.empty(n), np.full(n, -1, np.int32)
        rows = list(_triple_product(*factors, result, row_of_RA, row_of_result))
        del result, row_of_RA, row_of_result
        indptr, indices, data = sort_rows(rows, n)
        coarse = csr_array((data, indices, indptr), shape=(n, n))
    if not np.isfinite(coarse.data).all():
        raise SetupFailure("the Galerkin product is not finite")
    return coarse


def transposed(indptr: np.ndarray, indices: np.ndarray, data: np.ndarray, num_columns: int) -> CSRArrays:
    """CSR arrays of the transpose, sorted."""
    t_indptr = np.zeros(num_columns + 1, dtype=np.int32)
    t_indices, t_data = np.empty(len(indices), dtype=np.int32), np.empty(len(indices))
    _transpose(indptr, indices, data, t_indptr, t_indices, t_data)
    return t_indptr, t_indices, t_data


def sort_rows(rows: list[np.ndarray], num_columns: int) -> CSRArrays:
    """The same matrix with sorted rows: transposed twice, which takes linear time however long they are.

    `rows`, a list of indptr, indices and data, is emptied, so that memory that nobody else holds can serve the result.
    """
    num_rows = len(rows[0]) - 1
    columns = transposed(rows[0], rows[1], rows[2], num_columns)
    rows.clear()
    return transposed(*columns, num_rows)


@compiled()
def _transpose(indptr, indices, data, t_indptr, t_indices, t_data):
    indptr, indices, t_indptr = unsigned(indptr), unsigned(indices), unsigned(t_indptr)
    count = t_indptr[1:]
    for j in indices:
        count[j] += 1
    for j in range(len(t_indptr) - 1):
        t_indptr[j + 1] += t_indptr[j]
    place = t_indptr[:-1].copy()
    for i in range(len(indptr) - 1):
        for e in range(indptr[i], indptr[i + 1]):
            f = place[indices[e]]
            t_indices[f] = i
            t_data[f] = data[e]
            place[indices[e]] += 1


@compiled()
def _triple_product(
    r_indptr, r_indices, r_data, indptr, indices, data, p_indptr, p_indices, p_data, result, row_of_RA, row_of_result
):
    """CSR arrays of (R A) P, row by row (Gustavson 1978); rows not sorted, and without sums that vanish.

    A row of R A is used up at once, so that no product of the size of A is ever stored. `result` holds the arrays that
    are returned, zeros first, unless they have to grow. Of both rows, the sums by column, and -1 everywhere in what
    becomes the last row that had this column; of the first, room for its columns too.
    """
    r_indptr, r_indices = unsigned(r_indptr), unsigned(r_indices)
    start, end, indices = unsigned(indptr), unsigned(indptr)[1:], unsigned(indices)
    p_start, p_end, p_indices = unsigned(p_indptr), unsigned(p_indptr)[1:], unsigned(p_indices)
    num_coarse, count = len(r_indptr) - 1, 0
    coarse_indptr, coarse_indices, coarse_data = result
    sums, seen, row = row_of_RA
    coarse_sums, coarse_seen = row_of_result
    hints = np.uint32(len(r_indices) if len(indices) > CACHED else 0)
    for i in range(num_coarse):
        if count + num_coarse > len(coarse_indices):
            capacity = 2 * len(coarse_indices)
            coarse_indices, coarse_data = _grown(coarse_indices, count, capacity), _grown(coarse_data, count, capacity)
        size = 0
        for e in range(r_indptr[i], r_indptr[i + 1]):
            k, r = r_indices[e], r_data[e]
            if e + 2 * ROWS_AHEAD < hints:
                prefetch(start, r_indices[e + 2 * ROWS_AHEAD])
                first = start[r_indices[e + ROWS_AHEAD]]
                prefetch(indices, first)
                prefetch(data, first)
                prefetch(data, first + 7)  # a row of eight or more has a second line
            for f in range(start[k], end[k]):
                j = indices[f]
                if seen[j] != i:
                    seen[j] = i
                    sums[j] = r * data[f]
                    row[size] = j
                    size += 1
                else:
                    sums[j] += r * data[f]
        last = count
        for g in range(size - 1, -1, -1):  # SciPy's order
            k = row[g]
            if hints > 0 and g >= ROWS_AHEAD:
                first = p_start[row[g - ROWS_AHEAD]]
                prefetch(p_indices, first)
                prefetch(p_data, first)
            if sums[k] == 0.0:
                continue
            for f in range(p_start[k], p_end[k]):
                j = p_indices[f]
                if coarse_seen[j] != i:
                    coarse_seen[j] = i
                    coarse_sums[j] = sums[k] * p_data[f]
                    coarse_indices[last] = j
                    last += 1
                else:
                    coarse_sums[j] += sums[k] * p_data[f]
        for f in range(count, last):
            j = np.uint32(coarse_indices[f])
            if coarse_sums[j] != 0.0:
                coarse_indices[count] = j
                coarse_data[count] = coarse_sums[j]
                count += 1
        coarse_indptr[i + 1] = count
    return coarse_indptr, coarse_indices[:count], coarse_data[:count]


@compiled()
def _grown(values, count, capacity):
    grown = np.empty(capacity, dtype=values.dtype)
    grown[:count] = values[:count]
    return grown
