"""Rows that are drawn alike: each row's own draw stays Plackett-Luce, and like rows draw like edges."""

from __future__ import annotations

import dataclasses
import itertools
import math

import numpy as np
import pytest

from rllib_psparsity.policy.coherent_rows import coherent_rows
from tests.policy.cycle import CYCLE_GRAPH, ordered_log_prob, row_edges
from tests.policy.random_graphs import graph_from, random_graph

DRAWS = 6000
LOGITS = np.random.default_rng(3).normal(0, 1.5, 5)


@pytest.mark.parametrize("coherence", [0.0, 0.95])
@pytest.mark.parametrize("row", [0, 1])
def test_a_row_is_drawn_by_plackett_luce(coherence, row):
    rng, counts = np.random.default_rng(0), {}
    for _ in range(DRAWS):
        draw = tuple(coherent_rows(CYCLE_GRAPH, LOGITS, 2, coherence, rng)[row].tolist())
        counts[draw] = counts.get(draw, 0) + 1
    assert sum(counts.values()) == DRAWS
    for draw in itertools.permutations(row_edges(row), 2):
        chance = math.exp(ordered_log_prob(LOGITS.tolist(), list(draw), row_edges(row)))
        assert counts.get(draw, 0) / DRAWS == pytest.approx(chance, abs=5 * 0.5 / math.sqrt(DRAWS))


def ring(nodes: int):
    """Edges of two kinds in turn: every row has one of each, and all rows are alike."""
    edges = np.array(sorted(tuple(sorted((i, (i + 1) % nodes))) for i in range(nodes))).T
    graph = graph_from(np.random.default_rng(1), nodes, edges)
    kind = np.where((edges[1] - edges[0] == 1) & (edges[0] % 2 == 0), 0, 1)
    return dataclasses.replace(graph, edge_features=graph.edge_features[:2][kind]), kind


def test_like_rows_draw_like_edges_and_both_ends_agree():
    graph, kind = ring(40)
    logits, rng = np.zeros(graph.num_edges), np.random.default_rng(2)
    alike = [kind[coherent_rows(graph, logits, 1, 0.9, rng)[:, 0]] for _ in range(200)]
    shares = np.array([draw.mean() for draw in alike])
    assert np.mean((shares < 0.25) | (shares > 0.75)) > 0.95  # a whole direction at once
    assert shares.mean() == pytest.approx(0.5, abs=0.12)  # and each as often as the other
    apart = np.array([kind[coherent_rows(graph, logits, 1, 0.0, rng)[:, 0]].mean() for _ in range(200)])
    assert np.mean((apart < 0.25) | (apart > 0.75)) < 0.05


def test_rows_take_their_own_distinct_edges_until_none_is_left():
    graph = random_graph(2, nodes=9, edges=12)
    degree = np.bincount(graph.edge_index.ravel(), minlength=9)
    for logits in (np.zeros(12), np.linspace(-1e4, 1e4, 12)):
        picks = coherent_rows(graph, logits, 4, 0.9, np.random.default_rng(0))
        for row in range(9):
            drawn = picks[row][picks[row] >= 0]
            assert len(set(drawn)) == len(drawn) == min(4, degree[row])
            assert all(row in graph.edge_index[:, edge] for edge in drawn)
            assert (picks[row][len(drawn) :] == -1).all()


def test_extreme_logits_are_drawn_in_their_order():
    logits = np.array([-3000.0, 3000.0, 0.0, 1000.0, -1000.0])
    for seed in range(20):
        picks = coherent_rows(CYCLE_GRAPH, logits, 1, 0.9, np.random.default_rng(seed))
        assert picks[:, 0].tolist() == [max(row_edges(row), key=lambda edge: logits[edge]) for row in range(4)]


def test_a_graph_without_edges_draws_nothing():
    picks = coherent_rows(random_graph(0, nodes=3, edges=0), np.zeros(0), 2, 0.9, np.random.default_rng(0))
    assert (picks == -1).all() and picks.shape == (3, 2)
