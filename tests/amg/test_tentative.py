from __future__ import annotations

import numpy as np
import pytest

from rllib_psparsity.amg import tentative as kernels
from rllib_psparsity.amg.prolongation import aggregate
from tests.amg.reference import LEVELS, level, random_candidate, random_strength, tentative


@pytest.mark.parametrize("zeros", ["nowhere", "somewhere", "aggregate"])
@pytest.mark.parametrize("root_node", [False, True], ids=["sa", "rootnode"])
@pytest.mark.parametrize(("name", "number"), LEVELS)
def test_equals_pyamg_bit_for_bit(name, number, root_node, zeros):
    A, B = level(name, number)
    rng = np.random.default_rng([2, number])
    C = random_strength(A, B, rng)
    b = random_candidate(A, B, C, rng, zeros)
    aggregates, roots = aggregate(C)
    if root_node:
        T = kernels.fit_root_node(aggregates, roots, b[:, 0])
    else:
        T = kernels.fit_smoothed_aggregation(aggregates, len(roots), b[:, 0])

    expected, B_coarse, _ = tentative(A, b, C, root_node)
    np.testing.assert_array_equal(T.b_coarse, B_coarse[:, 0])
    P = np.zeros(expected.shape)
    inside = T.columns >= 0
    P[inside, T.columns[inside]] = T.values[inside]
    np.testing.assert_array_equal(P, expected.toarray())
    # Entries that are zero count for the pattern of P: smoothed aggregation has them, root-node aggregation has not.
    np.testing.assert_array_equal(inside, np.diff(expected.indptr) > 0)
    np.testing.assert_array_equal(np.flatnonzero(T.is_root), np.sort(roots) if root_node else [])


def test_the_norm_of_the_candidate_goes_to_the_coarse_level():
    aggregates = np.array([1, 0, 0, -1, 1], dtype=np.int32)
    T = kernels.fit_smoothed_aggregation(aggregates, 2, np.array([5.0, 3.0, 4.0, 7.0, 12.0]))
    np.testing.assert_allclose(T.b_coarse, [5.0, 13.0])
    np.testing.assert_allclose(T.values, [5 / 13, 3 / 5, 4 / 5, 0.0, 12 / 13])
    T = kernels.fit_root_node(aggregates, np.array([2, 0], dtype=np.int32), np.array([5.0, 3.0, 4.0, 7.0, 12.0]))
    np.testing.assert_allclose(T.b_coarse, [4.0, 5.0])
    np.testing.assert_allclose(T.values, [1.0, 3 / 4, 1.0, 0.0, 12 / 5])
