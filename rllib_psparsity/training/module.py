"""The RLModule that hosts the policy network in a learner; env runners have an `InferenceModule`."""

from __future__ import annotations

from typing import Any

import torch
from ray.rllib.core.rl_module.apis.value_function_api import ValueFunctionAPI
from ray.rllib.core.rl_module.torch.torch_rl_module import TorchRLModule

from rllib_psparsity.config.schema import PolicyConfig
from rllib_psparsity.policy.batch import GraphBatch
from rllib_psparsity.policy.network import SparsifierPolicy
from rllib_psparsity.training.inference_module import GRAPHS, OUTPUT


class SparsifierModule(TorchRLModule, ValueFunctionAPI):
    """A thin shell: batches are ``{"graphs": GraphBatch}`` and results ``{"output": PolicyOutput}``.

    ``model_config`` holds the dumped `PolicyConfig` under ``policy`` and the ``seed`` of the initial weights.
    """

    def setup(self) -> None:
        self.policy_config = PolicyConfig.model_validate(self.model_config["policy"])
        # Weights depend on the run's seed alone, not on what the process has drawn before.
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.model_config["seed"])
            self.network = SparsifierPolicy(self.policy_config)

    def _forward_train(self, batch: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
        return {OUTPUT: self.network(batch[GRAPHS], with_value=True)}

    def compute_values(self, batch: dict[str, Any], embeddings: Any = None) -> torch.Tensor:
        """Q (N, R): the value of every node for every recipe."""
        graphs: GraphBatch = batch[GRAPHS]
        return self.network.values(graphs)
