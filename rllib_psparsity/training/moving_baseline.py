"""REINFORCE's baseline: exponential moving averages of the rewards to go, as the predecessor had it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from ray.rllib.env.single_agent_episode import SingleAgentEpisode

from rllib_psparsity.config.schema import BaselineConfig
from rllib_psparsity.training.advantages import rewards_to_go
from rllib_psparsity.training.rollouts import outcomes_of

BASELINE, ADVANTAGE = "baseline", "advantage"
"""Keys of a step's info: the mean before the step, and the step's one advantage."""


@dataclass(slots=True)
class _Average:
    """Of the rewards to go from one level on."""

    mean: float = 0.0
    variance: float = 1.0
    updates: int = 0

    def advantage(self, G: float, config: BaselineConfig) -> float:
        """Of a step with the reward to go G, before the average knows it; then it does."""
        if self.updates == 0:
            self.mean = G
        deviation = G - self.mean
        self.mean = config.momentum * self.mean + (1 - config.momentum) * G
        self.variance = config.variance_momentum * self.variance + (1 - config.variance_momentum) * deviation**2
        self.updates += 1
        normalised = config.normalise and self.updates > config.warm_up
        return float(deviation / np.sqrt(self.variance + 1e-8)) if normalised else deviation


class MovingBaseline:
    """Judges every level of an episode by one number, its reward to go less a moving average of such.

    Each level has an average of its own: with one for all, the level above would have moved the average by the same
    rewards that the level below is judged by. With two levels, where an episode is one decision, it is the
    predecessor's. Exact with any number of learners, since episodes are judged before they are shared out. The
    averages are part of the checkpoint.
    """

    def __init__(self, config: BaselineConfig, gamma: float) -> None:
        self._config, self._gamma = config, gamma
        self._levels: list[_Average] = []

    def __call__(self, episodes: Sequence[SingleAgentEpisode]) -> None:
        """Write baseline and advantage of every step into its info, episode by episode in the order of their index."""
        for episode in sorted(episodes, key=lambda episode: int(episode.id_)):
            to_go = rewards_to_go(outcomes_of(episode), self._gamma)
            self._levels += [_Average() for _ in range(len(to_go) - len(self._levels))]
            for info, average, G in zip(episode.get_infos()[1:], self._levels, to_go, strict=False):
                info[BASELINE] = average.mean if average.updates else G
                info[ADVANTAGE] = average.advantage(G, self._config)

    def get_state(self) -> dict[str, Any]:
        return {"levels": [asdict(average) for average in self._levels]}

    def set_state(self, state: dict[str, Any]) -> None:
        self._levels = [_Average(**average) for average in state["levels"]]
