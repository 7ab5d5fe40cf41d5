"""Reservoirs against loops, and what their parameters do."""

from __future__ import annotations

import numpy as np
import pytest

from rllib_psparsity.problems.families.finite_volumes import finite_volume_matrix
from rllib_psparsity.problems.families.reservoir import make

PLAIN = {"decades": 3.0, "correlation": 0.1, "flatness": 1.0, "rocks": 1.0, "vertical": 1.0}


def reference(k: np.ndarray, vertical: float) -> np.ndarray:
    """Every face of every cell, one at a time; k by (z, y, x)."""
    number = np.arange(k.size).reshape(k.shape)
    dense = np.zeros((k.size, k.size))
    for place in np.ndindex(k.shape):
        for axis, factor in enumerate((vertical, 1.0, 1.0)):
            for step in (-1, 1):
                other = list(place)
                other[axis] += step
                if 0 <= other[axis] < k.shape[axis]:
                    flux = factor / (0.5 / k[place] + 0.5 / k[tuple(other)])
                    dense[number[place], number[tuple(other)]] -= flux
                    dense[number[place], number[place]] += flux
                elif axis == 2:
                    dense[number[place], number[place]] += 2 * k[place]
    return dense


@pytest.mark.parametrize("shape", [(3, 3, 3), (2, 4, 5), (1, 2, 3), (4, 1, 1)])
def test_finite_volumes_against_loops(shape: tuple[int, ...]) -> None:
    k = 10.0 ** np.random.default_rng(2).uniform(-3, 3, shape)
    A = finite_volume_matrix([0.3 * k, k, k], fixed=(2,))
    np.testing.assert_allclose(A.toarray(), reference(k, 0.3), rtol=1e-13)
    assert A.has_canonical_format


def conductivities(size: int = 20, **changed: float) -> tuple[np.ndarray, np.ndarray]:
    """Of the faces between cells, along z and along x, as log10."""
    problem = make(np.random.default_rng(1), size, **{**PLAIN, **changed})
    A = problem.A
    along = {step: -A.diagonal(step) for step in (size * size, 1)}
    up = along[size * size].reshape(-1, size, size)
    across = np.append(along[1], 0).reshape(size, size, size)[:, :, :-1]
    assert (up > 0).all() and (across > 0).all()
    return np.log10(up), np.log10(across)


def test_flat_media_vary_upwards() -> None:
    round_, flat = (conductivities(flatness=flatness)[1] for flatness in (1.0, 0.02))
    likeness = [np.corrcoef(x[1:].ravel(), x[:-1].ravel())[0, 1] for x in (round_, flat)]
    assert likeness[0] > 0.8 and abs(likeness[1]) < 0.2


def test_vertical_multiplies_what_conducts_upwards_alone() -> None:
    (up, across), (up_less, across_same) = conductivities(), conductivities(vertical=0.01)
    np.testing.assert_allclose(up_less, up - 2, atol=1e-12)
    np.testing.assert_array_equal(across_same, across)


def test_rocks_have_one_conductivity_and_the_same_volume() -> None:
    _, across = conductivities(rocks=4.7, decades=6.0)
    values, counts = np.unique(across.round(9), return_counts=True)
    inside = [np.abs(values - rock).min() < 1e-6 for rock in (-3.0, -1.0, 1.0, 3.0)]
    assert all(inside) and np.sort(counts)[-4:].sum() > 0.6 * across.size  # other faces are between two rocks
    assert len(np.unique(conductivities()[1].round(9))) > 0.9 * across.size


def test_the_contrast_is_that_of_decades() -> None:
    problem = make(np.random.default_rng(3), 9, **{**PLAIN, "rocks": 2.0, "decades": 5.0})
    faces = np.log10(-problem.A.data[problem.A.data < 0])
    assert faces.max() - faces.min() == pytest.approx(5.0)


def test_nothing_flows_through_four_of_the_sides() -> None:
    """A pressure that falls along x alone in an even medium is kept up by the ends of x alone."""
    problem = make(np.random.default_rng(0), 6, **{**PLAIN, "decades": 0.0})
    x = np.broadcast_to(np.arange(6) + 0.5, (6, 6, 6)).ravel()
    flow = (problem.A @ x).reshape(6, 6, 6)
    np.testing.assert_allclose(flow[:, :, :-1], 0, atol=1e-12)
    np.testing.assert_allclose(flow[:, :, -1], 2 * 6, atol=1e-12)
