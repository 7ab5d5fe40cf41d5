"""Rules decide as their names say."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from rllib_psparsity.amg.recipe import DEFAULT_MENU, PROLONGATIONS
from rllib_psparsity.config.schema import Config, PolicyConfig
from rllib_psparsity.deploy.decide import prior_decide
from rllib_psparsity.graph.features import level_graph
from rllib_psparsity.graph.level_graph import EDGE_FEATURES, LevelGraph
from rllib_psparsity.policy.choice import mode
from rllib_psparsity.policy.inference import inference_of
from rllib_psparsity.policy.network import SparsifierPolicy
from rllib_psparsity.problems.distribution import ProblemDistribution
from studies.episode import MENU
from studies.plan import ALL_RECIPES, SPACES
from studies.rules import every_edge, random_per_row, recipe_index, strongest_per_row, textbook, top_per_row


@pytest.fixture(scope="module")
def graph() -> LevelGraph:
    problem = ProblemDistribution(Config().problems, 3).training(2)
    return level_graph(problem.A, problem.B, 0)


def test_the_menu_has_every_construction_once() -> None:
    names = [f"{coarsening}/{name}" for coarsening, all_names in PROLONGATIONS.items() for name in all_names]
    assert [MENU[recipe_index(name)].name.rpartition("/")[0] for name in names] == names
    assert set(ALL_RECIPES) == set(names) and len(ALL_RECIPES) == len(MENU)


@pytest.mark.parametrize("name", DEFAULT_MENU)
def test_textbook_rules_are_the_policys_prior(graph: LevelGraph, name: str) -> None:
    names = (name, *(other for other in DEFAULT_MENU if other != name))
    expected = prior_decide(inference_of(SparsifierPolicy(PolicyConfig(recipes=names))))(graph)
    decision = textbook(name)(graph)
    assert expected.recipe == 0 and np.array_equal(decision.edge_is_strong, expected.edge_is_strong)
    assert MENU[decision.recipe].name.rpartition("/")[0] == name.rpartition("/")[0]


def test_the_largest_keys_of_each_row_by_plain_loops(graph: LevelGraph) -> None:
    keys = np.random.default_rng(1).integers(0, 4, (2, graph.num_edges)).astype(float)  # with ties
    expected = np.zeros(graph.num_edges, dtype=bool)
    for node in range(graph.num_nodes):
        entries = [(-keys[end, e], end, e) for end in (0, 1) for e in np.flatnonzero(graph.edge_index[end] == node)]
        for _, _, e in sorted(entries)[:3]:
            expected[e] = True
    assert np.array_equal(top_per_row(graph, keys, 3), expected)


def test_the_strongest_edges_are_a_decision_of_the_legacy_action_space(graph: LevelGraph) -> None:
    class ByStrength:
        graphs: Sequence[LevelGraph] = (graph,)
        recipe_logits = np.zeros((1, 1), dtype=np.float32)

        def edge_logits(self, recipe: np.ndarray) -> list[np.ndarray]:
            return [graph.edge_features[:, EDGE_FEATURES.index("log_symmetric")]]

    (decision,) = mode(PolicyConfig(action="top_k", k=5), ByStrength()).decisions
    strong = strongest_per_row(5)(graph).edge_is_strong
    degree = np.bincount(graph.edge_index[:, strong].ravel(), minlength=graph.num_nodes)
    assert (degree >= np.minimum(5, np.bincount(graph.edge_index.ravel(), minlength=graph.num_nodes))).all()
    # Equal entries may fall either way; what is strictly stronger than a row's fifth is in both.
    sizes = graph.edge_features[:, EDGE_FEATURES.index("log_symmetric")]
    for node in range(0, graph.num_nodes, 20):
        edges = np.flatnonzero((graph.edge_index == node).any(axis=0))
        above = edges[sizes[edges] > np.sort(sizes[edges])[-min(5, len(edges))]]
        assert strong[above].all() and decision.edge_is_strong[above].all()
    assert every_edge()(graph).edge_is_strong.all()


def test_random_edges_are_the_generators(graph: LevelGraph) -> None:
    masks = [random_per_row(5, np.random.default_rng(seed))(graph).edge_is_strong for seed in (0, 0, 1)]
    assert np.array_equal(masks[0], masks[1]) and not np.array_equal(masks[0], masks[2])


def test_spaces_hold_one_another() -> None:
    assert set(SPACES["document"].recipes) == set(SPACES["two levels"].recipes) < set(SPACES["multilevel"].recipes)
