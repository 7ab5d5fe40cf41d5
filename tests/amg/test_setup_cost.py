"""The cost model of the set-up: its constants are the measured ones, and levels add up."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rllib_psparsity.amg.hierarchy import build_hierarchy
from rllib_psparsity.amg.recipe import PROLONGATIONS, Recipe
from rllib_psparsity.amg.setup_cost import CONSTRUCTION, OBSERVATION, setup_price, setup_work
from rllib_psparsity.environment.sparsify import SparsifyEnv
from tests.environment.tiny import SCALAR, textbook, tiny_config

RESULT = Path(__file__).parents[2] / "benchmarks" / "results" / "setup_cost.json"


def test_the_constants_are_those_of_the_committed_measurement():
    figures = json.loads(RESULT.read_text())["figures"]
    for kind, measured in figures.items():
        constants = {"observation": OBSERVATION[kind], **CONSTRUCTION[kind]}
        assert constants == pytest.approx({name: round(value, 1) for name, value in measured.items()})


def test_every_construction_has_a_cost():
    names = {f"{coarsening}/{one}" for coarsening, several in PROLONGATIONS.items() for one in several}
    assert set(CONSTRUCTION["scalar"]) == names
    assert set(CONSTRUCTION["block"]) == {name for name in names if not name.startswith("classical")}


def test_levels_cost_by_their_nonzeros_and_the_coarsest_nothing():
    config = tiny_config(SCALAR)
    problem = SparsifyEnv(config).problems.training(0)
    menu = (Recipe.parse("sa/jacobi/symmetric"), Recipe.parse("sa/energy2/evolution"))
    hierarchy = build_hierarchy(problem.A, problem.B, lambda graph: textbook(graph, min(graph.level, 1)), menu=menu)
    nnz = [level.A.nnz for level in hierarchy.levels]
    costs = [OBSERVATION["scalar"] + CONSTRUCTION["scalar"][name] for name in ("sa/jacobi", *["sa/energy2"] * 9)]
    assert len(nnz) > 2
    assert setup_work(hierarchy) == pytest.approx(sum(n * c for n, c in zip(nnz[:-1], costs, strict=False)) / nnz[0])
    assert setup_price(hierarchy) == pytest.approx(sum(costs[: len(nnz) - 1]) / (len(nnz) - 1))
    del hierarchy.levels[1:]
    assert setup_work(hierarchy) == setup_price(hierarchy) == 0.0
