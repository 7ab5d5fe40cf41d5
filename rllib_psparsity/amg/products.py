"""Transposes and products of CSR matrices.

SciPy's are compiled too, but on levels of a few hundred nodes their checks cost more than their sums, and they do not
know that a Galerkin product is symmetric. Sums run in the order of SciPy's for (R A) P, so they have the same bits.
"""

from __future__ import annotations

import numpy as np
from scipy.sparse import bsr_array, csr_array

from rllib_psparsity.compiled import compiled
from rllib_psparsity.errors import SetupFailure
from rllib_psparsity.prefetch import CACHED, ROWS_AHEAD, prefetch, prefetch_row
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
    """R A P for R = P^T and symmetric A, in A's format, with sorted indices; `SetupFailure` if it is not finite.

    In CSR format the lower triangle alone is computed, so that the result is symmetric to the last bit.
    """
    if A.format == "bsr":
        coarse = (R @ (A @ P)).tobsr(blocksize=(P.blocksize[1],) * 2)
        coarse.sort_indices()
    else:
        n = P.shape[1]
        factors = (array for M in (R, A, P) for array in (M.indptr, M.indices, M.data))
        # Made by numpy, which asks for huge pages: arrays that a kernel makes get small ones, and each costs a fault.
        # What is not written to costs nothing, so the guess of a lower triangle is generous: half of A's entries.
        guess = len(A.indices) // 2 + n
        result = np.zeros(n + 1, np.int32), np.empty(guess, np.int32), np.empty(guess)
        row_of_RA = np.empty(A.shape[0]), np.full(A.shape[0], -1, np.int32), np.empty(A.shape[0], np.uint32)
        row_of_result = np.empty(n), np.full(n, -1, np.int32)
        triangle = _triple_product(*factors, result, row_of_RA, row_of_result)
        del result, row_of_RA, row_of_result
        indptr, indices, data = symmetric(*triangle)
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


def symmetric(indptr: np.ndarray, indices: np.ndarray, data: np.ndarray) -> CSRArrays:
    """CSR arrays of the symmetric matrix with this lower triangle, sorted, in linear time; the triangle need not be."""
    n = len(indptr) - 1
    whole, upper = np.zeros(n + 1, dtype=np.int32), np.zeros(n, dtype=np.uint32)
    _count_both(indptr, indices, whole, upper)
    result = whole, np.empty(whole[-1], dtype=np.int32), np.empty(whole[-1])
    _fill_both(indptr, indices, data, upper, *result)
    return result


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
def _count_both(indptr, indices, s_indptr, upper):
    """Fill `s_indptr`, and with the place of the first entry above the diagonal, by row, `upper`, zeros before."""
    indptr, indices = unsigned(indptr), unsigned(indices)
    n = len(upper)
    for i in range(n):
        for e in range(indptr[i], indptr[i + 1]):
            if indices[e] != i:
                upper[indices[e]] += np.uint32(1)
    for i in range(n):
        above = s_indptr[i] + (indptr[i + 1] - indptr[i])
        s_indptr[i + 1] = above + upper[i]
        upper[i] = above


@compiled()
def _fill_both(indptr, indices, data, upper, s_indptr, s_indices, s_data):
    """What a row gets, from others in turn, comes sorted: above the diagonal by the rows of the triangle, and then
    below it by the rows above."""
    indptr, indices, s_indptr = unsigned(indptr), unsigned(indices), unsigned(s_indptr)
    n, one = len(upper), np.uint32(1)
    lower = s_indptr[:-1].copy()
    for i in range(n):
        last = upper[i] - one  # of the row up to its diagonal; no row above has come to it yet
        for e in range(indptr[i], indptr[i + 1]):
            j = indices[e]
            if j == i:
                f = last
            else:
                f = upper[j]
                upper[j] += one
            s_indices[f] = i
            s_data[f] = data[e]
    for j in range(n):
        for f in range(s_indptr[j] + (indptr[j + 1] - indptr[j]), s_indptr[j + 1]):
            i = np.uint32(s_indices[f])
            s_indices[lower[i]] = j
            s_data[lower[i]] = s_data[f]
            lower[i] += one


@compiled()
def _triple_product(
    r_indptr, r_indices, r_data, indptr, indices, data, p_indptr, p_indices, p_data, result, row_of_RA, row_of_result
):
    """CSR arrays of the lower triangle of (R A) P, row by row (Gustavson 1978); rows not sorted, and without sums that
    vanish. P's rows are sorted.

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
            capacity = 2 * len(coarse_indices) + num_coarse
            coarse_indices, coarse_data = _grown(coarse_indices, count, capacity), _grown(coarse_data, count, capacity)
        size = 0
        for e in range(r_indptr[i], r_indptr[i + 1]):
            k, r = r_indices[e], r_data[e]
            if e + 2 * ROWS_AHEAD < hints:
                prefetch(start, r_indices[e + 2 * ROWS_AHEAD])
                prefetch_row(indices, data, start[r_indices[e + ROWS_AHEAD]])
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
                prefetch(p_data, first + 8)
            if sums[k] == 0.0:
                continue
            for f in range(p_start[k], p_end[k]):
                j = p_indices[f]
                if j > i:
                    break
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
