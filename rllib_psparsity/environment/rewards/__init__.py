"""What an episode is paid for: one file a measure of a hierarchy's quality."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from rllib_psparsity.amg.cycle import BlockVCycle
from rllib_psparsity.amg.hierarchy import Hierarchy
from rllib_psparsity.config.schema import RewardConfig
from rllib_psparsity.environment.credit import Quality
from rllib_psparsity.environment.rewards.energy_reduction import EnergyReduction
from rllib_psparsity.environment.rewards.hybrid import Hybrid
from rllib_psparsity.environment.rewards.pcg_iterations import PCGIterations
from rllib_psparsity.environment.rewards.work_per_digit import WorkPerDigit


class Reward(Protocol):
    """A measure of quality; instances hold no state, so that an episode's reward depends on the episode alone."""

    floor: float
    """The quality of a failed set-up; no measured quality is below it."""

    def quality(self, hierarchy: Hierarchy, cycle: BlockVCycle, rng: np.random.Generator) -> Quality:
        """Measure a hierarchy (or its first levels) through its block V-cycle, with test vectors from rng."""
        ...


REWARDS: dict[str, type] = {
    "work_per_digit": WorkPerDigit,
    "energy_reduction": EnergyReduction,
    "pcg_iterations": PCGIterations,
    "hybrid": Hybrid,
}


def make_reward(config: RewardConfig) -> Reward:
    """The reward that the configuration names."""
    return REWARDS[config.name](config.vectors)
