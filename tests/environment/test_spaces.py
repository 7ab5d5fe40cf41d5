import dataclasses

import numpy as np
import pytest

from rllib_psparsity.amg.decision import Decision
from rllib_psparsity.environment.spaces import DecisionSpace, GraphSpace
from tests.policy.random_graphs import random_graph


def test_graphs_of_any_size_belong():
    space = GraphSpace()
    assert space.contains(space.sample())
    assert all(space.contains(random_graph(0, nodes, edges)) for nodes, edges in ((1, 0), (5, 4), (40, 100)))
    assert space == GraphSpace() and space != DecisionSpace(2)


def _with(**changes):
    graph = random_graph(1)
    return dataclasses.replace(graph, **{name: change(getattr(graph, name)) for name, change in changes.items()})


def _set(array, index, value):
    array = array.copy()
    array[index] = value
    return array


@pytest.mark.parametrize(
    "graph",
    [
        pytest.param({"graph": 1}, id="a dict"),
        pytest.param(_with(node_features=lambda x: x.astype(np.float64)), id="float64 nodes"),
        pytest.param(_with(node_features=lambda x: x[:, 1:]), id="a node feature less"),
        pytest.param(_with(node_features=lambda x: _set(x, (0, 0), np.nan)), id="a NaN"),
        pytest.param(_with(edge_features=lambda x: _set(x, (0, 0), np.inf)), id="an infinity"),
        pytest.param(_with(edge_features=lambda x: x[1:]), id="an edge without features"),
        pytest.param(_with(edge_features=lambda x: x.astype(np.float64)), id="float64 edges"),
        pytest.param(_with(edge_index=lambda x: x.astype(np.int64)), id="int64 index"),
        pytest.param(_with(edge_index=lambda x: x[::-1].copy()), id="ends exchanged"),
        pytest.param(_with(edge_index=lambda x: _set(x, (1, 0), 99)), id="a node that is not there"),
        pytest.param(_with(edge_index=lambda x: _set(x, (0, 0), -1)), id="a negative node"),
        pytest.param(_with(edge_index=lambda x: x[:1]), id="edges of one end"),
    ],
)
def test_what_is_no_graph_does_not(graph):
    assert not GraphSpace().contains(graph)


def test_decisions_belong_by_type_and_menu():
    space = DecisionSpace(3, seed=0)
    assert {space.sample().recipe for _ in range(50)} == {0, 1, 2}
    assert all(space.contains(space.sample()) for _ in range(5))
    assert space.contains(Decision(np.ones(7, bool), 2))
    assert not space.contains(Decision(np.ones(7, bool), 3))
    assert not space.contains(Decision(np.ones(7, bool), -1))
    assert not space.contains(Decision(np.ones(7, np.int64), 0))
    assert not space.contains(Decision(np.ones((7, 1), bool), 0))
    assert not space.contains((np.ones(7, bool), 0))
    assert space == DecisionSpace(3) and space != DecisionSpace(4)
