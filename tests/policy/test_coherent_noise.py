"""Noise that like edges share: every edge's own distribution stays as it is, and like edges are drawn alike."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from scipy.stats import kstest

from rllib_psparsity.graph.level_graph import LevelGraph
from rllib_psparsity.policy.coherent_noise import REGION, SPREAD_FLOOR, coherent_uniform
from tests.policy.random_graphs import random_graph

DRAWS = 4000
GRAPH = random_graph(1)


def draws(coherence: float) -> np.ndarray:
    rng = np.random.default_rng(5)
    return np.array([coherent_uniform(GRAPH, coherence, rng) for _ in range(DRAWS)])


def by_hand(graph, rng) -> np.ndarray:
    """The shared part of all edges, one at a time."""
    x = graph.edge_features.astype(float)
    f = np.concatenate([(x - x.mean(axis=0)) / (x.std(axis=0) + SPREAD_FLOOR), np.ones((len(x), 1))], axis=1)
    G = rng.standard_normal((f.shape[1], 3))
    points = [row @ G for row in f]
    return np.array([(1 + p[0] / np.linalg.norm(p)) / 2 for p in points])


@pytest.mark.parametrize("coherence", [0.0, 0.5, 0.9])
def test_each_edge_is_uniform(coherence):
    found = draws(coherence)
    assert found.min() >= 0 and found.max() <= 1
    for edge in found.T:
        assert kstest(edge, "uniform").pvalue > 1e-5


def test_what_is_shared_is_the_height_of_a_random_direction():
    almost_all = 1.0 - 1e-12
    found = coherent_uniform(GRAPH, almost_all, np.random.default_rng(3))
    assert found == pytest.approx(by_hand(GRAPH, np.random.default_rng(3)), abs=1e-6)


def test_edges_are_alike_as_often_as_both_share():
    same = dataclasses.replace(GRAPH, edge_features=np.tile(GRAPH.edge_features[:1], (GRAPH.num_edges, 1)))
    rng = np.random.default_rng(0)
    pairs = np.array([coherent_uniform(same, 0.8, rng)[:2] for _ in range(DRAWS)])
    assert np.mean(np.abs(pairs[:, 0] - pairs[:, 1]) < 1e-9) == pytest.approx(0.64, abs=5 * 0.5 / np.sqrt(DRAWS))


def test_without_coherence_edges_are_independent():
    others = np.corrcoef(draws(0.0).T) - np.eye(GRAPH.num_edges)
    assert abs(others).max() < 6 / np.sqrt(DRAWS)
    assert abs(np.corrcoef(draws(0.9).T) - np.eye(GRAPH.num_edges)).max() > 0.3


def test_a_graph_without_edges_has_no_noise():
    empty = dataclasses.replace(GRAPH, edge_index=np.zeros((2, 0), np.int32), edge_features=GRAPH.edge_features[:0])
    assert coherent_uniform(empty, 0.9, np.random.default_rng(0)).shape == (0,)


def chain(nodes: int) -> LevelGraph:
    """A path whose edges are all alike."""
    ends = np.arange(nodes - 1, dtype=np.int32)
    features = np.tile(GRAPH.edge_features[:1], (nodes - 1, 1))
    nodes_of = np.tile(GRAPH.node_features[:1], (nodes, 1))
    return LevelGraph(nodes_of, np.stack([ends, ends + 1]), features, 0, 1)


def test_a_large_graph_has_regions_with_noise_of_their_own():
    count = 4
    found = coherent_uniform(chain(count * REGION + 5), 1.0 - 1e-12, np.random.default_rng(0))
    borders = np.flatnonzero(np.diff(found))
    assert len(borders) == count - 1 and len(np.unique(found)) == count
    # Every node belongs to the nearest centre, so a border lies half way between two.
    rng = np.random.default_rng(0)
    rng.standard_normal((count, GRAPH.edge_features.shape[1] + 1, 3)), rng.random(count * REGION + 4)
    centres = np.sort(rng.choice(count * REGION + 5, count, replace=False))
    assert np.abs(borders + 0.5 - (centres[1:] + centres[:-1]) / 2).max() <= 1.0


def test_each_edge_of_a_large_graph_is_uniform():
    graph, rng = chain(2 * REGION), np.random.default_rng(1)
    some = np.array([coherent_uniform(graph, 0.9, rng)[:: REGION // 2] for _ in range(1000)])
    assert all(kstest(edge, "uniform").pvalue > 1e-5 for edge in some.T)


def test_what_no_centre_reaches_has_the_first_regions_noise():
    graph = chain(2 * REGION)
    apart = dataclasses.replace(graph, edge_index=graph.edge_index[:, ::2], edge_features=graph.edge_features[::2])
    found = coherent_uniform(apart, 1.0 - 1e-12, np.random.default_rng(0))
    assert len(np.unique(found)) <= 2 and np.mean(found == np.median(found)) > 0.99
