"""From logits to decisions: sampling, mode, and the log-probabilities of what was chosen. Without torch.

The probability of a decision is that of its recipe times that of many small units given the recipe: one
per edge, or one per row for the action `top_k`; `policy.actions` has the same distributions with gradients. Edges and
rows are not drawn independently, though: see `policy.coherent_noise` and `policy.coherent_rows`.

Each graph draws from a generator of its own, so its draw does not depend on the graphs beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rllib_psparsity.amg.decision import Decision
from rllib_psparsity.amg.recipe import parse_menu
from rllib_psparsity.config.schema import PolicyConfig
from rllib_psparsity.graph.level_graph import LevelGraph
from rllib_psparsity.policy.coherent_noise import coherent_uniform
from rllib_psparsity.policy.coherent_rows import coherent_rows
from rllib_psparsity.policy.inference import Logits
from rllib_psparsity.policy.row_kernels import row_adjacency, writable
from rllib_psparsity.policy.row_sets import set_log_prob


@dataclass(frozen=True, slots=True)
class Choice:
    """Decisions of G graphs.

    Attributes
    ----------
    graphs, decisions : one decision per graph
    recipe_logits : (G, R) float32
    edge_logits : for each graph, (E,) float32, given its recipe
    """

    graphs: Sequence[LevelGraph]
    decisions: list[Decision]
    recipe_logits: np.ndarray
    edge_logits: list[np.ndarray]

    def recipe_log_prob(self) -> np.ndarray:
        """(G,) float32, of the chosen recipes."""
        shifted = self.recipe_logits - self.recipe_logits.max(axis=1, keepdims=True)
        recipe = [decision.recipe for decision in self.decisions]
        return shifted[np.arange(len(recipe)), recipe] - np.log(np.exp(shifted).sum(axis=1))

    def unit_log_prob(self, sets: bool = False) -> list[np.ndarray]:
        """For each graph, (E,) float32 of its edges, or (N,) of its rows where the decision has row picks: of their
        ordered draws, or with `sets` of what was drawn in whatever order."""
        return [
            _log_sigmoid(np.where(decision.edge_is_strong, logits, -logits))
            if decision.row_picks is None
            else _row_log_prob(graph, logits, decision.row_picks, sets)
            for graph, logits, decision in zip(self.graphs, self.edge_logits, self.decisions, strict=True)
        ]


def sample(config: PolicyConfig, logits: Logits, rngs: Sequence[np.random.Generator]) -> Choice:
    """One decision per graph, drawn with that graph's generator: first the recipe, then the units."""
    noise = np.stack([rng.gumbel(size=logits.recipe_logits.shape[1]) for rng in rngs])
    recipe = np.argmax(logits.recipe_logits + noise, axis=1)  # the largest sum is a softmax draw
    return _choose(config, logits, recipe, rngs)


def mode(config: PolicyConfig, logits: Logits, rank: int = 0) -> Choice:
    """The most likely recipe, the first of equals, and the most likely units given that recipe.

    With a `rank` the recipe that is tried after so many others. Recipes of one coarsening are much alike, so the most
    likely of every other coarsening come right after the most likely of all, then the rest by their probability.
    """
    recipes = [
        _tried(config, graph, of_graph)[rank] if rank else int(np.argmax(of_graph))
        for graph, of_graph in zip(logits.graphs, logits.recipe_logits, strict=True)
    ]
    return _choose(config, logits, np.array(recipes), [None] * len(logits.graphs))


def _tried(config: PolicyConfig, graph: LevelGraph, recipe_logits: np.ndarray) -> list[int]:
    """All recipes in the order of `mode`'s ranks; those that the graph cannot have come last."""
    menu = parse_menu(config.recipes)
    likely = np.argsort(-recipe_logits, kind="stable").tolist()
    likeliest = {menu[r].coarsening: r for r in reversed(likely) if not (menu[r].scalar_only and graph.block_size > 1)}
    first = [r for r in likely if r in likeliest.values()]
    return first + [r for r in likely if r not in first]


