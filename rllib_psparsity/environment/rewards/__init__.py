"""What an episode is paid for: one file a measure of a hierarchy's quality.

Other packages register their own (`rllib_psparsity.extensions`).
"""

from __future__ import annotations

from typing import Any, Protocol, TypeVar

import numpy as np
from scipy.sparse import bsr_array, csr_array

from rllib_psparsity.amg.cycle import BlockVCycle
from rllib_psparsity.amg.hierarchy import Hierarchy
from rllib_psparsity.config.schema import RewardConfig
from rllib_psparsity.environment.credit import Quality
from rllib_psparsity.environment.rewards.energy_reduction import EnergyReduction
from rllib_psparsity.environment.rewards.hybrid import Hybrid
from rllib_psparsity.environment.rewards.pcg_iterations import PCGIterations
from rllib_psparsity.environment.rewards.total_work import TotalWork
from rllib_psparsity.environment.rewards.work_per_digit import WorkPerDigit
from rllib_psparsity.extensions import load_extension, require

V = TypeVar("V")


class Reward(Protocol[V]):
    """A measure of quality, made as ``reward(vectors)`` with the number K of test vectors (`reward.vectors`).

    Instances hold no state, so that an episode's reward depends on the episode alone.
    """

    floor: float
    """The quality of a failed set-up; no measured quality is below it."""
    solves: bool
    """Whether a quality comes with the work per digit of real solves, from `RightHandSides`."""

    def test_vectors(self, A: csr_array | bsr_array, rng: np.random.Generator) -> V:
        """What every hierarchy on A is measured with: vectors drawn from rng, and what follows from them and A alone.

        The same on every level, so that differences of qualities measure the level, not the draw.
        """
        ...

    def quality(self, hierarchy: Hierarchy, cycle: BlockVCycle, test_vectors: V) -> Quality:
        """Measure a hierarchy (or its first levels) through its block V-cycle; the test vectors are only read."""
        ...


REWARDS: dict[str, type] = {
    "work_per_digit": WorkPerDigit,
    "energy_reduction": EnergyReduction,
    "pcg_iterations": PCGIterations,
    "hybrid": Hybrid,
    "total_work": TotalWork,
}


def make_reward(config: RewardConfig) -> Reward[Any]:
    """The reward that the configuration names, built in or registered."""
    if config.name == "total_work":
        return TotalWork(config.vectors, config.solves_per_setup)
    if config.name in REWARDS:
        return REWARDS[config.name](config.vectors)
    reward = load_extension("rewards", config.name, REWARDS)(config.vectors)
    for member in ("floor", "solves", "test_vectors", "quality"):
        require(hasattr(reward, member), "rewards", config.name, f"has no {member}")
    return reward
