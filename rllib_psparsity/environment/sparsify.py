"""The environment."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np

from rllib_psparsity.amg.cycle import BlockVCycle
from rllib_psparsity.amg.decision import Decision
from rllib_psparsity.amg.hierarchy import Hierarchy, HierarchyBuilder, Level
from rllib_psparsity.amg.recipe import parse_menu
from rllib_psparsity.config.schema import Config
from rllib_psparsity.environment.credit import node_credit
from rllib_psparsity.environment.spaces import DecisionSpace, GraphSpace
from rllib_psparsity.environment.start import Starts
from rllib_psparsity.errors import InputError, SetupFailure
from rllib_psparsity.graph.level_graph import LevelGraph
from rllib_psparsity.problems.distribution import ProblemDistribution


class SparsifyEnv(gymnasium.Env[LevelGraph, Decision]):
    """One episode builds one multigrid hierarchy; one step decides one level.

    State
        (A_l, B_l): the level's matrix and near-nullspace candidates. Nodes of a block matrix are its blocks.
    Observation
        `LevelGraph`: features of N nodes and E undirected edges of the level's matrix, float32, algebraic and local.
    Action
        `Decision`: ``edge_is_strong`` (E,) bool, and ``recipe``, an index into `policy.recipes`.
    Transition
        mask -> strength matrix C -> aggregates (or C/F splitting) -> tentative prolongator -> smoothed prolongator P
        whose pattern C filters -> A_{l+1} = P^T A_l P. Deterministic, by `amg.HierarchyBuilder` as in deployment.
    Reward
        The change of the quality of the hierarchy truncated at the level (`credit`), quality by `reward.name`
        (`rewards`); with ``reward.shaping`` false nothing before the end, then the finished hierarchy's quality.
        ``info["credit"]`` (N,) float32 has it by node of the level that was decided; its mean is the reward.
    Termination
        At most ``environment.max_coarse`` nodes, or ``environment.max_levels`` levels.
    Truncation
        A failed set-up: coarsening stalled, operator complexity over its cap, or a level that could not be built. The
        quality is then ``reward.floor``, bounded and below every measured one.
    Starting state
        ``reset(options={"index": i, "difficulty": d})`` starts training problem i of the configured distribution, the
        same on every machine; without options, one drawn with the environment's own seed. Environments that are given
        the same `Starts` share what the episodes of one problem have in common.

    After every step ``info`` holds ``credit`` and ``aggregates`` (N,) int32, the coarse node of every node (-1: none),
    along which returns flow; after the last also ``end``, ``operator_complexity`` and ``work_per_digit``, by real
    solves whatever the reward is. That is NaN for a failed set-up, and, where another reward is paid, for an episode
    that was reset with ``options={"solve": False}``: the solves would cost it a quarter of its time.
    """

    metadata = {"render_modes": []}

    def __init__(self, config: Config, starts: Starts | None = None) -> None:
        self.config = config
        self.menu = parse_menu(config.policy.recipes)
        self.starts = starts or Starts(config)
        self.reward = self.starts.reward
        self.observation_space = GraphSpace()
        self.action_space = DecisionSpace(len(self.menu))
        self._builder: HierarchyBuilder | None = None

    @property
    def problems(self) -> ProblemDistribution:
        return self.starts.problems

    @property
    def hierarchy(self) -> Hierarchy:
        """The hierarchy so far."""
        if self._builder is None:
            raise InputError("the environment has no hierarchy yet; call reset() first")
        return self._builder.hierarchy

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[LevelGraph, dict[str, Any]]:
        super().reset(seed=seed)
        options = options or {}
        index = options.get("index")
        index = int(self.np_random.integers(2**31)) if index is None else index
        if self.config.problems.training_problems is not None:
            index %= self.config.problems.training_problems  # the same problem again has the same test vectors
        self._start = self.starts.training(index, options.get("difficulty", 1.0))
        self._builder = HierarchyBuilder(self._start.finest, self.menu, self.config.environment)
        if self._builder.hierarchy.end is not None:
            nodes = self._builder.hierarchy.levels[0].num_nodes
            raise InputError(
                f"problem {self._start.problem.name} has {nodes} nodes, but needs more than environment.max_coarse = "
                f"{self.config.environment.max_coarse}; take larger sizes or a lower max_coarse"
            )
        self._solve = bool(options.get("solve", True))
        self._potential = 0.0
        self._cycle: BlockVCycle | None = None
        return self._builder.observe().complete(), {"problem": self._start.problem.name}

    def step(self, action: Decision) -> tuple[LevelGraph, float, bool, bool, dict[str, Any]]:
        if self._builder is None or self._builder.hierarchy.end is not None:
            raise InputError("the episode is over; call reset() before the next step")
        graph = self._builder.observe()
        if len(action.edge_is_strong) != graph.num_edges:
            raise InputError(
                f"the decision has {len(action.edge_is_strong)} entries for {graph.num_edges} edges; give one per edge "
                "of the observation"
            )
        self._builder.coarsen(action)
        hierarchy = self._builder.hierarchy
        if hierarchy.failed:
            reward, credit = self._pay_failure(graph.num_nodes)
        else:
            reward, credit = self._pay_level(hierarchy)
        # Looked at again, since a level may turn out a failure when it is measured.
        aggregates = (
            np.full(graph.num_nodes, -1, dtype=np.int32) if hierarchy.failed else hierarchy.levels[-2].aggregates
        )
        info: dict[str, Any] = {"credit": credit, "aggregates": aggregates}
        if hierarchy.end is None:
            return self._builder.observe().complete(), reward, False, False, info
        info |= self._summary(hierarchy)
        return self.observation_space.sample(), reward, not hierarchy.failed, hierarchy.failed, info

    def close(self) -> None:
        """Forget the hierarchy, which is most of what an environment holds; `reset` starts another one all the same."""
        self._builder = self._cycle = None

    def _pay_level(self, hierarchy: Hierarchy) -> tuple[float, np.ndarray]:
        """Reward and credit of the level just built; a level whose cycle cannot be set up becomes a failure."""
        fine: Level = hierarchy.levels[-2]
        last = hierarchy.end is not None
        if not last and not self.config.reward.shaping:
            return 0.0, np.zeros(fine.num_nodes, dtype=np.float32)
        try:
            cycle = BlockVCycle(hierarchy.levels)
        except SetupFailure as error:
            hierarchy.end, hierarchy.failure = "failed", str(error)
            return self._pay_failure(fine.num_nodes)
        with np.errstate(all="ignore"):
            quality = self.reward.quality(hierarchy, cycle, self._start.test_vectors)
            deviations = node_credit(quality, hierarchy.levels)
        if not (np.isfinite(quality.value) and np.isfinite(deviations).all()):
            hierarchy.end, hierarchy.failure = "failed", "the V-cycle's measure is not finite"
            return self._pay_failure(fine.num_nodes)
        reward = (quality.value if last else self.config.training.gamma * quality.value) - self._potential
        self._work_per_digit = quality.work_per_digit
        # Only the last is asked for again: others solve large levels directly, and their factors take memory.
        self._cycle = cycle if last else None
        if self.config.reward.shaping:
            self._potential = quality.value
        credit = np.full(fine.num_nodes, reward, dtype=np.float32)
        if self.config.training.node_credit:
            credit += deviations
        return reward, credit

    def _pay_failure(self, num_nodes: int) -> tuple[float, np.ndarray]:
        reward = self.reward.floor - self._potential
        return reward, np.full(num_nodes, reward, dtype=np.float32)

    def _summary(self, hierarchy: Hierarchy) -> dict[str, Any]:
        return {
            "end": hierarchy.end,
            "operator_complexity": hierarchy.operator_complexity,
            "work_per_digit": float("nan") if hierarchy.failed else self._solved(hierarchy),
        }

    def _solved(self, hierarchy: Hierarchy) -> float:
        """The work per digit of real solves; NaN if none are asked for."""
        if self.reward.solves or not self._solve:
            return self._work_per_digit
        assert self._cycle is not None
        with np.errstate(all="ignore"):
            return self.starts.solves.quality(hierarchy, self._cycle, self._start.solve_vectors).work_per_digit
