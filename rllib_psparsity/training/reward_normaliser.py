"""Rewards divided by their running standard deviation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from ray.rllib.env.single_agent_episode import SingleAgentEpisode

MOMENTUM = 0.99


class RewardNormaliser:
    """Scales every credit by the running deviation of the levels' rewards.

    The mean stays: taking it out would pay for longer episodes. The deviation is an exponential mean over iterations,
    the first one setting it, and is part of the checkpoint.
    """

    def __init__(self) -> None:
        self.variance: float | None = None

    def __call__(self, episodes: Sequence[SingleAgentEpisode]) -> None:
        """Update the deviation with the episodes' rewards, then scale their credits in place."""
        variance = float(np.var(np.concatenate([episode.get_rewards() for episode in episodes])))
        self.variance = variance if self.variance is None else MOMENTUM * self.variance + (1 - MOMENTUM) * variance
        scale = np.float32(1.0 / max(np.sqrt(self.variance), 1e-6))
        for episode in episodes:
            for info in episode.get_infos()[1:]:
                info["credit"] = info["credit"] * scale  # a new array: those from the object store are read-only

    def get_state(self) -> dict[str, Any]:
        return {"variance": self.variance}

    def set_state(self, state: dict[str, Any]) -> None:
        self.variance = state["variance"]
