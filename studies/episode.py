"""Whole episodes on a study's problems, paid by the environment itself: what policies, rules and searches share."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from pyamg import MultilevelSolver
from scipy.sparse import bsr_array, csr_array

from rllib_psparsity.amg.cycle import BlockVCycle
from rllib_psparsity.amg.decision import Decide
from rllib_psparsity.amg.hierarchy import Hierarchy, Level
from rllib_psparsity.amg.portfolio import ClassicalMethod
from rllib_psparsity.amg.recipe import PROLONGATIONS, Recipe
from rllib_psparsity.config.schema import Config
from rllib_psparsity.environment.sparsify import SparsifyEnv
from rllib_psparsity.environment.start import Start, Starts
from rllib_psparsity.errors import SetupFailure
from rllib_psparsity.problems.problem import Problem

MENU = tuple(
    Recipe.parse(f"{coarsening}/{prolongation}/evolution")
    for coarsening, names in PROLONGATIONS.items()
    for prolongation in names
)
"""Every construction of a prolongator, once; the measure of a recipe only says where a prior starts."""
SPLITS = ("training", "heldout")


@dataclass(frozen=True, slots=True)
class Outcome:
    """Of an episode: its reward, and what was built; `coarse_share` is n_1 / n_0, NaN where nothing was coarsened."""

    reward: float
    operator_complexity: float
    levels: int
    coarse_share: float


def paid_for(env: SparsifyEnv, index: int, decide: Decide) -> float:
    """The sum of the rewards of the episode on training problem `index` in which `decide` is asked once a level."""
    graph, _ = env.reset(options={"index": index, "solve": False})
    total, ended = 0.0, False
    while not ended:
        graph, reward, terminated, truncated, _ = env.step(decide(graph))
        total, ended = total + reward, terminated or truncated
    return total


class Episodes:
    """Episodes on the training or held-out problems of `config`, whose decisions index `MENU`.

    Every reward is that of the finished hierarchy, which is what the rewards of an episode add up to.
    """

    def __init__(self, config: Config, split: str = "training") -> None:
        self.config = config
        played = config.model_copy(
            update={
                "reward": config.reward.model_copy(update={"shaping": False}),
                "policy": config.policy.model_copy(update={"recipes": tuple(recipe.name for recipe in MENU)}),
            }
        )
        self._starts = Starts(played) if split == "training" else _HeldoutStarts(played)
        self._env = SparsifyEnv(played, self._starts)

    def problem(self, index: int) -> Problem:
        """Problem `index` of the split."""
        return self._starts.training(index, 1.0).problem

    def run(self, index: int, decide: Decide) -> Outcome:
        """The episode on problem `index` in which `decide` is asked once a level."""
        reward = paid_for(self._env, index, decide)
        return _outcome(reward, self._env.hierarchy)

    def classical(self, index: int, method: ClassicalMethod) -> Outcome:
        """The same reward for a hierarchy of PyAMG's own, cut and refused by the same limits."""
        start = self._starts.training(index, 1.0)
        limits = self.config.environment
        try:
            solver = method.build(start.problem.A, start.problem.B)
            hierarchy = Hierarchy(_levels(solver, start, limits.max_levels))
            nodes = [level.num_nodes for level in hierarchy.levels]
            stalled = any(coarse > limits.stall_ratio * fine for fine, coarse in pairwise(nodes))
            if stalled or hierarchy.operator_complexity > limits.max_operator_complexity:
                raise SetupFailure("outside the environment's limits")
            with np.errstate(all="ignore"):
                cycle = BlockVCycle(hierarchy.levels)
                reward = self._starts.reward.quality(hierarchy, cycle, start.test_vectors).value
        except SetupFailure:
            return Outcome(self._starts.reward.floor, np.nan, 1, np.nan)
        return _outcome(reward if np.isfinite(reward) else self._starts.reward.floor, hierarchy)


class _HeldoutStarts(Starts):
    """Held-out problems in place of the training problems of the same numbers."""

    def _make(self, problem: Problem, index: int) -> Start:
        return super()._make(self.problems.heldout(index), index)


def _outcome(reward: float, hierarchy: Hierarchy) -> Outcome:
    nodes = [level.num_nodes for level in hierarchy.levels]
    share = nodes[1] / nodes[0] if len(nodes) > 1 else np.nan
    return Outcome(float(reward), hierarchy.operator_complexity, len(nodes), share)


def _levels(solver: MultilevelSolver, start: Start, count: int) -> list[Level]:
    """PyAMG's first `count` levels; the finest is the problem's own."""
    levels = [
        Level(_plain(level.A), np.ones((level.A.shape[0], 1)), number) for number, level in enumerate(solver.levels)
    ]
    levels[0].A, levels[0].B = start.problem.A, start.problem.B
    levels = levels[:count]
    for level, source in zip(levels[:-1], solver.levels, strict=False):
        level.P, level.R = _plain(source.P), _plain(source.R)
        # Credit by node is nobody's concern here, but rewards add it up.
        level.aggregates = np.full(level.num_nodes, -1, dtype=np.int32)
    return levels


def _plain(matrix) -> csr_array | bsr_array:
    """As the project holds matrices: bsr for real blocks alone, sorted."""
    blocks = matrix.format == "bsr" and matrix.blocksize != (1, 1)
    plain = bsr_array(matrix) if blocks else csr_array(matrix)
    plain.sort_indices()
    return plain
