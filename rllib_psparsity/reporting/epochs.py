"""What a run gained: from its first epoch to its end."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

LOG_WORK_REWARDS = ("work_per_digit", "pcg_iterations")
"""Rewards that are minus the logarithm of the work per digit."""
NOMINAL_PROBLEMS = 150
"""Problems of an epoch where every episode draws a new one."""


def episodes_of_an_epoch(config: Mapping[str, Any]) -> int:
    """Episodes in a pass over the training problems, each with all its rollouts."""
    problems = config["problems"]["training_problems"] or NOMINAL_PROBLEMS
    return problems * config["training"]["rollouts_per_problem"]


def epoch_iterations(rows: Sequence[Mapping[str, Any]], config: Mapping[str, Any]) -> int:
    """How many of the first iterations make the first whole pass over the training problems, rounded up.

    Episodes are numbered through, so an iteration of fewer episodes than an epoch has sees a part of the problems.
    """
    count = episodes_of_an_epoch(config)
    return next((k for k, row in enumerate(rows, 1) if row["episodes"] >= count), len(rows))


def ends(rows: Sequence[Mapping[str, Any]], config: Mapping[str, Any]) -> tuple[Sequence[Any], Sequence[Any]]:
    """The rows of the first epoch, and those of the last tenth of the iterations, or of the last epoch where that is
    longer, so that both ends see all problems."""
    epoch = epoch_iterations(rows, config)
    return rows[:epoch], rows[-max(epoch, math.ceil(len(rows) / 10)) :]


def gain(first: float, last: float, reward: str) -> float:
    """What training gained, in a unit that means something for the reward.

    A reward that is minus the log of the work per digit is negative or near zero, so no percentage of it says anything:
    its gain is the share of the work saved, 1 - exp(first - last). Otherwise it is (last - first) / |first|, which is
    for rewards well away from zero, as `energy_reduction` is.
    """
    if reward in LOG_WORK_REWARDS:
        return 1.0 - math.exp(first - last)
    return (last - first) / abs(first) if first else math.nan
