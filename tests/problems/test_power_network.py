from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components, shortest_path

from rllib_psparsity.problems.families.power_network import make


def network(size: int = 20, **parameters: float) -> csr_array:
    return make(
        np.random.default_rng(3), size, **{"loops": 0.4, "shortcuts": 0.0, "leaves": 0.2, "sigma": 1.0} | parameters
    ).A


def grounded(A: csr_array) -> np.ndarray:
    """What is missing to a row sum of zero: the weights of the edges to the reference."""
    missing = np.asarray(A.sum(axis=1)).ravel()
    return np.where(missing > 1e-12 * A.diagonal(), missing, 0.0)


@pytest.mark.parametrize("leaves", [0.0, 0.3])
def test_without_loops_it_is_a_tree(leaves):
    A = network(loops=0.0, leaves=leaves)
    edges = (A.nnz - A.shape[0]) // 2 + np.count_nonzero(grounded(A))
    assert A.shape == (399, 399)
    assert edges == 399  # of 400 nodes, the reference among them
    whole = np.pad(A.toarray(), (1, 0))
    whole[0, 1:] = whole[1:, 0] = grounded(A)
    assert connected_components(csr_array(whole), directed=False)[0] == 1


def test_loops_add_the_edges_that_they_say():
    tree, looped = network(loops=0.0, leaves=0.0), network(loops=0.5, leaves=0.0)
    count = [(A.nnz - A.shape[0]) // 2 + np.count_nonzero(grounded(A)) for A in (tree, looped)]
    assert count[1] - count[0] == 200


def test_shortcuts_join_what_is_far_apart():
    near, far = (shortest_path(abs(network(40, shortcuts=share)), unweighted=True) for share in (0.0, 0.4))
    assert np.median(far[np.isfinite(far)]) < 0.7 * np.median(near[np.isfinite(near)])


def test_it_is_a_laplacian_with_one_node_grounded():
    A = network()
    off_diagonal = A.toarray() - np.diag(A.diagonal())
    assert (off_diagonal <= 0).all()
    assert np.count_nonzero(grounded(A)) >= 1
    np.testing.assert_allclose(A @ np.ones(A.shape[0]), grounded(A), atol=1e-12 * A.diagonal().max())


def test_leaves_have_one_edge_and_hubs_many():
    degree = np.diff(network(40, leaves=0.3).indptr) - 1
    assert np.mean(degree == 1) > 0.3
    assert degree.max() >= 8


@pytest.mark.parametrize("sigma", [0.5, 2.0])
def test_weights_spread_as_sigma_says(sigma):
    A = network(40, sigma=sigma, leaves=0.5)
    logarithms = np.log(-A.data[A.data < 0])
    assert logarithms.std() == pytest.approx(sigma, rel=0.1)
