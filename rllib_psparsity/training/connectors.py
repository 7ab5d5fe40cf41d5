"""The learner's connector: from episodes to steps with advantages."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from ray.rllib.connectors.connector_v2 import ConnectorV2
from ray.rllib.core import DEFAULT_MODULE_ID
from ray.rllib.env.single_agent_episode import SingleAgentEpisode

from rllib_psparsity.config.schema import Config
from rllib_psparsity.training.advantages import (
    LevelOutcome,
    Step,
    hierarchical_returns,
    mean_and_std,
    moments,
    rewards_to_go,
)
from rllib_psparsity.training.rollouts import by_graph, outcomes_of, problem_of
from rllib_psparsity.training.runner_connectors import (
    NODE_VALUES,
    RECIPE_CHANCE,
    RECIPE_LOG_PROB,
    UNIT_LOG_PROB,
    objects,
)

STEPS = "steps"


class EpisodesToSteps(ConnectorV2, ABC):
    """Learner: whole episodes to an object column of groups of `Step`s with advantages and value targets.

    The steps of a group were taken on the same graph (`by_graph`), so the network sees a graph once, however many
    rollouts decided on it.

    Parameters
    ----------
    config : the run's configuration
    device : of the learner, where tensors have to be that learners share
    """

    def __init__(self, config: Config, device: torch.device | str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.config, self.device = config, device

    def __call__(self, *, episodes: list[SingleAgentEpisode], metrics: Any = None, **kwargs: Any) -> dict[str, Any]:
        steps_of = [self._steps(episode) for episode in episodes]
        groups = by_graph(episodes, steps_of, self.config.training.rollouts_per_problem)
        figures = self._judge(episodes, steps_of)
        if metrics is not None:
            metrics.log_dict(figures, key=DEFAULT_MODULE_ID, window=1)
        return {DEFAULT_MODULE_ID: {STEPS: objects(groups)}}

    @abstractmethod
    def _judge(self, episodes: Sequence[SingleAgentEpisode], steps_of: Sequence[Sequence[Step]]) -> dict[str, float]:
        """Fill in the steps' advantages, rewards to go and value targets; returns the figures to log."""

    @staticmethod
    def _steps(episode: SingleAgentEpisode) -> list[Step]:
        graphs, decisions = episode.get_observations(), episode.get_actions()
        units = episode.get_extra_model_outputs(UNIT_LOG_PROB)
        recipes = episode.get_extra_model_outputs(RECIPE_LOG_PROB)
        return [Step(graphs[t], decisions[t], units[t], float(recipes[t])) for t in range(len(episode))]


