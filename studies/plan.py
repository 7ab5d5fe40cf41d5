"""What the oracle searches over: a plan says for every level which edges are strong, and the recipe."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rllib_psparsity.amg.decision import Decide, Decision
from rllib_psparsity.amg.recipe import MEASURES
from rllib_psparsity.graph.level_graph import EDGE_FEATURES, LevelGraph
from studies.rules import PLAIN, recipe_index, top_per_row

ALL_RECIPES = (
    "sa/jacobi",
    "sa/energy1",
    "sa/energy2",
    "sa/energy3",
    "rootnode/energy1",
    "rootnode/energy2",
    "rootnode/energy3",
    "classical/direct",
    "classical/modified",
)


@dataclass(frozen=True, slots=True)
class Space:
    """An action space: recipes, the most levels, and k edges a row, or any edges where k is None.

    Where it is `alike`, edges of one direction and like values get one key: what a policy can say that follows a
    renumbering of the nodes, far from the boundary of a grid of constant coefficients.
    """

    max_levels: int
    recipes: tuple[str, ...]
    k: int | None
    alike: bool = False


SPACES = {
    "document": Space(2, (PLAIN,), 5),
    "document, alike": Space(2, (PLAIN,), 5, alike=True),
    "two levels": Space(2, (PLAIN,), None),
    "multilevel": Space(10, ALL_RECIPES, None),
}
"""document: two levels of plain smoothed aggregation, 5 edges a row; document, alike: without telling like edges apart;
two levels: plain smoothed aggregation with any edges; multilevel: any edges, every recipe, any depth."""


@dataclass(frozen=True, slots=True)
class LevelPlan:
    """One level's decision, for whatever graph turns up there, or exactly for the graph that `keys` were made on.

    Attributes
    ----------
    recipe : coarsening/prolongation
    measure, threshold : keys are the measure less the threshold, an edge being strong where they are positive
    weak_directions : of `directions`, edges of which count as weak whatever the measure says
    halved_directions : of which every second edge does, so that the others pair the nodes up
    keys : (2, E) that replace all this; for k edges a row those of both ends, otherwise the first row decides
    """

    recipe: str
    measure: str = "evolution"
    threshold: float = 0.25
    weak_directions: frozenset[int] = frozenset()
    halved_directions: frozenset[int] = frozenset()
    keys: np.ndarray | None = None


Plan = tuple[LevelPlan, ...]
"""From the finest level; levels below the last entry follow that entry."""


def rule_keys(graph: LevelGraph, level: LevelPlan) -> np.ndarray:
    """(2, E) keys of a level's rule."""
    feature = EDGE_FEATURES.index(MEASURES[level.measure].feature)
    keys = graph.edge_features[:, feature].astype(float) - level.threshold
    if level.weak_directions or level.halved_directions:
        classes = directions(graph)
        halved = np.isin(classes, list(level.halved_directions)) & (_place_along(graph) % 2 == 1)
        keys = np.where(halved | np.isin(classes, list(level.weak_directions)), keys - 1e3, keys)
    return np.stack([keys, keys])


def decide_by(plan: Plan, space: Space) -> Decide:
    """The plan as what `build_hierarchy` asks."""

    def decide(graph: LevelGraph) -> Decision:
        level = plan[min(graph.level, len(plan) - 1)]
        keys = level.keys if level.keys is not None and graph.level < len(plan) else rule_keys(graph, level)
        strong = keys[0] > 0 if space.k is None else top_per_row(graph, keys, space.k)
        return Decision(strong, recipe_index(level.recipe))

    return decide


def directions(graph: LevelGraph) -> np.ndarray:
    """(E,) class of every edge: on a grid numbered row by row the stencil's direction, j - i; elsewhere one of four
    classes by the quarter that its |a_ij| / sqrt(a_ii a_jj) falls in."""
    offset = graph.edge_index[1] - graph.edge_index[0]
    distinct, classes = np.unique(offset, return_inverse=True)
    if len(distinct) <= 8:
        return classes
    size = graph.edge_features[:, EDGE_FEATURES.index("log_symmetric")]
    return np.searchsorted(np.quantile(size, (0.25, 0.5, 0.75)), size)


def _place_along(graph: LevelGraph) -> np.ndarray:
    """(E,) how far an edge of a grid is along the line of its own direction: row of vertical ones, column of others."""
    side = max(round(graph.num_nodes**0.5), 1)
    first, second = graph.edge_index
    return np.where((second - first) % side == 0, first // side, first % side)


def patch(graph: LevelGraph, rng: np.random.Generator) -> np.ndarray:
    """(S,) indices of edges that a move of the search changes together: a direction or all edges, within a ball, on
    every p-th line of the grid, in a row, or everywhere; or a single edge."""
    every = np.arange(graph.num_edges)
    kind = rng.choice(("edge", "row", "ball", "stripes", "everywhere"), p=(0.25, 0.25, 0.3, 0.15, 0.05))
    if kind == "edge":
        return rng.integers(graph.num_edges, size=1)
    if kind == "row":
        return every[(graph.edge_index == rng.integers(graph.num_nodes)).any(axis=0)]
    first = graph.edge_index[0]
    of_class = np.ones(graph.num_edges, dtype=bool)
    if rng.random() < 0.8:
        classes = directions(graph)
        of_class = classes == rng.choice(classes)
    if kind == "ball":
        return every[of_class & _ball(graph, int(rng.integers(graph.num_nodes)), int(rng.integers(1, 7)))[first]]
    if kind == "stripes":
        side = max(round(graph.num_nodes**0.5), 1)
        period = int(rng.integers(2, 7))
        line = int(rng.integers(3)) * (first // side) + int(rng.integers(3)) * (first % side)
        return every[of_class & (line % period == rng.integers(period))]
    return every[of_class]


def _ball(graph: LevelGraph, centre: int, radius: int) -> np.ndarray:
    """(N,) bool, nodes within `radius` edges of the centre."""
    inside = np.zeros(graph.num_nodes, dtype=bool)
    inside[centre] = True
    i, j = graph.edge_index
    for _ in range(radius):
        inside[j[inside[i]]] = True
        inside[i[inside[j]]] = True
    return inside
