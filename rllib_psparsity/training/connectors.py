"""The learner's connector: from episodes to steps with advantages."""

from __future__ import annotations

from collections import defaultdict
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
from rllib_psparsity.training.rollouts import by_graph, problem_of
from rllib_psparsity.training.runner_connectors import (
    NODE_VALUES,
    RECIPE_CHANCE,
    RECIPE_LOG_PROB,
    UNIT_LOG_PROB,
    objects,
)

STEPS = "steps"


class HierarchicalGAE(ConnectorV2):
    """Learner: whole episodes to an object column of groups of `Step`s with advantages and value targets.

    The steps of a group were taken on the same graph (`by_graph`), so the network sees a graph once, however many
    rollouts decided on it.
    """

    def __init__(self, config: Config, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.config = config

    def __call__(self, *, episodes: list[SingleAgentEpisode], metrics: Any = None, **kwargs: Any) -> dict[str, Any]:
        steps_of = [self._steps(episode) for episode in episodes]
        groups = by_graph(episodes, steps_of, self.config.training.rollouts_per_problem)
        for episode, of_episode in zip(episodes, steps_of, strict=True):
            infos = episode.get_infos()
            outcomes = [LevelOutcome(info["credit"], info["aggregates"]) for info in infos[1:]]
            Q = episode.get_extra_model_outputs(NODE_VALUES)
            V = [q @ chance for q, chance in zip(Q, episode.get_extra_model_outputs(RECIPE_CHANCE), strict=True)]
            returns = hierarchical_returns(outcomes, V, self.config.training.gamma, self.config.training.lambda_)
            to_go = rewards_to_go(outcomes, self.config.training.gamma)
            for step, G, v, q, rest in zip(of_episode, returns, V, Q, to_go, strict=True):
                chosen = q[:, step.decision.recipe]
                step.target = G.astype(np.float32)
                step.advantage = (G - chosen).astype(np.float32)
                step.reward_to_go = rest
                step.recipe_advantage = rest - float(v.mean())
        self._compare_siblings(episodes, steps_of)
        self._normalise([step for of_episode in steps_of for step in of_episode], metrics)
        return {DEFAULT_MODULE_ID: {STEPS: objects(groups)}}

    @staticmethod
    def _steps(episode: SingleAgentEpisode) -> list[Step]:
        graphs, decisions = episode.get_observations(), episode.get_actions()
        units = episode.get_extra_model_outputs(UNIT_LOG_PROB)
        recipes = episode.get_extra_model_outputs(RECIPE_LOG_PROB)
        return [Step(graphs[t], decisions[t], units[t], float(recipes[t])) for t in range(len(episode))]

    def _compare_siblings(self, episodes: list[SingleAgentEpisode], steps_of: list[list[Step]]) -> None:
        """Where several episodes built hierarchies for the same problem, the others are a recipe's baseline.

        Leave-one-out (Kool, van Hoof and Welling 2019): the mean return of the siblings' steps on the same level. It
        holds exactly what makes a problem easy or hard, which the value head has to learn.
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

    @staticmethod
    def _normalise(steps: list[Step], metrics: Any) -> None:
        """Advantages to mean zero and deviation one over the batch, over all learners' batches if there are several."""
        advantages = [step.advantage for step in steps]
        sums = np.stack(
            [
                moments(advantages),
                moments([np.array([step.recipe_advantage for step in steps])]),
                moments([step.target for step in steps]),
            ]
        )
        if torch.distributed.is_initialized():
            shared = torch.from_numpy(sums)
            torch.distributed.all_reduce(shared)
            sums = shared.numpy()
        (mean, std), (recipe_mean, recipe_std), (_, target_std) = (mean_and_std(row) for row in sums)
        for step in steps:
            step.advantage = (step.advantage - np.float32(mean)) / np.float32(max(std, 1e-4))
            step.recipe_advantage = (step.recipe_advantage - recipe_mean) / max(recipe_std, 1e-4)
        if metrics is not None:
            # The advantage before normalisation is the value's residual.
            explained = 1.0 - std**2 / target_std**2 if target_std > 0 else float("nan")
            figures = {"advantage_std": std, "recipe_advantage_std": recipe_std, "explained_variance": explained}
            metrics.log_dict(figures, key=DEFAULT_MODULE_ID, window=1)
