from __future__ import annotations

import numpy as np
import pytest
from numba import njit

from rllib_psparsity.unsigned import unsigned


@njit
def entries(index):
    return unsigned(index)


@pytest.mark.parametrize(("kind", "expected"), [("int32", "uint32"), ("int64", "uint64"), ("uint32", "uint32")])
def test_a_kernel_sees_the_same_numbers_without_a_sign(kind, expected):
    index = np.array([0, 7, 2**31 - 1], dtype=kind)
    for view in (unsigned(index), entries(index)):
        assert view.dtype == expected and np.shares_memory(view, index)
        np.testing.assert_array_equal(view, index)
