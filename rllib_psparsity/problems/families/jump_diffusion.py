"""Diffusion through a random medium whose conductivity jumps by decades."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter
from scipy.sparse import csr_array

from rllib_psparsity.problems.families.family import Family, Parameter, scalar_problem
from rllib_psparsity.problems.families.stencil import neighbour_matrix
from rllib_psparsity.problems.problem import Problem


def lognormal_field(rng: np.random.Generator, size: int, decades: float, correlation: float) -> np.ndarray:
    """(size, size) conductivities of the cells, axes (y, x), between 10^(-decades/2) and 10^(decades/2).

    The logarithm is white noise smoothed by a Gaussian whose standard deviation is `correlation` sides of the domain
    (less than an eighth of a cell leaves it uncorrelated), scaled so that the whole contrast is exactly `decades`.
    """
    noise = gaussian_filter(rng.standard_normal((size, size)), correlation * size, mode="nearest")
    unit = (noise - noise.min()) / (noise.max() - noise.min())
    return 10.0 ** (decades * (unit - 0.5))


def finite_volume_matrix(conductivity: np.ndarray) -> csr_array:
    """Five-point matrix of -div(k grad u) with one unknown per cell of a (rows, columns) grid of square cells.

    The face between two cells carries the harmonic mean of their conductivities; a face on the boundary, where u = 0,
    is half a cell away and carries 2 k. Unknowns are numbered along the last axis first. No factor of h.
    """
    k = conductivity
    across_x = 2 * k[:, 1:] * k[:, :-1] / (k[:, 1:] + k[:, :-1])
    across_y = 2 * k[1:] * k[:-1] / (k[1:] + k[:-1])
    diagonal = np.zeros_like(k)
    for faces, low, high in (
        (across_x, np.s_[:, :-1], np.s_[:, 1:]),
        (across_y, np.s_[:-1], np.s_[1:]),
    ):
        diagonal[low] += faces
        diagonal[high] += faces
    for side in (np.s_[0], np.s_[-1], np.s_[:, 0], np.s_[:, -1]):
        diagonal[side] += 2 * k[side]
    entries = np.zeros((*k.shape, 5))
    entries[1:, :, 0] = entries[:-1, :, 4] = -across_y
    entries[:, 1:, 1] = entries[:, :-1, 3] = -across_x
    entries[:, :, 2] = diagonal
    entries = entries.reshape(-1, 5)
    steps = np.array([-k.shape[1], -1, 0, 1, k.shape[1]], dtype=np.int32)
    return neighbour_matrix(entries, entries != 0, steps)


def make(rng: np.random.Generator, size: int, *, decades: float, correlation: float) -> Problem:
    """Diffusion with a lognormal conductivity per cell, five-point finite volumes.

    -div(k grad u) on the unit square, u = 0 on the boundary, size x size cells with the unknowns in their centres, x
    fastest. k is `lognormal_field`: `decades` is log10 of its largest over its smallest value, `correlation` its
    length as a share of the side. Harmonic means on the faces.
    """
    matrix = finite_volume_matrix(lognormal_field(rng, size, decades, correlation))
    return scalar_problem(matrix, FAMILY.name, size, decades=decades, correlation=correlation)


FAMILY = Family(
    "jump_diffusion",
    make,
    {
        "decades": Parameter(1.0, 6.0, minimum=0.0, maximum=8.0, easy="low"),
        "correlation": Parameter(0.005, 0.3, minimum=1e-4, maximum=1.0, log=True, easy="high"),
    },
)
