"""Diffusion by finite volumes on grids of cells whose conductivity varies."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.ndimage import gaussian_filter
from scipy.sparse import csr_array

from rllib_psparsity.problems.families.stencil import neighbour_matrix


def smooth_noise(rng: np.random.Generator, shape: tuple[int, ...], deviations: tuple[float, ...]) -> np.ndarray:
    """White noise on the cells, smoothed by a Gaussian of these standard deviations in cells by axis, from 0 to 1.

    Less than an eighth of a cell leaves it uncorrelated.
    """
    noise = gaussian_filter(rng.standard_normal(shape), deviations, mode="nearest")
    return (noise - noise.min()) / (noise.max() - noise.min())


def lognormal_field(rng: np.random.Generator, size: int, decades: float, correlation: float) -> np.ndarray:
    """(size, size) conductivities of the cells, axes (y, x), between 10^(-decades/2) and 10^(decades/2).

    The logarithm is `smooth_noise` whose deviation is `correlation` sides of the domain, scaled so that the whole
    contrast is exactly `decades`.
    """
    unit = smooth_noise(rng, (size, size), (correlation * size,) * 2)
    return 10.0 ** (decades * (unit - 0.5))


def finite_volume_matrix(conductivities: list[np.ndarray], fixed: tuple[int, ...]) -> csr_array:
    """Two-point matrix of -div(K grad u), K diagonal, with one unknown per cell of a grid.

    The face between two cells carries the harmonic mean of their conductivities. Where an axis is in `fixed`, u = 0 at
    both of its ends, half a cell away, where faces carry 2 k; nothing flows through the ends of others. Unknowns are
    numbered along the last axis first. No factor of h.

    Parameters
    ----------
    conductivities : one array of the grid's shape for each of its axes
    """
    shape = conductivities[0].shape
    dimensions = len(shape)
    centre = dimensions
    diagonal = np.zeros(shape)
    entries = np.zeros((*shape, 2 * dimensions + 1))
    for axis in reversed(range(dimensions)):
        low, high = _part(axis, np.s_[:-1]), _part(axis, np.s_[1:])
        k = conductivities[axis]
        faces = 2 * k[high] * k[low] / (k[high] + k[low])
        diagonal[low] += faces
        diagonal[high] += faces
        entries[(*high, axis)] = entries[(*low, 2 * dimensions - axis)] = -faces
    for axis in fixed:
        for end in (0, -1):
            diagonal[_part(axis, end)] += 2 * conductivities[axis][_part(axis, end)]
    entries[..., centre] = diagonal
    entries = entries.reshape(-1, 2 * dimensions + 1)
    strides = [int(np.prod(shape[axis + 1 :])) for axis in range(dimensions)]
    steps = np.array([*(-stride for stride in strides), 0, *reversed(strides)], dtype=np.int32)
    return neighbour_matrix(entries, entries != 0, steps)


def _part(axis: int, chosen: slice | int) -> tuple[Any, ...]:
    """The index of cells by their place along one axis."""
    return (*(np.s_[:],) * axis, chosen, ...)
