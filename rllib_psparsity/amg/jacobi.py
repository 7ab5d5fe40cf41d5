"""The filtered Jacobi prolongator of scalar problems with one candidate.

The numbers are those of PyAMG's `jacobi_prolongation_smoother` with ``filter_entries=True, weighting="local"``;
`block_jacobi` has all other problems.
"""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_array

from rllib_psparsity.amg.tentative import Tentative
from rllib_psparsity.compiled import compiled
from rllib_psparsity.unsigned import unsigned

OMEGA = 4.0 / 3.0
"""Weight of the Jacobi step (Vanek, Mandel and Brezina 1996)."""


def smooth_by_jacobi(A: csr_array, T: Tentative, C: csr_array) -> csr_array:
    """P = T - U, U the part of omega D^-1 S T that leaves the candidate alone.

    S is A where C has an entry, D its rows' sums of magnitudes. Each row of U is projected as in `minimise_energy`, on
    the pattern of S T.

    Parameters
    ----------
    A : (N, N) csr_array
    T : the tentative prolongator of smoothed aggregation
    C : (N, N) csr_array with its diagonal, the strong couplings; its values play no role

    Returns
    -------
    (N, N_c) csr_array, sorted, without entries that are zero.
    """
    n = A.shape[0]
    indptr = np.zeros(n + 1, dtype=np.int32)
    indices, data = np.empty(C.nnz, dtype=np.int32), np.empty(C.nnz)
    count = _smooth(
        *(A.indptr, A.indices, A.data, C.indptr, C.indices),
        *(T.columns, T.values, T.b_coarse, indptr, indices, data),
    )
    return csr_array((data[:count], indices[:count], indptr), shape=(n, len(T.b_coarse)))


@compiled()
def _smooth(indptr, indices, data, c_indptr, c_indices, columns, values, b, p_indptr, p_indices, p_data):
    indptr, indices = unsigned(indptr), unsigned(indices)
    c_indptr, c_indices = unsigned(c_indptr), unsigned(c_indices)
    n, num_columns = len(columns), len(b)
    strong = np.full(n, -1, dtype=np.int32)  # strong[j] == i: j is a strong neighbour of i, or i itself
    seen = np.full(num_columns, -1, dtype=np.int32)  # seen[j] == i: column j is in row i
    update = np.empty(num_columns)
    row = np.empty(num_columns, dtype=np.int32)
    count = 0
    for i in range(n):
        for e in range(c_indptr[i], c_indptr[i + 1]):
            strong[c_indices[e]] = i
        total = 0.0
        for e in range(indptr[i], indptr[i + 1]):
            if strong[indices[e]] == i:
                total += abs(data[e])
        weight = 1.0 / total if total != 0.0 else 0.0
        size = 0
        own = columns[i]
        if own >= 0:
            seen[own] = i
            update[own] = 0.0
            row[0] = own
            size = 1
        for e in range(indptr[i], indptr[i + 1]):
            j = columns[indices[e]]
            if strong[indices[e]] == i and j >= 0:
                if seen[j] != i:
                    seen[j] = i
                    update[j] = 0.0
                    row[size] = j
                    size += 1
                update[j] += OMEGA * (data[e] * weight) * values[indices[e]]
        along, square = 0.0, 0.0
        for f in range(size):
            j = row[f]
            if update[j] != 0.0:  # a sum that vanishes is not in the pattern
                along += update[j] * b[j]
                square += b[j] * b[j]
        factor = along / square if square != 0.0 else 0.0
        for f in range(size):
            j = row[f]
            entry = values[i] if j == own else 0.0
            if update[j] != 0.0:
                entry -= update[j] - factor * b[j]
            if entry != 0.0:
                p_indices[count] = j
                p_data[count] = entry
                count += 1
        p_indptr[i + 1] = count
        _sort_row(p_indices, p_data, p_indptr[i], count)
    return count


@compiled()
def _sort_row(indices, data, first, last):
    """Sort a row in place: Shell's sort, in O(m^1.5) for m entries (Knuth 1973, volume 3, section 5.2.1). Rows are
    short, and of those it inserts entry by entry."""
    gap = 1
    while gap < (last - first) // 3:
        gap = 3 * gap + 1
    while gap > 0:
        for e in range(first + gap, last):
            column, value = indices[e], data[e]
            f = e
            while f >= first + gap and indices[f - gap] > column:
                indices[f], data[f] = indices[f - gap], data[f - gap]
                f -= gap
            indices[f], data[f] = column, value
        gap //= 3
