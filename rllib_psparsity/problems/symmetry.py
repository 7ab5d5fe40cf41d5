"""How far a sparse matrix is from its transpose, found and mended in place, without a transposed copy."""

from __future__ import annotations

import numpy as np
from scipy.sparse import coo_array, csr_array

from rllib_psparsity.compiled import compiled
from rllib_psparsity.unsigned import unsigned


def asymmetry(matrix: csr_array, diagonal: np.ndarray) -> tuple[float, int, int] | None:
    """The largest ``|a_ij - a_ji| / sqrt(a_ii a_jj)``, and where a_ij and a_ji are stored; -1 if nothing differs.

    None where an entry has no counterpart: see `with_symmetric_pattern`.

    Parameters
    ----------
    matrix : (n, n) csr_array, sorted indices
    diagonal : (n,) float64, positive
    """
    relative, entry, mirrored = _largest_gap(matrix.indptr, matrix.indices, matrix.data, np.sqrt(diagonal))
    return None if entry < 0 else (relative, int(entry), int(mirrored))


def average_with_transpose(matrix: csr_array) -> None:
    """Replace a matrix of symmetric pattern by its symmetric part."""
    _average(matrix.indptr, matrix.indices, matrix.data)


def with_symmetric_pattern(matrix: csr_array) -> csr_array:
    """The same matrix, with explicit zeros where only the transpose has an entry."""
    entries = matrix.tocoo()
    rows, columns = (np.concatenate(both) for both in (entries.coords, entries.coords[::-1]))
    values = np.concatenate([entries.data, np.zeros(entries.nnz)])
    return csr_array(coo_array((values, (rows, columns)), shape=matrix.shape))


def indefinite_pair(matrix: csr_array, diagonal: np.ndarray, tolerance: float) -> tuple[int, int] | None:
    """Row and place in storage of an entry with ``|a_ij| > (1 + tolerance) sqrt(a_ii a_jj)``, None if there is none.

    Such a pair of unknowns has a 2 x 2 matrix with a negative eigenvalue, so the whole matrix is not positive
    semidefinite.
    """
    row, entry = _indefinite_pair(matrix.indptr, matrix.indices, matrix.data, np.sqrt(diagonal), 1.0 + tolerance)
    return None if row < 0 else (int(row), int(entry))


# Rows are visited in ascending order, so the entries of a column j come in the order in which row j stores their
# mirror images: a cursor in every row finds them without a search.


@compiled()
def _largest_gap(indptr, indices, data, root):
    indptr, indices = unsigned(indptr), unsigned(indices)
    cursor, stop = indptr[:-1].copy(), indptr[1:]
    largest, entry, mirrored = -1.0, 0, 0
    for i in range(len(root)):
        for e in range(indptr[i], indptr[i + 1]):
            j = indices[e]
            m = cursor[j]
            if m == stop[j] or indices[m] != i:
                return -1.0, -1, -1
            cursor[j] += 1
            if data[e] != data[m]:
                gap = abs(data[e] - data[m]) / root[i] / root[j]
                if gap > largest:
                    largest, entry, mirrored = gap, np.int64(e), np.int64(m)
    return largest, entry, mirrored


@compiled()
def _average(indptr, indices, data):
    indptr, indices = unsigned(indptr), unsigned(indices)
    cursor = indptr[:-1].copy()
    for i in range(len(cursor)):
        for e in range(indptr[i], indptr[i + 1]):
            j = indices[e]
            m = cursor[j]
            cursor[j] += 1
            if j > i:
                data[e] = data[m] = (data[e] + data[m]) * 0.5


@compiled()
def _indefinite_pair(indptr, indices, data, root, factor):
    indptr, indices = unsigned(indptr), unsigned(indices)
    for i in range(len(root)):
        bound = factor * root[i]
        for e in range(indptr[i], indptr[i + 1]):
            if abs(data[e]) > bound * root[indices[e]]:
                return i, np.int64(e)
    return -1, -1