class HierarchicalGAE(EpisodesToSteps):
    """Advantages by the value head, node by node; see `training.advantages`."""

    def _judge(self, episodes: Sequence[SingleAgentEpisode], steps_of: Sequence[Sequence[Step]]) -> dict[str, float]:
        gamma, lambda_ = self.config.training.gamma, self.config.training.lambda_
        all_outcomes = [outcomes_of(episode) for episode in episodes]
        mean, std = self._scale(all_outcomes)
        for episode, of_episode, outcomes in zip(episodes, steps_of, all_outcomes, strict=True):
            Q = [mean + std * q for q in episode.get_extra_model_outputs(NODE_VALUES)]
            V = [q @ chance for q, chance in zip(Q, episode.get_extra_model_outputs(RECIPE_CHANCE), strict=True)]
            returns = hierarchical_returns(outcomes, V, gamma, lambda_)
            to_go = rewards_to_go(outcomes, gamma)
            for step, G, v, q, rest in zip(of_episode, returns, V, Q, to_go, strict=True):
                chosen = q[:, step.decision.recipe]
                step.target = ((G - mean) / std).astype(np.float32)
                step.advantage = (G - chosen).astype(np.float32)
                step.reward_to_go = rest
                step.recipe_advantage = rest - float(v.mean())
        steps = [step for of_episode in steps_of for step in of_episode]
        residuals = [step.advantage for step in steps]
        self._compare_siblings(episodes, steps_of)
        return self._normalise(steps, residuals, std)

    def _scale(self, all_outcomes: Sequence[Sequence[LevelOutcome]]) -> tuple[float, float]:
        """Mean and deviation of the returns without a bootstrap: the network's values count from there."""
        gamma = self.config.training.gamma
        returns = [G for outcomes in all_outcomes for G in hierarchical_returns(outcomes, None, gamma, 1.0)]
        ((mean, std),) = moments_over_learners([returns], self.device)
        return mean, max(std, 1e-4)

    def _compare_siblings(self, episodes: Sequence[SingleAgentEpisode], steps_of: Sequence[Sequence[Step]]) -> None:
        """Where several episodes built hierarchies for the same problem, the others are a recipe's baseline.

        Leave-one-out (Kool, van Hoof and Welling 2019): the mean return of the siblings' steps on the same level. It
        holds exactly what makes a problem easy or hard, which the value head has to learn. With `sibling_baseline` the
        masks are compared too: what the values are wrong by, on the mean over the siblings' nodes, is taken out.
        """
        siblings: dict[tuple[int, int], list[Step]] = defaultdict(list)
        for episode, steps in zip(episodes, steps_of, strict=True):
            problem = problem_of(episode, self.config.training.rollouts_per_problem)
            for level, step in enumerate(steps):
                siblings[problem, level].append(step)
        for group in siblings.values():
            if len(group) > 1:
                returns = np.array([step.reward_to_go for step in group])
                baselines = (returns.sum() - returns) / (len(group) - 1)
                for step, advantage in zip(group, returns - baselines, strict=True):
                    step.recipe_advantage = float(advantage)
                if self.config.training.sibling_baseline:
                    residuals = np.array([step.advantage.mean(dtype=np.float64) for step in group])
                    baselines = (residuals.sum() - residuals) / (len(group) - 1)
                    for step, baseline in zip(group, baselines, strict=True):
                        step.advantage = step.advantage - np.float32(baseline)

    def _normalise(self, steps: list[Step], residuals: list[np.ndarray], scale: float) -> dict[str, float]:
        """Advantages to mean zero and deviation one over the batch, where they are to be.

        Returns the figures, of the advantages as they were before; targets are in units of `scale`, and `residuals` are
        what the values leave of the returns.
        """
        (mean, std), (recipe_mean, recipe_std), (_, residual_std), (_, target_std) = moments_over_learners(
            [
                [step.advantage for step in steps],
                [np.array([step.recipe_advantage for step in steps])],
                residuals,
                [step.target for step in steps],
            ],
            self.device,
        )
        if self.config.training.normalise_advantages:
            for step in steps:
                step.advantage = (step.advantage - np.float32(mean)) / np.float32(max(std, 1e-4))
                step.recipe_advantage = (step.recipe_advantage - recipe_mean) / max(recipe_std, 1e-4)
        target_std *= scale
        explained = 1.0 - residual_std**2 / target_std**2 if target_std > 0 else float("nan")
        return {"advantage_std": std, "recipe_advantage_std": recipe_std, "explained_variance": explained}


def moments_over_learners(
    quantities: Sequence[Sequence[np.ndarray]], device: torch.device | str | None
) -> list[tuple[float, float]]:
    """Mean and deviation of each quantity over its arrays, over those of all learners if there are several.

    NCCL, which learners on GPUs have, sums up nothing that lies elsewhere: `device` is the learner's.
    """
    sums = np.stack([moments(arrays) for arrays in quantities])
    if torch.distributed.is_initialized() and torch.distributed.get_world_size() > 1:
        shared = torch.as_tensor(sums, device=device)
        torch.distributed.all_reduce(shared)
        sums = shared.cpu().numpy()
    return [mean_and_std(row) for row in sums]
