"""Transposes and products of CSR matrices.

SciPy's are compiled too, but on levels of a few hundred nodes their checks cost more than their sums. Sums run in the
order of SciPy's for (R A) P, so the results have the same bits.
"""

from __future__ import annotations

import numpy as np
from scipy.sparse import bsr_array, csr_array

from rllib_psparsity.compiled import compiled
from rllib_psparsity.errors import SetupFailure
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
        capacity = len(R.indices) + n  # a guess, which grows; made by numpy, which asks for huge pages
        indptr, indices, data = _triple_product(*factors, np.empty(capacity, np.int32), np.empty(capacity))
        indptr, indices, data = sort_rows(indptr, indices, data, n)
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


def sort_rows(indptr: np.ndarray, indices: np.ndarray, data: np.ndarray, num_columns: int) -> CSRArrays:
    """The same matrix with sorted rows: transposed twice, which takes linear time however long they are."""
    return transposed(*transposed(indptr, indices, data, num_columns), len(indptr) - 1)


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
    r_indptr, r_indices, r_data, indptr, indices, data, p_indptr, p_indices, p_data, coarse_indices, coarse_data
):
    """CSR arrays of (R A) P, row by row (Gustavson 1978); rows not sorted, and without sums that vanish.

    A row of R A is used up at once, so that no product of the size of A is ever stored.
    """
    r_indptr, r_indices = unsigned(r_indptr), unsigned(r_indices)
    start, end, indices = unsigned(indptr), unsigned(indptr)[1:], unsigned(indices)
    p_start, p_end, p_indices = unsigned(p_indptr), unsigned(p_indptr)[1:], unsigned(p_indices)
    n, num_coarse = len(end), len(r_indptr) - 1
    coarse_indptr = np.zeros(num_coarse + 1, dtype=np.int32)
    # A row of R A: its columns and their sums. Column j is at place[j], if that is within the row and holds j (Briggs
    # and Torczon 1993): one random access instead of two, and nothing to reset.
    place, row, sums = np.zeros(n, dtype=np.int32), np.empty(n, dtype=np.uint32), np.empty(n)
    coarse_place = np.zeros(num_coarse, dtype=np.int32)
    count = 0
    for i in range(num_coarse):
        if count + num_coarse > len(coarse_indices):
            capacity = 2 * len(coarse_indices)
            coarse_indices, coarse_data = _grown(coarse_indices, count, capacity), _grown(coarse_data, count, capacity)
        size = 0
        for e in range(r_indptr[i], r_indptr[i + 1]):
            k, r = r_indices[e], r_data[e]
            for f in range(start[k], end[k]):
                j = indices[f]
                g = place[j]
                if g < size and row[g] == j:
                    sums[g] += r * data[f]
                else:
                    place[j] = size
                    row[size] = j
                    sums[size] = r * data[f]
                    size += 1
        last = count
        for g in range(size - 1, -1, -1):  # SciPy's order
            k = row[g]
            if sums[g] == 0.0:
                continue
            for f in range(p_start[k], p_end[k]):
                j = p_indices[f]
                h = coarse_place[j]
                if count <= h < last and coarse_indices[h] == j:
                    coarse_data[h] += sums[g] * p_data[f]
                else:
                    coarse_place[j] = last
                    coarse_indices[last] = j
                    coarse_data[last] = sums[g] * p_data[f]
                    last += 1
        for f in range(count, last):
            if coarse_data[f] != 0.0:
                coarse_indices[count] = coarse_indices[f]
                coarse_data[count] = coarse_data[f]
                count += 1
        coarse_indptr[i + 1] = count
    return coarse_indptr, coarse_indices[:count], coarse_data[:count]


@compiled()
def _grown(values, count, capacity):
    grown = np.empty(capacity, dtype=values.dtype)
    grown[:count] = values[:count]
    return grown
