from __future__ import annotations

import numpy as np
import pytest
from numba import njit

from rllib_psparsity.prefetch import prefetch, prefetch_row


@njit
def gathered(array, rows, ahead):
    total = 0.0
    for e in range(len(rows)):
        if e + ahead < len(rows):
            prefetch(array, rows[e + ahead])
        prefetch(array, len(array) + 100 * e)  # beyond the end
        total += array[rows[e]]
    return total


@pytest.mark.parametrize("kind", [np.float64, np.float32, np.int32, np.uint32])
@pytest.mark.parametrize("index", [np.int32, np.uint32, np.int64])
def test_hints_are_given_and_change_nothing(kind, index):
    rng = np.random.default_rng(0)
    array, rows = rng.integers(0, 100, 50).astype(kind), rng.integers(0, 50, 200).astype(index)
    assert gathered(array, rows, 4) == array[rows].sum(dtype=np.float64)
    assert all("llvm.prefetch" in code for code in gathered.inspect_llvm().values())


@njit
def row_sums(indptr, indices, data):
    sums = np.zeros(len(indptr) - 1)
    for i in range(len(sums)):
        prefetch_row(indices, data, indptr[i + 1])
        for e in range(indptr[i], indptr[i + 1]):
            sums[i] += data[e] * indices[e]
    return sums


def test_hints_for_a_row_reach_beyond_its_end():
    indptr, indices, data = np.array([0, 2, 2, 5]), np.arange(5, dtype=np.int32), np.ones(5)
    assert row_sums(indptr, indices, data).tolist() == [1.0, 0.0, 9.0]
    assert all("llvm.prefetch" in code for code in row_sums.inspect_llvm().values())


def test_outside_of_kernels_nothing_happens():
    prefetch(np.zeros(3), 7)
