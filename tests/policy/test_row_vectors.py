from __future__ import annotations

import numpy as np
import pytest
from numba import njit

from rllib_psparsity.policy.row_vectors import add_row, sum_rows, sum_three


@njit
def one_row(target, i, source, j, factor, lanes):
    add_row(target, i, source, j, factor, lanes)


@njit
def some_rows(target, i, source, factor, number, start, stop, lanes):
    for _ in range(2):  # the second sum starts from zero too
        sum_rows(target, i, source, factor, number, start, stop, lanes)


@njit
def three_sums(target, i, source, factors, neighbour, edge, start, stop, lanes):
    for _ in range(2):
        sum_three(target, i, source, factors, neighbour, edge, start, stop, lanes)


def normal(rng: np.random.Generator, *shape: int) -> np.ndarray:
    return rng.standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize("width", [8, 11])
def test_rows_are_added_and_summed(width):
    rng = np.random.default_rng(width)
    source, factors, lanes = normal(rng, 6, width), normal(rng, 9, 3), (0,) * width
    number, edge = rng.integers(0, 6, 9).astype(np.int32), rng.permutation(9).astype(np.int32)
    before = normal(rng, 5, width)

    target = before.copy()
    one_row(target, 3, source, 2, np.float32(-0.5), lanes)
    expected = before.copy()
    expected[3] -= np.float32(0.5) * source[2]
    np.testing.assert_allclose(target, expected, rtol=0, atol=1e-6)

    for start, stop in ((2, 7), (4, 4)):
        target, expected = before.copy(), before.copy()
        some_rows(target, 3, source, np.float32(0.25), number, start, stop, lanes)
        expected[3] = 0.25 * source[number[start:stop]].sum(axis=0)
        np.testing.assert_allclose(target, expected, rtol=0, atol=1e-6)

        target, expected = before.copy(), before.copy()
        three_sums(target, 1, source, factors, number, edge, start, stop, lanes)
        expected[1:4] = factors[edge[start:stop]].T @ source[number[start:stop]]
        np.testing.assert_allclose(target, expected, rtol=0, atol=1e-5)
