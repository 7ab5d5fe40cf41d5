"""The policy-gradient term of each algorithm: what a decision gains by its advantage."""

from __future__ import annotations

import torch

from rllib_psparsity.config.schema import TrainingConfig
from rllib_psparsity.training.clipped_ratio import clipped_gain


def policy_gain(
    config: TrainingConfig, log_prob: torch.Tensor, old_log_prob: torch.Tensor, advantage: torch.Tensor
) -> torch.Tensor:
    """(U,) gains of decisions, with gradient, from their log-probabilities now and when they were drawn.

    `a2c` and `reinforce` differ in the advantage alone: both gain log p times A (Mnih et al. 2016, section 4;
    Williams 1992), which at a ratio of one has the gradient of PPO's.
    """
    if config.algorithm == "ppo":
        return clipped_gain(log_prob - old_log_prob, advantage, config.clip)
    return log_prob * advantage
