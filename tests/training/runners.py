"""An env runner in this process, and ways to compare the episodes that runners sample."""

from __future__ import annotations

import numpy as np
from ray.rllib.env.single_agent_episode import SingleAgentEpisode

from rllib_psparsity.config.schema import Config
from rllib_psparsity.policy.inference import inference_of
from rllib_psparsity.policy.network import SparsifierPolicy, untrained_network
from rllib_psparsity.training.algorithm_config import SparsifyPPOConfig
from rllib_psparsity.training.env_runner import SparsifyEnvRunner
from rllib_psparsity.training.inference_module import NETWORK


def local_runner(config: Config, network: SparsifierPolicy | None = None) -> SparsifyEnvRunner:
    """With the weights of `network`, or else those that a run starts from."""
    runner = SparsifyEnvRunner(config=SparsifyPPOConfig().apply_run(config))
    weights = inference_of(network or untrained_network(config.policy, config.seed)).weights()
    runner.take_weights({NETWORK + name: array for name, array in weights.items()})
    return runner


def same_episode(a: SingleAgentEpisode, b: SingleAgentEpisode) -> bool:
    """The same rewards to the last bit, the same decisions, credits and log-probabilities."""
    return (
        a.id_ == b.id_
        and len(a) == len(b)
        and np.array_equal(a.get_rewards(), b.get_rewards())
        and all(
            x.recipe == y.recipe and np.array_equal(x.edge_is_strong, y.edge_is_strong)
            for x, y in zip(a.get_actions(), b.get_actions(), strict=True)
        )
        and all(
            np.array_equal(x[key], y[key])
            for x, y in zip(a.get_infos()[1:], b.get_infos()[1:], strict=True)
            for key in ("credit", "aggregates")
        )
        and all(
            np.array_equal(x, y)
            for key in ("unit_log_prob", "recipe_log_prob")
            for x, y in zip(a.get_extra_model_outputs(key), b.get_extra_model_outputs(key), strict=True)
        )
    )
