from __future__ import annotations

import numpy as np
import pytest

from rllib_psparsity.amg.block_vectors import by_strips, multiply
from tests.amg.cases import coarse_level, problem


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("num_vectors", [1, 3, 4, 6, 8, 9])
@pytest.mark.parametrize("name", ["nine_point", "unstructured", "elasticity"])
def test_multiply_equals_scipy(name, num_vectors, order):
    for A in (problem(name).A, coarse_level(name)[0]):
        x = np.array(np.random.default_rng(0).standard_normal((A.shape[0], num_vectors)), order=order)
        kept, expected = x.copy(), A @ x
        np.testing.assert_allclose(multiply(A, x), expected, rtol=0, atol=1e-13 * np.abs(expected).max())
        np.testing.assert_array_equal(x, kept)


@pytest.mark.parametrize("num_vectors", [4, 6, 8])
def test_strips_are_contiguous_blocks_of_four(num_vectors):
    seen = []

    def double(strip: np.ndarray) -> np.ndarray:
        assert strip.shape == (5, 4) and strip.flags.c_contiguous
        seen.append(strip.copy())
        return 2.0 * strip

    x = np.random.default_rng(0).standard_normal((5, num_vectors))
    np.testing.assert_array_equal(by_strips(double, x), 2.0 * x)
    together = np.concatenate(seen, axis=1)
    np.testing.assert_array_equal(together[:, :num_vectors], x)
    assert (together[:, num_vectors:] == 0).all() and len(seen) == -(-num_vectors // 4)


@pytest.mark.parametrize("shape", [(5,), (5, 1)])
def test_one_column_goes_as_a_vector(shape):
    x, y = np.random.default_rng(0).standard_normal((2, *shape))

    def combine(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        assert x.shape == y.shape == (5,) and x.flags.c_contiguous and y.flags.c_contiguous
        return x - 2.0 * y

    np.testing.assert_array_equal(by_strips(combine, x, y), x - 2.0 * y)


def test_several_blocks_are_cut_alike():
    x, y = np.random.default_rng(0).standard_normal((2, 5, 6))
    np.testing.assert_array_equal(by_strips(lambda x, y: x - 2.0 * y, x, y), x - 2.0 * y)
