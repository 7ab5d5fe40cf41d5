"""The loss: PPO on single decisions, with per-node values and an entropy that has a gradient."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from rllib_psparsity.config.schema import Config
from rllib_psparsity.policy.actions import make_actions
from rllib_psparsity.policy.batch import GraphBatch
from rllib_psparsity.policy.decision_batch import DecisionBatch
from rllib_psparsity.policy.network import PolicyOutput
from rllib_psparsity.training.advantages import Step


@dataclass(frozen=True, slots=True)
class StepBatch:
    """A minibatch of steps as tensors over the disjoint union of their graphs; not a dict, so RLlib leaves it whole.

    Attributes
    ----------
    graphs : GraphBatch of the G distinct graphs; decisions : DecisionBatch of the D steps
    unit_log_prob (U,), recipe_log_prob (D,), advantage (N_D,), recipe_advantage (D,), target (N_D,) : float32
    """

    graphs: GraphBatch
    decisions: DecisionBatch
    unit_log_prob: torch.Tensor
    recipe_log_prob: torch.Tensor
    advantage: torch.Tensor
    recipe_advantage: torch.Tensor
    target: torch.Tensor

    @classmethod
    def from_steps(cls, groups: Sequence[Sequence[Step]], device: torch.device | str | None = None) -> StepBatch:
        """From groups of steps that were taken on one graph each: the network sees a graph once."""
        graphs = [group[0].graph for group in groups]
        batch = GraphBatch.from_graphs(graphs, device)
        decisions = DecisionBatch.from_groups([[step.decision for step in group] for group in groups], graphs, batch)
        steps = [step for group in groups for step in group]

        def joined(arrays: Sequence[np.ndarray]) -> torch.Tensor:
            return torch.as_tensor(np.concatenate(arrays), dtype=torch.float32, device=device)

        def numbers(values: Sequence[float]) -> torch.Tensor:
            return torch.tensor(values, dtype=torch.float32, device=device)

        return cls(
            batch,
            decisions,
            joined([step.unit_log_prob for step in steps]),
            numbers([step.recipe_log_prob for step in steps]),
            joined([step.advantage for step in steps]),
            numbers([step.recipe_advantage for step in steps]),
            joined([step.target for step in steps]),
        )


def ppo_loss(
    output: PolicyOutput, batch: StepBatch, config: Config, entropy_coefficient: float, world_size: int = 1
) -> tuple[torch.Tensor, dict[str, float]]:
    """The loss of one minibatch, and the figures to log.

        L = - mean_u min(rho_u A_u, clip(rho_u) A_u)          edges (or rows) u
            - mean_g min(rho_g A_g, clip(rho_g) A_g)          recipes of decisions g
            + c_v mean_i (Q(i, m) - G(i))^2                   nodes i
            - c_e mean_u H_u - c_r mean_g H_g

    (Schulman et al. 2017, eq. 7 and 9.) Ratios are per decision: the joint probability of thousands of edges has no
    usable ratio. With ``entropy.detach`` the entropies lose their gradient: the predecessor's bug, for comparison.

    With several learners, means are over the union of their minibatches: counts are summed over the process group, and
    since DDP averages gradients, sums are scaled by the world size.
    """
    actions = make_actions(config.policy, output, batch.decisions)
    log_prob, entropy = actions.evaluate()
    unit_entropy, recipe_entropy = entropy.units, entropy.recipe
    if config.entropy.detach:
        unit_entropy, recipe_entropy = unit_entropy.detach(), recipe_entropy.detach()
    value = chosen_value(output, batch.decisions)

    unit_gain = _clipped(
        log_prob.units - batch.unit_log_prob, actions.unit_advantage(batch.advantage), config.training.clip
    )
    recipe_gain = _clipped(log_prob.recipe - batch.recipe_log_prob, batch.recipe_advantage, config.training.clip)
    counts = torch.tensor(
        [unit_gain.numel(), recipe_gain.numel(), value.numel()], dtype=torch.float64, device=value.device
    )
    if world_size > 1:
        torch.distributed.all_reduce(counts)
    units, graphs, nodes = (counts.clamp(min=1.0) / world_size).tolist()

    policy_loss = -unit_gain.sum() / units - recipe_gain.sum() / graphs
    value_loss = (value - batch.target).square().sum() / nodes
    edge_entropy, mean_recipe_entropy = unit_entropy.sum() / units, recipe_entropy.sum() / graphs
    loss = (
        policy_loss
        + config.training.value_coefficient * value_loss
        - entropy_coefficient * edge_entropy
        - config.training.recipe_entropy_coefficient * mean_recipe_entropy
    )
    with torch.no_grad():
        figures = {
            "policy_loss": policy_loss.item(),
            "value_loss": value_loss.item(),
            "entropy_edge": edge_entropy.item(),
            "entropy_recipe": mean_recipe_entropy.item(),
            "entropy_softmax_over_edges": actions.entropy_softmax_over_edges().mean().item(),
        }
    return loss, figures


def chosen_value(output: PolicyOutput, decisions: DecisionBatch) -> torch.Tensor:
    """Q(i, m) of every node for the recipe m that its decision chose, (N_D,)."""
    assert output.node_values is not None
    values = output.node_values if decisions.node is None else output.node_values.index_select(0, decisions.node)
    recipe = decisions.recipe[decisions.graphs.node_graph]
    return values.gather(1, recipe[:, None])[:, 0]


class _Clipped(torch.autograd.Function):
    """``min(rho A, clip(rho) A)`` for ratios rho given by their logarithms; its derivative is rho A where the first is
    the smaller, else 0. Written out because there is one ratio for every edge."""

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


def _clipped(log_ratio: torch.Tensor, advantage: torch.Tensor, clip: float) -> torch.Tensor:
    return _Clipped.apply(log_ratio, advantage, clip)  # type: ignore[no-any-return]
