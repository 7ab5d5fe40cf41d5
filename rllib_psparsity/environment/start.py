"""Where an episode starts: the problem, and all that follows from it before the first decision."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import numpy as np

from rllib_psparsity.amg.hierarchy import Level
from rllib_psparsity.config.schema import Config
from rllib_psparsity.environment.rewards import make_reward
from rllib_psparsity.environment.rewards.pcg_iterations import PCGIterations
from rllib_psparsity.problems.distribution import ProblemDistribution
from rllib_psparsity.problems.problem import Problem

TEST_VECTORS = 2
"""Spawn key of the test vectors' seeds; the problems' own keys are in `problems.distribution`."""

KEPT = 2
"""Starts kept: the rollouts of a problem are neighbours in a chunk, and a start of 16,000 nodes takes 14 MB."""


@dataclass(frozen=True, slots=True)
class Start:
    """Shared by all the episodes of a problem, so never changed by any of them.

    Attributes
    ----------
    problem : the problem
    finest : its finest level, with graph, relaxation and relaxed candidates
    test_vectors : the reward's
    solve_vectors : those of the real solves that every episode ends with
    """

    problem: Problem
    finest: Level
    test_vectors: Any
    solve_vectors: Any


class Starts:
    """The starts of a configuration's training problems; the latest are kept."""

    def __init__(self, config: Config) -> None:
        self.problems = ProblemDistribution(config.problems, config.seed)
        self.reward = make_reward(config.reward)
        self.solves = PCGIterations(config.reward.vectors)
        self._seed = config.seed
        self._kept: OrderedDict[tuple[int, float], Start] = OrderedDict()

    def training(self, index: int, difficulty: float) -> Start:
        """Of training problem `index`, which also seeds the test vectors."""
        key = (index, difficulty)
        start = self._kept.pop(key, None) or self._make(self.problems.training(index, difficulty), index)
        self._kept[key] = start
        if len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        return start

    def _make(self, problem: Problem, index: int) -> Start:
        finest = Level(problem.A, problem.B)
        _ = finest.graph, finest.relaxation(), finest.candidates()
        seed = np.random.SeedSequence(self._seed, spawn_key=(TEST_VECTORS, index))
        with np.errstate(all="ignore"):
            test_vectors = self.reward.test_vectors(problem.A, np.random.default_rng(seed))
            solve_vectors = test_vectors
            if not self.reward.solves:
                solve_vectors = self.solves.test_vectors(problem.A, np.random.default_rng(seed))
        return Start(problem, finest, test_vectors, solve_vectors)
