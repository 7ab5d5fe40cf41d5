"""REINFORCE's learner connector: one number for all that was decided on a level."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from ray.rllib.env.single_agent_episode import SingleAgentEpisode

from rllib_psparsity.training.advantages import Step, rewards_to_go
from rllib_psparsity.training.connectors import EpisodesToSteps, moments_over_learners
from rllib_psparsity.training.moving_baseline import ADVANTAGE, BASELINE
from rllib_psparsity.training.rollouts import outcomes_of


class ScalarCredit(EpisodesToSteps):
    """Every node and the recipe of a step have the advantage that `MovingBaseline` found.

    The explained variance is that of the rewards to go by the baseline.
    """

    def _judge(self, episodes: Sequence[SingleAgentEpisode], steps_of: Sequence[Sequence[Step]]) -> dict[str, float]:
        residuals, returns = [], []
        for episode, steps in zip(episodes, steps_of, strict=True):
            to_go = rewards_to_go(outcomes_of(episode), self.config.training.gamma)
            for step, info, G in zip(steps, episode.get_infos()[1:], to_go, strict=True):
                step.reward_to_go = G
                step.recipe_advantage = info[ADVANTAGE]
                step.advantage = np.full(step.graph.num_nodes, info[ADVANTAGE], dtype=np.float32)
                step.target = np.full(step.graph.num_nodes, G, dtype=np.float32)
                residuals.append(G - info[BASELINE])
                returns.append(G)
        (_, std), (_, return_std) = moments_over_learners([[np.array(residuals)], [np.array(returns)]], self.device)
        explained = 1.0 - std**2 / return_std**2 if return_std > 0 else float("nan")
        return {"advantage_std": std, "recipe_advantage_std": std, "explained_variance": explained}
