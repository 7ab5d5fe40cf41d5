"""What setting up a hierarchy costs, as a model: work by nonzero of the levels that are observed and coarsened.

The unit is that of the work per digit, one pass over the nonzeros of the finest matrix. The constants were measured by
``python -m benchmarks.setup_cost``, whose committed result a test compares with them.
"""

from __future__ import annotations

from rllib_psparsity.amg.hierarchy import Hierarchy
from rllib_psparsity.amg.recipe import Recipe

OBSERVATION = {"scalar": 10.7, "block": 4.8}
"""Features and a pooled network, by kind of matrix; a graph network costs twice that."""
CONSTRUCTION = {
    "scalar": {
        "sa/jacobi": 14.1,
        "sa/energy1": 19.3,
        "sa/energy2": 29.1,
        "sa/energy3": 41.6,
        "rootnode/energy1": 19.7,
        "rootnode/energy2": 25.1,
        "rootnode/energy3": 34.3,
        "classical/direct": 16.9,
        "classical/modified": 22.0,
    },
    "block": {
        "sa/jacobi": 41.5,
        "sa/energy1": 48.8,
        "sa/energy2": 64.4,
        "sa/energy3": 95.4,
        "rootnode/energy1": 84.0,
        "rootnode/energy2": 85.7,
        "rootnode/energy3": 98.8,
    },
}
"""Strength matrix, aggregates, prolongator and Galerkin product, by kind of matrix and by `construction`."""


def construction(recipe: Recipe) -> str:
    """The part of a recipe that costs: its measure only says where the edge prior starts."""
    return f"{recipe.coarsening}/{recipe.prolongation}"


def level_cost(recipe: Recipe, kind: str) -> float:
    """Work by nonzero of a level, `kind` ``"scalar"`` or ``"block"``."""
    return OBSERVATION[kind] + CONSTRUCTION[kind][construction(recipe)]


def setup_work(hierarchy: Hierarchy) -> float:
    """Work of the whole set-up, in passes over the nonzeros of the finest matrix."""
    return sum(nonzeros * cost for nonzeros, cost in _parts(hierarchy))


def setup_price(hierarchy: Hierarchy) -> float:
    """What another nonzero of a level that is coarsened in its turn costs, the mean over the levels so far."""
    costs = [cost for _, cost in _parts(hierarchy)]
    return sum(costs) / len(costs) if costs else 0.0


def _parts(hierarchy: Hierarchy) -> list[tuple[float, float]]:
    finest = hierarchy.levels[0].A
    kind = "block" if finest.format == "bsr" else "scalar"
    return [
        (level.A.nnz / finest.nnz, level_cost(level.recipe, kind))
        for level in hierarchy.levels[:-1]
        if level.recipe is not None
    ]
