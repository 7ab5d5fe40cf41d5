"""An env runner's connectors: graphs to the module, decisions to the environment."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from ray.rllib.connectors.connector_v2 import ConnectorV2
from ray.rllib.core.columns import Columns
from ray.rllib.env.single_agent_episode import SingleAgentEpisode
from scipy.special import softmax

from rllib_psparsity.config.schema import Config
from rllib_psparsity.policy.choice import mode, sample
from rllib_psparsity.policy.inference import NetworkLogits
from rllib_psparsity.training.inference_module import GRAPHS, OUTPUT

UNIT_LOG_PROB = "unit_log_prob"
RECIPE_LOG_PROB = "recipe_log_prob"
RECIPE_CHANCE = "recipe_chance"
NODE_VALUES = "node_values"
RNGS = "rngs"


def objects(items: Sequence[Any]) -> np.ndarray:
    """A one-dimensional object array, which numpy would otherwise try to make a matrix of."""
    array = np.empty(len(items), dtype=object)
    array[:] = items
    return array


class GraphsToModule(ConnectorV2):
    """Environment to module: the newest graph of every episode."""

    def __call__(self, *, batch: dict[str, Any], episodes: list[SingleAgentEpisode], **kwargs: Any) -> dict[str, Any]:
        return batch | {GRAPHS: [episode.get_observations(-1) for episode in episodes]}


class DecisionsToEnv(ConnectorV2):
    """Module to environment: samples (or takes the mode), with the log-probabilities under which it sampled.

    The values of the nodes go with them: several runners compute them faster than the learner, which has the same
    weights then.

    ``shared_data["rngs"]`` holds a random generator per episode, so that an episode's draws depend on its index alone.
    """

    def __init__(self, config: Config, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.config = config

    def __call__(
        self, *, batch: dict[str, Any], explore: bool | None = None, shared_data: dict | None = None, **kwargs: Any
    ) -> dict[str, Any]:
        logits: NetworkLogits = batch[OUTPUT]
        policy, sets = self.config.policy, self.config.training.likelihood == "set"
        choice = sample(policy, logits, (shared_data or {})[RNGS]) if explore else mode(policy, logits)
        return {
            Columns.ACTIONS: objects(choice.decisions),
            UNIT_LOG_PROB: objects(choice.unit_log_prob(sets)),
            RECIPE_LOG_PROB: choice.recipe_log_prob(),
            RECIPE_CHANCE: softmax(logits.recipe_logits, axis=1),
            NODE_VALUES: objects(logits.node_values()),
        }
