"""Matrices that have the same stencil in every point of a grid."""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_array


def stencil_matrix(stencil: np.ndarray, shape: tuple[int, ...]) -> csr_array:
    """Apply a 3 x ... x 3 stencil on a grid whose neighbours outside are zero (homogeneous Dirichlet).

    Parameters
    ----------
    stencil : (3, ..., 3) float64, the weight of the neighbour at offset index - 1; its last axis is x
    shape : interior grid points along each axis; the last axis is x, and unknowns are numbered with x fastest

    Returns
    -------
    csr_array, float64, sorted int32 indices, no explicit zeros

    PyAMG's `gallery.stencil_grid` gives the same matrix through a dia_array; this one is faster on small grids.
    """
    offsets = np.argwhere(stencil) - 1  # (used, axes), so that numbers ascend in each row
    inside = np.ones((1, len(offsets)), dtype=bool)
    steps = np.zeros(len(offsets), dtype=np.int32)  # from a point's number to its neighbours'
    for axis, extent in enumerate(shape):
        neighbour = np.arange(extent)[:, None] + offsets[:, axis]
        inside = (inside[:, None] & (neighbour >= 0) & (neighbour < extent)).reshape(-1, len(offsets))
        steps = steps * extent + offsets[:, axis].astype(np.int32)
    return neighbour_matrix(np.broadcast_to(stencil[stencil != 0], inside.shape), inside, steps)


def neighbour_matrix(entries: np.ndarray, inside: np.ndarray, steps: np.ndarray) -> csr_array:
    """A matrix whose entry (i, i + steps[k]) is entries[i, k] where inside[i, k].

    Parameters
    ----------
    entries : (n, K) float64
    inside : (n, K) bool
    steps : (K,) int32, ascending
    """
    n = len(inside)
    columns = np.arange(n, dtype=np.int32)[:, None] + steps
    indptr = np.zeros(n + 1, dtype=np.int32)
    np.cumsum(inside.sum(axis=1), out=indptr[1:])
    return csr_array((entries[inside], columns[inside], indptr), shape=(n, n))
