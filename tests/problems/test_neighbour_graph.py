"""Graphs of nearest neighbours against a slow loop."""

from __future__ import annotations

import numpy as np
import pytest

from rllib_psparsity.problems.families.neighbour_graph import laplacian_of_neighbours, make


def slow(samples, neighbours, shift):
    """By all distances, sample by sample; for data whose graph is connected."""
    n = len(samples)
    d = np.linalg.norm(samples[:, None] - samples, axis=2)
    np.fill_diagonal(d, np.inf)
    nearest = np.argsort(d, axis=1)[:, :neighbours]
    median = np.median([d[i, j] for i in range(n) for j in nearest[i]])
    L = np.zeros((n, n))
    for i in range(n):
        for j in nearest[i]:
            L[i, j] = L[j, i] = -np.exp(-0.5 * (d[i, j] / median) ** 2)
    degree = -L.sum(axis=1)
    return L + np.diag(degree + shift * degree.mean())


@pytest.mark.parametrize(("dimensions", "neighbours"), [(2, 12), (17, 8)])
def test_it_is_the_slow_one(dimensions, neighbours):
    samples = np.random.default_rng(0).standard_normal((80, dimensions))
    fast = laplacian_of_neighbours(samples, neighbours, 0.01)
    np.testing.assert_allclose(fast.toarray(), slow(samples, neighbours, 0.01), rtol=0, atol=1e-12)


def test_the_largest_part_alone_stays():
    rng = np.random.default_rng(1)
    large, small = rng.standard_normal((60, 3)), 100 + rng.standard_normal((20, 3))
    A = laplacian_of_neighbours(np.concatenate([small, large]), 10, 0.0).toarray()
    assert A.shape == (60, 60)
    assert np.linalg.eigvalsh(A)[1] > 1e-6  # connected
    assert A @ np.ones(60) == pytest.approx(np.zeros(60), abs=1e-12)


def test_samples_that_occur_twice_are_no_neighbours_of_themselves():
    samples = np.repeat(np.random.default_rng(2).standard_normal((40, 2)), 2, axis=0)
    A = laplacian_of_neighbours(samples, 5, 0.0)
    assert A @ np.ones(A.shape[0]) == pytest.approx(np.zeros(A.shape[0]), abs=1e-12)


def test_classes_that_are_far_apart_do_not_touch():
    parameters = {"neighbours": 6.0, "dimensions": 3.0, "classes": 4.0, "shift": 1e-3}
    together, apart = (make(np.random.default_rng(3), 20, distance=d, **parameters) for d in (0.0, 100.0))
    assert together.num_unknowns == 400
    assert 90 < apart.num_unknowns < 200


@pytest.mark.parametrize("seed", range(5))
def test_classes_that_are_far_apart_are_moved_together(seed):
    far = {"neighbours": 5.0, "dimensions": 2.0, "classes": 20.0, "distance": 30.0, "shift": 1e-3}
    problem = make(np.random.default_rng(seed), 20, **far)
    assert problem.num_unknowns >= 100 and problem.parameters["distance"] == 30.0


def test_where_nothing_moves_them_together_the_largest_part_is_what_there_is():
    alone = {"neighbours": 1.0, "dimensions": 2.0, "classes": 20.0, "distance": 3.0, "shift": 1e-3}
    assert 2 <= make(np.random.default_rng(0), 20, **alone).num_unknowns < 100
