"""The RLModule of an env runner: the policy is asked there, not trained, so it is held without torch."""

from __future__ import annotations

from typing import Any

import numpy as np
from ray.rllib.core.rl_module.rl_module import RLModule

from rllib_psparsity.config.schema import PolicyConfig
from rllib_psparsity.policy.inference import Inference, make_inference

GRAPHS = "graphs"
OUTPUT = "output"
NETWORK = "network."
"""What the learner's module puts before the names of the network's tensors."""


class WeightsMissing(RuntimeError):
    """A module was asked before it was given weights."""


class InferenceModule(RLModule):
    """The `Inference` of the weights that the learner sent last; it has none before the first ones arrive.

    A batch is ``{"graphs": sequence of LevelGraph}`` and its result ``{"output": NetworkLogits}``. ``model_config``
    holds the dumped `PolicyConfig` under ``policy``. Its state is that of the learner's `SparsifierModule`.
    """

    def setup(self) -> None:
        model_config: Any = self.model_config
        self.policy_config = PolicyConfig.model_validate(model_config["policy"])
        self._inference: Inference | None = None

    @property
    def inference(self) -> Inference:
        if self._inference is None:
            raise WeightsMissing("an env runner was asked for decisions before it was given weights")
        return self._inference

    def _forward(self, batch: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
        return {OUTPUT: self.inference.logits(batch[GRAPHS])}

    def get_state(self, components: Any = None, **kwargs: Any) -> dict[str, np.ndarray]:
        return {} if self._inference is None else {NETWORK + k: v for k, v in self._inference.weights().items()}

    def set_state(self, state: dict[str, np.ndarray]) -> None:
        # Copies: what arrives is the learner's own memory in the same process, and the object store's from another.
        weights = {name.removeprefix(NETWORK): np.array(array) for name, array in state.items()}
        self._inference = make_inference(self.policy_config, weights) if weights else None
