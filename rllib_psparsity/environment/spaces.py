"""Gymnasium spaces for observations and actions whose size changes with the level."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np

from rllib_psparsity.amg.decision import Decision
from rllib_psparsity.graph.level_graph import EDGE_FEATURES, NODE_FEATURES, LevelGraph


class GraphSpace(gymnasium.Space[LevelGraph]):
    """All `LevelGraph`s; `contains` checks types, shapes and index ranges."""

    def __init__(self, seed: int | np.random.Generator | None = None) -> None:
        super().__init__(None, None, seed)

    def contains(self, x: Any) -> bool:
        if not isinstance(x, LevelGraph):
            return False
        if x.edge_index.ndim != 2 or len(x.edge_index) != 2:
            return False
        n, e = x.num_nodes, x.num_edges
        i, j = x.edge_index
        return bool(
            x.node_features.dtype == np.float32
            and x.node_features.shape == (n, len(NODE_FEATURES))
            and x.edge_features.dtype == np.float32
            and x.edge_features.shape == (e, len(EDGE_FEATURES))
            and x.edge_index.dtype == np.int32
            and (e == 0 or (i.min() >= 0 and j.max() < n and (i < j).all()))
            and np.isfinite(x.node_features).all()
            and np.isfinite(x.edge_features).all()
        )

    def sample(self, mask: Any = None, probability: Any = None) -> LevelGraph:
        """The graph of one node: what a finished episode observes."""
        return LevelGraph(
            np.zeros((1, len(NODE_FEATURES)), np.float32),
            np.zeros((2, 0), np.int32),
            np.zeros((0, len(EDGE_FEATURES)), np.float32),
            level=0,
            block_size=1,
        )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, GraphSpace)

    def __repr__(self) -> str:
        return f"GraphSpace({len(NODE_FEATURES)} node features, {len(EDGE_FEATURES)} edge features)"


class DecisionSpace(gymnasium.Space[Decision]):
    """All `Decision`s over a menu of recipes; whether a mask has a graph's length is for the environment to check."""

    def __init__(self, num_recipes: int, seed: int | np.random.Generator | None = None) -> None:
        self.num_recipes = num_recipes
        super().__init__(None, None, seed)

    def contains(self, x: Any) -> bool:
        return bool(
            isinstance(x, Decision)
            and x.edge_is_strong.dtype == bool
            and x.edge_is_strong.ndim == 1
            and 0 <= x.recipe < self.num_recipes
        )

    def sample(self, mask: Any = None, probability: Any = None) -> Decision:
        """A decision for a graph without edges."""
        return Decision(np.zeros(0, bool), int(self.np_random.integers(self.num_recipes)))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DecisionSpace) and other.num_recipes == self.num_recipes

    def __repr__(self) -> str:
        return f"DecisionSpace({self.num_recipes} recipes)"
