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
    used = np.flatnonzero(stencil)
    offsets = np.array(np.unravel_index(used, stencil.shape)) - 1
    points = np.indices(shape, dtype=np.int32).reshape(len(shape), -1)
    neighbours = points[:, :, None] + offsets[:, None, :]  # (axes, points, used), ascending numbers in each row
    extent = np.reshape(shape, (-1, 1, 1))
    inside = np.asarray(((neighbours >= 0) & (neighbours < extent)).all(axis=0))
    numbers = np.asarray(np.ravel_multi_index(tuple(neighbours), shape, mode="clip"), dtype=np.int32)
    indptr = np.concatenate([[0], np.cumsum(inside.sum(axis=1))]).astype(np.int32)
    weights = np.broadcast_to(stencil.ravel()[used], inside.shape)
    return csr_array((weights[inside], numbers[inside], indptr), shape=(len(inside), len(inside)))
