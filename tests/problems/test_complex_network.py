"""Grown networks: what each parameter does to their links."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from rllib_psparsity.problems.families.complex_network import RECENT, grown, make


def network(links: float = 3.0, triangles: float = 0.0, recent: float = 0.0, n: int = 2000) -> csr_array:
    first, second = grown(np.random.default_rng(0), n, links, triangles, recent)
    assert (first < second).all() and len(np.unique(first * n + second)) == len(first)
    A = csr_array((np.ones(len(first)), (first, second)), shape=(n, n))
    A = csr_array(A + A.T)
    assert connected_components(A)[0] == 1
    return A


def clustering(A: csr_array) -> float:
    """Share of paths of two links whose ends are linked."""
    degree = A.sum(axis=1)
    return float((A @ A).multiply(A).sum() / (degree * (degree - 1)).sum())


@pytest.mark.parametrize("links", [1.0, 1.5, 3.0, 4.2])
def test_links_are_made_that_often_and_a_few_twice(links: float) -> None:
    A = network(links)
    assert 0.93 * links < A.nnz / 2 / A.shape[0] <= 1.03 * links


def test_with_one_link_each_it_is_a_tree() -> None:
    A = network(1.0)
    assert A.nnz == 2 * (A.shape[0] - 1)


def test_who_has_gets_unless_the_new_are_preferred() -> None:
    famous, recent = (network(recent=chance).sum(axis=1) for chance in (0.0, 1.0))
    assert famous.max() > 60 and np.median(famous) < 6  # some links * sqrt(n), 130, is expected
    assert recent.max() < 20


def test_recent_nodes_are_near_in_time() -> None:
    A = network(recent=1.0).tocoo()
    assert abs(A.row - A.col).max() <= RECENT


def test_the_chance_of_a_node_is_its_share_of_the_links() -> None:
    """Which of a path of three nodes the fourth one joins."""
    hits = np.zeros(4)
    for seed in range(3000):
        first, second = grown(np.random.default_rng(seed), 4, 1.0, 0.0, 0.0)
        degree = np.bincount(np.concatenate([first[:2], second[:2]]), minlength=4)
        hits[degree[first[second == 3][0]]] += 1
    middle = hits[2] / hits.sum()
    # Three links' ends and the first node once more: the middle has two of five, or three if it is the first node.
    assert middle == pytest.approx(0.4 * 1 / 3 + 0.6 * 2 / 3, abs=0.03)


def test_triangles_close() -> None:
    loose, close = (clustering(network(triangles=chance)) for chance in (0.0, 0.9))
    assert close > 3 * loose and close > 0.1


def test_it_is_the_laplacian_of_its_links_and_a_shift() -> None:
    parameters = {"links": 2.5, "triangles": 0.4, "recent": 0.3, "sigma": 1.0, "shift": 0.01}
    A = make(np.random.default_rng(5), 12, **parameters).A
    first, second = grown(np.random.default_rng(5), 144, 2.5, 0.4, 0.3)
    dense = A.toarray()
    np.testing.assert_allclose(dense.sum(axis=1), 0.01, atol=1e-12)
    linked = np.zeros((144, 144), dtype=bool)
    linked[first, second] = linked[second, first] = True
    off = dense - np.diag(np.diag(dense))
    assert ((off < 0) == linked).all()
    logarithms = np.log(-dense[first, second])
    assert abs(logarithms.mean()) < 0.2 and logarithms.std() == pytest.approx(1.0, abs=0.2)
