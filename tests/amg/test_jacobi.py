from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import csr_array

from rllib_psparsity.amg.jacobi import smooth_by_jacobi
from rllib_psparsity.amg.prolongation import aggregate
from rllib_psparsity.amg.tentative import fit_smoothed_aggregation
from tests.amg.reference import LEVELS, assert_same_prolongator, jacobi, level, random_candidate, random_strength


def smooth(A: csr_array, b: np.ndarray, C: csr_array) -> csr_array:
    aggregates, roots = aggregate(C)
    return smooth_by_jacobi(A, fit_smoothed_aggregation(aggregates, len(roots), b[:, 0]), C)


@pytest.mark.parametrize("zeros", ["nowhere", "somewhere", "aggregate"])
@pytest.mark.parametrize(("name", "number"), LEVELS)
def test_equals_pyamg(name, number, zeros):
    A, B = level(name, number)
    rng = np.random.default_rng([1, number])
    for _ in range(4):
        C = random_strength(A, B, rng)
        b = random_candidate(A, B, C, rng, zeros)
        assert_same_prolongator(smooth(A, b, C), jacobi(A, b, C), same_pattern=zeros == "nowhere")


def test_entries_of_a_that_are_zero_or_missing_are_no_couplings():
    """C may be denser than A: a sum that vanishes is not in the pattern that the update is projected on."""
    rng = np.random.default_rng(0)
    n = 30
    A = rng.integers(-2, 2, size=(n, n)).astype(float)
    A = np.tril(A, -1) + np.tril(A, -1).T + np.diag(rng.integers(1, 3, size=n))
    couplings = np.tril(rng.random((n, n)) < 0.15, -1)
    C = csr_array((couplings | couplings.T | np.eye(n, dtype=bool)).astype(float))
    A_with_zeros = csr_array(np.where(A == 0, np.nan, A))
    A_with_zeros.data[np.isnan(A_with_zeros.data)] = 0.0
    b = np.ones((n, 1))
    assert_same_prolongator(smooth(A_with_zeros, b, C), jacobi(csr_array(A), b, C), same_pattern=False)


def test_the_one_step_written_out():
    """Two aggregates of two nodes on a path; omega is 4/3, the rows' sums of magnitudes are 3, 4, 4 and 3."""
    A = csr_array(np.array([[2.0, -1, 0, 0], [-1, 2, -1, 0], [0, -1, 2, -1], [0, 0, -1, 2]]))
    C = csr_array(np.array([[1.0, 1, 0, 0], [1, 1, 1, 0], [0, 1, 1, 1], [0, 0, 1, 1]]))
    aggregates = np.array([0, 0, 1, 1], dtype=np.int32)
    P = smooth_by_jacobi(A, fit_smoothed_aggregation(aggregates, 2, np.ones(4)), C).toarray() * np.sqrt(2.0)
    # Row 0 has one column, so its update is taken off whole; row 1 keeps 4/3 (1/4, -1/4), whose mean is 0.
    np.testing.assert_allclose(P, [[1, 0], [2 / 3, 1 / 3], [1 / 3, 2 / 3], [0, 1]], atol=1e-15)


@pytest.mark.parametrize("pairs", [2, 5, 40, 1000])
def test_other_numbers_of_the_aggregates_are_other_numbers_of_the_columns(pairs):
    """A hub is coupled to all, its row of any length, the others in pairs that are the aggregates."""
    n = 2 * pairs + 1
    couplings = np.zeros((n, n))
    couplings[0, 1:] = couplings[1:, 0] = 1.0
    first = np.arange(1, n, 2)
    couplings[first, first + 1] = couplings[first + 1, first] = 1.0
    A, C = csr_array(np.diag(couplings.sum(axis=1) + 1.0) - couplings), csr_array(couplings + np.eye(n))
    in_order = np.concatenate([[0], np.arange(pairs).repeat(2)]).astype(np.int32)
    number = np.random.default_rng(pairs).permutation(pairs).astype(np.int32)
    one, other = (
        smooth_by_jacobi(A, fit_smoothed_aggregation(aggregates, pairs, np.ones(n)), C)
        for aggregates in (in_order, number[in_order])
    )
    assert one.has_canonical_format and other.has_canonical_format
    assert np.diff(other.indptr)[0] == pairs
    np.testing.assert_array_equal(other.toarray()[:, number], one.toarray())
