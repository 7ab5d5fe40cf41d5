"""Transposes and products of CSR matrices.

SciPy's are compiled too, but on levels of a few hundred nodes their checks cost more than their sums. Sums run in the
order of SciPy's, so the results have the same bits.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from scipy.sparse import bsr_array, csr_array

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
        AP = _multiply(A.indptr, A.indices, A.data, P.indptr, P.indices, P.data, n)
        indptr, indices, data = sort_rows(*_multiply(R.indptr, R.indices, R.data, *AP, n), n)
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


@njit(cache=True)
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


@njit(cache=True)
def _multiply(a_indptr, a_indices, a_data, b_indptr, b_indices, b_data, num_columns):
    """CSR arrays of A B, row by row (Gustavson 1978); rows not sorted, and without sums that vanish."""
    a_indptr, a_indices = unsigned(a_indptr), unsigned(a_indices)
    b_start, b_end, b_indices = unsigned(b_indptr), unsigned(b_indptr)[1:], unsigned(b_indices)
    n = len(a_indptr) - 1
    indptr = np.zeros(n + 1, dtype=np.int32)
    indices = np.empty(len(a_indices) + num_columns, dtype=np.int32)  # a guess, which grows
    data = np.empty(len(indices))
    seen = np.full(num_columns, -1, dtype=np.int32)  # seen[j] == i: column j is in row i
    sums = np.empty(num_columns)
    count = 0
    for i in range(n):
        if count + num_columns > len(indices):
            capacity = 2 * len(indices)
            indices, data = _grown(indices, count, capacity), _grown(data, count, capacity)
        end = count
        for e in range(a_indptr[i], a_indptr[i + 1]):
            k, a = a_indices[e], a_data[e]
            for f in range(b_start[k], b_end[k]):
                j = b_indices[f]
                if seen[j] != i:
                    seen[j] = i
                    sums[j] = a * b_data[f]
                    indices[end] = j
                    end += 1
                else:
                    sums[j] += a * b_data[f]
        for f in range(count, end):
            j = np.uint32(indices[f])
            if sums[j] != 0.0:
                indices[count] = j
                data[count] = sums[j]
                count += 1
        indptr[i + 1] = count
    return indptr, indices[:count], data[:count]


@njit(cache=True)
def _grown(values, count, capacity):
    grown = np.empty(capacity, dtype=values.dtype)
    grown[:count] = values[:count]
    return grown
