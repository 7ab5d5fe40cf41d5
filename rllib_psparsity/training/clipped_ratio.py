"""PPO's gain of a decision: its clipped probability ratio times its advantage."""

from __future__ import annotations

from typing import Any

import torch


def clipped_gain(log_ratio: torch.Tensor, advantage: torch.Tensor, clip: float) -> torch.Tensor:
    """``min(rho A, clip(rho) A)`` of decisions whose ratios rho are given by their logarithms.

    (Schulman et al. 2017, eq. 7.)
    """
    return _Clipped.apply(log_ratio, advantage, clip)  # type: ignore[no-any-return]


class _Clipped(torch.autograd.Function):
    """The derivative is rho A where the first of the two is the smaller, else 0. Written out because there is one
    ratio for every edge."""

    @staticmethod
    def forward(ctx: Any, log_ratio: torch.Tensor, advantage: torch.Tensor, clip: float) -> torch.Tensor:
        ratio = log_ratio.exp()
        clipped = ratio.clamp(1.0 - clip, 1.0 + clip).mul_(advantage)
        gain = ratio.mul_(advantage)
        ctx.save_for_backward(gain, clipped)
        return torch.minimum(gain, clipped)

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        gain, clipped = ctx.saved_tensors
        return torch.where(gain <= clipped, gain, 0.0).mul_(grads[0]), None, None
