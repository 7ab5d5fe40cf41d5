"""Noise that like edges share: every edge's own distribution stays as it is, and the joint one is as documented."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from scipy.special import ndtri

from rllib_psparsity.policy.coherent_noise import SPREAD_FLOOR, coherent_uniform
from tests.policy.random_graphs import random_graph

DRAWS = 4000


@pytest.fixture(scope="module")
def graph():
    return random_graph(1)


def draws(graph, coherence) -> np.ndarray:
    """(DRAWS, E) standard normal."""
    rng = np.random.default_rng(5)
    return ndtri(np.array([coherent_uniform(graph, coherence, rng) for _ in range(DRAWS)]))


@pytest.mark.parametrize("coherence", [0.0, 0.5, 0.9])
def test_each_edge_is_uniform_and_pairs_correlate_with_the_cosine_of_their_features(graph, coherence):
    normal = draws(graph, coherence)
    assert abs(normal.mean(axis=0)).max() < 5 / np.sqrt(DRAWS)
    assert normal.var(axis=0) == pytest.approx(np.ones(graph.num_edges), abs=5 * np.sqrt(2 / DRAWS))

    x = graph.edge_features.astype(float)
    f = np.concatenate([(x - x.mean(axis=0)) / (x.std(axis=0) + SPREAD_FLOOR), np.ones((len(x), 1))], axis=1)
    f /= np.linalg.norm(f, axis=1, keepdims=True)
    expected = coherence**2 * (f @ f.T)
    np.fill_diagonal(expected, 1.0)
    assert np.corrcoef(normal.T) == pytest.approx(expected, abs=6 / np.sqrt(DRAWS))
    if coherence:
        assert abs(expected - np.eye(len(f))).max() > 0.1, "nothing to see"


def test_edges_with_the_same_features_share_the_coherent_part(graph):
    same = dataclasses.replace(graph, edge_features=np.tile(graph.edge_features[:1], (graph.num_edges, 1)))
    u = coherent_uniform(same, 0.999999, np.random.default_rng(0))
    assert np.ptp(ndtri(u)) < 0.02


def test_a_renumbering_of_the_edges_renumbers_the_shared_part(graph):
    order = np.random.default_rng(2).permutation(graph.num_edges)
    moved = dataclasses.replace(graph, edge_index=graph.edge_index[:, order], edge_features=graph.edge_features[order])
    almost_all = 1.0 - 1e-12
    one, other = (ndtri(coherent_uniform(g, almost_all, np.random.default_rng(3))) for g in (graph, moved))
    assert other == pytest.approx(one[order], abs=1e-4)


def test_a_graph_without_edges_has_no_noise(graph):
    empty = dataclasses.replace(
        graph,
        edge_index=np.zeros((2, 0), np.int32),
        edge_features=np.zeros((0, graph.edge_features.shape[1]), np.float32),
    )
    assert coherent_uniform(empty, 0.9, np.random.default_rng(0)).shape == (0,)
