"""Rigid body modes: no strain, PyAMG's own in two dimensions, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from pyamg.gallery import linear_elasticity

import rllib_psparsity
from rllib_psparsity.errors import InputError
from rllib_psparsity.problems.rigid_body import rigid_body_modes


@pytest.mark.parametrize("dimensions", [2, 3])
def test_distances_stay_as_they_are(dimensions):
    """To the first order: the difference of two displacements is normal to the line between the points."""
    points = np.random.default_rng(0).standard_normal((7, dimensions))
    modes = rigid_body_modes(points)
    assert modes.shape == (7 * dimensions, dimensions * (dimensions + 1) // 2)
    assert np.linalg.matrix_rank(modes) == modes.shape[1]
    moves = modes.reshape(7, dimensions, -1)
    stretch = np.einsum("abi,abik->abk", points[:, None] - points, moves[:, None] - moves)
    np.testing.assert_allclose(stretch, 0, atol=1e-13)


def test_they_span_what_pyamg_has():
    _, expected = linear_elasticity((5, 5), format="bsr")
    y, x = np.divmod(np.arange(25), 5)
    both = np.hstack([expected, rigid_body_modes(np.stack([x, y], axis=1))])
    assert np.linalg.matrix_rank(both) == expected.shape[1] == 3


def test_translations_come_first_and_rotations_are_about_the_centre():
    points = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 7.0], [0.0, 1.0, 1.0]])
    modes = rllib_psparsity.rigid_body_modes(points)
    np.testing.assert_array_equal(modes[:, :3], np.tile(np.eye(3), (3, 1)))
    np.testing.assert_allclose(modes[:, :3].T @ modes[:, 3:], 0, atol=1e-14)
    moved = rigid_body_modes(points + 100.0)
    np.testing.assert_allclose(moved, modes, atol=1e-12)


@pytest.mark.parametrize(
    ("points", "sentence"),
    [
        (np.zeros(3), r"points have shape \(3,\), expected \(N, 2\) or \(N, 3\); pass a row of coordinates"),
        (np.zeros((0, 3)), r"points have shape \(0, 3\)"),
        (np.zeros((4, 1)), r"points have shape \(4, 1\)"),
        ([[0.0, 1.0], [np.nan, 2.0]], r"points have nan at \(1, 0\), expected finite coordinates"),
        ([["a", "b"]], "points are list that holds no numbers, expected coordinates"),
        ([[1.0, 2.0], [3.0]], "points are list that holds no numbers"),
    ],
)
def test_refused(points, sentence):
    with pytest.raises(InputError, match=sentence):
        rigid_body_modes(points)
