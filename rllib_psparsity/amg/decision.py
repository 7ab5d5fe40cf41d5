"""What is decided on one level: the strong edges and the recipe."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from rllib_psparsity.graph.level_graph import LevelGraph


@dataclass(frozen=True, slots=True)
class Decision:
    """The action on one level.

    Attributes
    ----------
    edge_is_strong : (E,) bool
        One entry per undirected edge of the level's `LevelGraph`, so the mask is symmetric by construction.
    recipe : int
        Index into the menu of `Recipe`s the hierarchy is built with.
    row_picks : (N, k) int32, optional
        Only for the top-k action: the edges that each row drew, in the order drawn, -1 where a row has fewer than
        k edges. `edge_is_strong` is their union; the order is kept since the log-probability depends on it.
    """

    edge_is_strong: np.ndarray
    recipe: int
    row_picks: np.ndarray | None = None


Decide = Callable[[LevelGraph], Decision]
"""Called once per level by `build_hierarchy`: a trained policy, a classical rule, or a recorded decision."""
