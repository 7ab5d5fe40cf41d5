"""A linear layer that sees its inputs standardised, by statistics that do not change.

Where inputs differ little from one problem to the next, a layer's results do too, and what a minibatch teaches about
the difference is small beside its noise. The right direction on the document's problems follows from such inputs: with
all problems in one update it is learned without this layer too (studies/EXPERIMENTS.md).
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

LEAST_DEVIATION = 0.05
"""Inputs that differ less are not blown up further: on other problems they may differ more."""


class StandardisedLinear(nn.Linear):
    """``W ((x - mean) / deviation) + b``; takes the parameters of `linear` over. Mean 0 and deviation 1 until given.

    The statistics are buffers: they are saved and sent with the weights.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__(linear.in_features, linear.out_features, device="meta")  # draws no random numbers
        self.weight, self.bias = linear.weight, linear.bias
        self.register_buffer("mean", torch.zeros(linear.in_features))
        self.register_buffer("deviation", torch.ones(linear.in_features))

    def forward(self, input: Tensor) -> Tensor:
        return F.linear(input, *folded(self))


def folded(linear: nn.Linear) -> tuple[Tensor, Tensor]:
    """Weight and bias for inputs as they are, of a layer that may or may not standardise them."""
    if not isinstance(linear, StandardisedLinear):
        return linear.weight, linear.bias
    weight = linear.weight / linear.deviation
    return weight, linear.bias - weight @ linear.mean


def statistics(inputs: Iterable[np.ndarray]) -> dict[str, np.ndarray]:
    """`mean` and `deviation` (F,) float32 of the columns of arrays (N, F), each array counting as much as another."""
    parts = [part.astype(np.float64) for part in inputs]
    mean = np.mean([part.mean(axis=0) for part in parts], axis=0)
    square = np.mean([np.square(part - mean).mean(axis=0) for part in parts], axis=0)
    deviation = np.maximum(np.sqrt(square), LEAST_DEVIATION)
    return {"mean": mean.astype(np.float32), "deviation": deviation.astype(np.float32)}
