"""Rules that decide without learning: textbook measures, every edge, and the legacy action space's k edges a row."""

from __future__ import annotations

import numpy as np

from rllib_psparsity.amg.decision import Decide, Decision
from rllib_psparsity.amg.recipe import Recipe
from rllib_psparsity.graph.level_graph import EDGE_FEATURES, LevelGraph
from studies.episode import MENU

PLAIN = "sa/jacobi"
"""Plain smoothed aggregation, the predecessor's only construction."""


def recipe_index(name: str) -> int:
    """Index into `MENU` of coarsening/prolongation, whatever measure follows."""
    coarsening, prolongation = name.split("/")[:2]
    return MENU.index(Recipe.parse(f"{coarsening}/{prolongation}/{MENU[0].measure}"))


def textbook(name: str) -> Decide:
    """A recipe with its own measure at its textbook threshold: what the policy's prior alone decides."""
    feature, threshold, _ = Recipe.parse(name).strength_test
    index, column = recipe_index(name), EDGE_FEATURES.index(feature)
    return lambda graph: Decision(graph.edge_features[:, column] > np.float32(threshold), index)


def every_edge() -> Decide:
    """PyAMG's default as far as a decision can say it: theta = 0 calls every edge strong."""
    return lambda graph: Decision(np.ones(graph.num_edges, dtype=bool), recipe_index(PLAIN))


def strongest_per_row(k: int) -> Decide:
    """The k largest |a_ij| / sqrt(a_ii a_jj) of every row, which order like |a_ij| where the diagonal is constant."""
    column = EDGE_FEATURES.index("log_symmetric")

    def decide(graph: LevelGraph) -> Decision:
        keys = np.broadcast_to(graph.edge_features[:, column], (2, graph.num_edges))
        return Decision(top_per_row(graph, keys, k), recipe_index(PLAIN))

    return decide


def random_per_row(k: int, rng: np.random.Generator) -> Decide:
    """k edges of every row, all equally likely."""
    return lambda graph: Decision(top_per_row(graph, rng.random((2, graph.num_edges)), k), recipe_index(PLAIN))


def top_per_row(graph: LevelGraph, keys: np.ndarray, k: int) -> np.ndarray:
    """(E,) bool: every row picks its k edges of largest key, and an edge is strong if either end picked it.

    `keys` (2, E) are those of the first and of the second end; equal ones are taken in the order of the edges.
    """
    rows = graph.edge_index.ravel()
    order = np.lexsort((-keys.ravel(), rows))
    ends = np.bincount(rows, minlength=graph.num_nodes)
    rank = np.arange(len(order)) - np.repeat(np.cumsum(ends) - ends, ends)
    strong = np.zeros(graph.num_edges, dtype=bool)
    strong[order[rank < k] % graph.num_edges] = True
    return strong
