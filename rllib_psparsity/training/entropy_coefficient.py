"""The weight of the entropy in the objective: fixed, or found for a target entropy."""

from __future__ import annotations

import math
from typing import Any

from rllib_psparsity.config.schema import Config


class EntropyCoefficient:
    """The weight alpha that holds the entropy H of the policy at a target T (Haarnoja et al. 2018b, section 5).

    It minimises J(alpha) = alpha (H - T) by steps on log alpha, along the gradient without its factor alpha, which
    would hold a small weight where it is:

        log alpha <- log alpha + rate (T - H)

    It rises while the policy is too sure of itself and falls while it is not sure enough. Without a target it stays.
    Its state, log alpha, is part of the learner's checkpoint.
    """

    def __init__(self, config: Config) -> None:
        self._fixed = config.training.entropy_coefficient
        self._target, self._rate = config.entropy.target, config.entropy.rate
        self._log = None if self._target is None else math.log(self._fixed)

    @property
    def value(self) -> float:
        return self._fixed if self._log is None else math.exp(self._log)

    def update(self, entropy: float) -> None:
        """After a step of the policy, whose entropy was `entropy` nats; one that is not finite is passed over."""
        if self._log is not None and self._target is not None and math.isfinite(entropy):
            self._log += self._rate * (self._target - entropy)

    def get_state(self) -> dict[str, Any]:
        return {"log": self._log}

    def set_state(self, state: dict[str, Any]) -> None:
        self._log = state["log"]
