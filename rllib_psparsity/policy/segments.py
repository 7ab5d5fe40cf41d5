"""Sums and softmaxes over groups of entries."""

from __future__ import annotations

import torch
from torch import Tensor

from rllib_psparsity.policy import inference

NEGATIVE = float(inference.NEGATIVE)
"""Stands for minus infinity in logits: its probability is zero in float32, and gradients stay finite."""


def segment_sum(values: Tensor, segment: Tensor, count: int) -> Tensor:
    """(count, ...) sum of the values of each segment."""
    return values.new_zeros((count, *values.shape[1:])).index_add(0, segment, values)


def segment_softmax(logits: Tensor, segment: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Log of the partition function and entropy in nats of one softmax over each segment, both (count,).

    An empty segment has `NEGATIVE` and 0.
    """
    peak = logits.new_full((count,), NEGATIVE).scatter_reduce(0, segment, logits.detach(), "amax")
    shifted = logits - peak.index_select(0, segment)
    weight = shifted.exp()
    total = segment_sum(weight, segment, count)
    moment = segment_sum(weight * shifted, segment, count)
    filled = total > 0
    log_total = torch.where(filled, total, 1.0).log()
    entropy = log_total - moment / torch.where(filled, total, 1.0)
    return torch.where(filled, peak + log_total, NEGATIVE), torch.where(filled, entropy, 0.0)
