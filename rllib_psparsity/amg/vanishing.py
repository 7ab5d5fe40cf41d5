"""Coarse unknowns without energy, where a matrix is singular."""

from __future__ import annotations

import numpy as np
from scipy.sparse import bsr_array, csr_array

from rllib_psparsity.compiled import compiled

VANISHING = 1e-11
"""A coarse diagonal entry below this share of the fine diagonal entries that it was summed from is their rounding, or
that of a prolongator which reproduces nearly dependent candidates less well (`reproduction`): at 1e-13, before those
were refined, one in 25 matrices of several singular parts was not solved, with a second candidate at random. Where a
matrix has so little energy itself, double precision does not solve to 1e-8 anyway."""


def clear_vanishing(coarse: csr_array | bsr_array, R: csr_array | bsr_array, fine_diagonal: np.ndarray) -> None:
    """Set rows and columns of the Galerkin product to zero, in place, where nothing but rounding is left.

    A part of the domain without any Dirichlet condition that shrinks to one coarse node has energy zero there. What the
    product leaves instead, 1e-17 of either sign, must not be divided by: relaxation and direct solvers of this package
    and of PyAMG leave an unknown alone whose diagonal entry is exactly zero.

    Parameters
    ----------
    coarse : (n_c, n_c) R A R^T; R : (n_c, n); fine_diagonal : (n,) of A
    """
    squares = type(R)((R.data**2, R.indices, R.indptr), shape=R.shape) if R.format == "bsr" else None
    bound = squares @ fine_diagonal if squares is not None else _energies(R.indptr, R.indices, R.data, fine_diagonal)
    vanishes = coarse.diagonal() < VANISHING * bound
    if not vanishes.any():
        return
    if coarse.format == "csr":
        _clear(coarse.indptr, coarse.indices, coarse.data, vanishes)
    else:
        kept = ~vanishes.reshape(-1, coarse.blocksize[0])
        rows = np.repeat(np.arange(len(kept)), np.diff(coarse.indptr))
        coarse.data *= kept[rows][:, :, None] & kept[coarse.indices][:, None, :]


@compiled()
def _energies(indptr, indices, data, diagonal):
    energies = np.zeros(len(indptr) - 1)
    for i in range(len(energies)):
        for e in range(indptr[i], indptr[i + 1]):
            energies[i] += data[e] * data[e] * diagonal[indices[e]]
    return energies


@compiled()
def _clear(indptr, indices, data, vanishes):
    for i in range(len(vanishes)):
        for e in range(indptr[i], indptr[i + 1]):
            if vanishes[i] or vanishes[indices[e]]:
                data[e] = 0.0