def ranks_of(config: PolicyConfig, logits: Logits, count: int, at_most: int, probability: float) -> list[int]:
    """For a single graph, `mode`'s ranks below `count`, and below `at_most` those whose coarsening is that probable."""
    if at_most == 1:
        return [0]
    menu, of_graph = parse_menu(config.recipes), logits.recipe_logits[0].astype(float)
    weights = np.exp(of_graph - of_graph.max())
    share = dict.fromkeys((recipe.coarsening for recipe in menu), 0.0)
    for recipe, weight in zip(menu, (weights / weights.sum()).tolist(), strict=True):
        share[recipe.coarsening] += weight
    tried = _tried(config, logits.graphs[0], of_graph)[:at_most]
    return [rank for rank, r in enumerate(tried) if rank < count or share[menu[r].coarsening] >= probability]


def _choose(
    config: PolicyConfig, logits: Logits, recipe: np.ndarray, rngs: Sequence[np.random.Generator | None]
) -> Choice:
    edge_logits = logits.edge_logits(recipe)
    decisions = []
    for graph, of_graph, r, rng in zip(logits.graphs, edge_logits, recipe.tolist(), rngs, strict=True):
        if config.action == "top_k":
            picks = (
                _largest(graph, of_graph, config.k)
                if rng is None
                else coherent_rows(graph, of_graph, config.k, config.coherence, rng)
            )
            strong = np.zeros(graph.num_edges, dtype=bool)
            strong[picks[picks >= 0]] = True
            decisions.append(Decision(strong, r, picks))
        elif rng is None:
            decisions.append(Decision(of_graph > 0, r))
        else:
            decisions.append(Decision(coherent_uniform(graph, config.coherence, rng) < _sigmoid(of_graph), r))
    return Choice(logits.graphs, decisions, logits.recipe_logits, edge_logits)


def _largest(graph: LevelGraph, logits: np.ndarray, k: int) -> np.ndarray:
    """(N, k) int32: the k largest edges of every row, in that order."""
    row_start, _, edge = row_adjacency(writable(graph.edge_index, np.int32), graph.num_nodes)
    row = np.repeat(np.arange(graph.num_nodes), np.diff(row_start))
    order = np.lexsort((-logits[edge], row))  # stable: equal ones stay in the order of edges
    rank = np.arange(len(order)) - row_start[row]
    kept = rank < k
    picks = np.full((graph.num_nodes, k), -1, dtype=np.int32)
    picks[row[kept], rank[kept]] = edge[order[kept]]
    return picks


def _sigmoid(x: np.ndarray) -> np.ndarray:
    small = np.exp(-np.abs(x))  # of the smaller side, so that nothing overflows
    return np.where(x >= 0, np.float32(1), small) / (1 + small)


def _log_sigmoid(x: np.ndarray) -> np.ndarray:
    return np.minimum(x, 0) - np.log1p(np.exp(-np.abs(x)))


def _row_log_prob(graph: LevelGraph, logits: np.ndarray, picks: np.ndarray, sets: bool) -> np.ndarray:
    """(N,) of each row's ordered draw, every pick against all that was left to draw, the last pick first; or of its
    set."""
    x = logits.astype(np.float64)
    rows, steps = np.nonzero(picks >= 0)
    edges = picks[rows, steps]
    taken = np.zeros((2, graph.num_edges), dtype=bool)  # by the first, by the second end
    taken[(graph.edge_index[1, edges] == rows).astype(int), edges] = True
    log_rest = np.full(graph.num_nodes, -np.inf)
    for end in range(2):
        np.logaddexp.at(log_rest, graph.edge_index[end, ~taken[end]], x[~taken[end]])
    if sets:
        margin = np.full(picks.shape, np.inf)
        margin[rows, steps] = x[edges] - log_rest[rows]
        return set_log_prob(margin)[0].astype(np.float32)
    log_prob = np.zeros(graph.num_nodes)
    for step in reversed(range(picks.shape[1])):
        drawn = np.flatnonzero(picks[:, step] >= 0)
        pick = x[picks[drawn, step]]
        log_prob[drawn] += _log_sigmoid(pick - log_rest[drawn])
        log_rest[drawn] = np.logaddexp(pick, log_rest[drawn])
    return log_prob.astype(np.float32)
