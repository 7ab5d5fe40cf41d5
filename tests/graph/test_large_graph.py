"""Features that are computed when they are asked for, against the whole table."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from scipy.sparse import csr_array

from rllib_psparsity.environment.sparsify import SparsifyEnv
from rllib_psparsity.graph import features
from rllib_psparsity.graph.features import AT_ONCE, EDGES_AT_ONCE, large_level_graph, level_graph
from rllib_psparsity.graph.large_graph import SAMPLE, LargeLevelGraph
from rllib_psparsity.graph.level_graph import EDGE_FEATURES, LevelGraph
from tests.environment.tiny import textbook, tiny_config
from tests.graph.test_features import CASES, assert_same, case


@pytest.mark.parametrize("name", CASES)
def test_each_feature_is_that_of_the_table(name: str) -> None:
    A, B = case(name)
    graph = large_level_graph(A, B, 2)
    assert graph.num_edges == len(graph.edge_features)
    for column in range(len(EDGE_FEATURES)):
        fresh = large_level_graph(A, B, 2)
        assert np.array_equal(fresh.edge_feature(column), graph.edge_features[:, column]), EDGE_FEATURES[column]


@pytest.mark.parametrize("name", CASES)
def test_a_sample_as_large_as_the_graph_is_the_table(name: str) -> None:
    graph = large_level_graph(*case(name), 0)
    assert graph.num_edges <= SAMPLE
    np.testing.assert_allclose(graph.edge_sample(), graph.edge_features, rtol=1e-6, atol=1e-6)


def test_a_sample_stands_for_all_and_is_always_the_same() -> None:
    A, B = case("nine_point", 40)
    graph = large_level_graph(A, B, 0)
    sample = graph.edge_sample()
    assert sample.shape == (SAMPLE, len(EDGE_FEATURES)) and graph.num_edges > SAMPLE
    assert np.array_equal(sample, large_level_graph(A, B, 0).edge_sample())
    deviation = graph.edge_features.std(axis=0)
    assert (np.abs(sample.mean(axis=0) - graph.edge_features.mean(axis=0)) <= 0.1 * deviation + 1e-6).all()
    assert np.abs(sample.std(axis=0) - deviation).max() < 0.1 * deviation.max()


def test_a_sample_of_a_graph_with_a_dense_row_in_one_direction() -> None:
    n = 60
    A = 4.0 * np.eye(n) - np.eye(n, k=1) - np.eye(n, k=-1)
    A[n - 1, : n - 2] = A[: n - 2, n - 1] = -0.1
    A[40, 3] = -1e-17  # a product may leave that by rounding, and nothing at [3, 40]
    A[5, 50] = -1e-17
    graph = large_level_graph(csr_array(A), np.ones((n, 1)), 1)
    np.testing.assert_allclose(graph.edge_sample(), graph.edge_features, rtol=1e-6, atol=1e-6)


def test_a_graph_without_edges() -> None:
    graph = large_level_graph(csr_array(np.eye(3)), np.ones((3, 1)), 0)
    assert graph.edge_sample().shape == (0, len(EDGE_FEATURES)) and graph.num_edges == 0
    assert all(graph.edge_feature(column).shape == (0,) for column in range(len(EDGE_FEATURES)))


def test_it_waits_above_a_size_that_caches_hold_and_travels_complete() -> None:
    for n, kind in ((AT_ONCE, LevelGraph), (AT_ONCE + 1, LargeLevelGraph)):
        line = csr_array((np.full(n, 2.0), np.arange(n), np.arange(n + 1)), shape=(n, n))
        assert type(level_graph(line, np.ones((n, 1)), 0)) is kind
    for n, kind in ((512, LevelGraph), (513, LargeLevelGraph)):  # n (n - 1) / 2 edges
        full = csr_array(np.full((n, n), -1.0) + np.diag(np.full(n, 2.0 * n)))
        assert (full.nnz - n > 2 * EDGES_AT_ONCE) == (kind is LargeLevelGraph)
        assert type(level_graph(full, np.ones((n, 1)), 0)) is kind
    A, B = case("jump", 130)
    graph = level_graph(A, B, 1)
    assert type(graph) is LargeLevelGraph
    again = pickle.loads(pickle.dumps(graph))
    assert type(again) is LevelGraph and (again.level, again.block_size) == (1, 1)
    assert_same(again, graph, atol=0)


def test_an_environment_observes_complete_graphs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(features, "AT_ONCE", 1)
    env = SparsifyEnv(tiny_config())
    graph, _ = env.reset(options={"index": 0})
    ended = False
    while not ended:
        assert type(graph) is LevelGraph and env.observation_space.contains(graph)
        graph, _, terminated, truncated, _ = env.step(textbook(graph))
        ended = terminated or truncated
