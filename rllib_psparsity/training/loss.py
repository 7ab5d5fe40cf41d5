"""The loss: PPO on single decisions, with per-node values and an entropy that has a gradient."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from rllib_psparsity.config.schema import Config
from rllib_psparsity.policy.actions import DecisionBatch, entropy_softmax_over_edges, make_actions
from rllib_psparsity.policy.batch import GraphBatch
from rllib_psparsity.policy.network import PolicyOutput
from rllib_psparsity.training.advantages import Step


@dataclass(frozen=True, slots=True)
class StepBatch:
    """A minibatch of steps as tensors over the disjoint union of their graphs; not a dict, so RLlib leaves it whole.

    Attributes
    ----------
    graphs : GraphBatch of G graphs; decisions : DecisionBatch
    unit_log_prob (U,), recipe_log_prob (G,), advantage (N,), recipe_advantage (G,), target (N,) : float32
    """

    graphs: GraphBatch
    decisions: DecisionBatch
    unit_log_prob: torch.Tensor
    recipe_log_prob: torch.Tensor
    advantage: torch.Tensor
    recipe_advantage: torch.Tensor
    target: torch.Tensor

    @classmethod
    def from_steps(cls, steps: Sequence[Step], device: torch.device | str | None = None) -> StepBatch:
        graphs = GraphBatch.from_graphs([step.graph for step in steps], device)

        def joined(arrays: Sequence[np.ndarray]) -> torch.Tensor:
            return torch.as_tensor(np.concatenate(arrays), dtype=torch.float32, device=device)

        def numbers(values: Sequence[float]) -> torch.Tensor:
            return torch.tensor(values, dtype=torch.float32, device=device)

        return cls(
            graphs,
            DecisionBatch.from_decisions([step.decision for step in steps], graphs),
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
            - mean_g min(rho_g A_g, clip(rho_g) A_g)          recipes of graphs g
            + c_v mean_i (Q(i, m) - G(i))^2                   nodes i
            - c_e mean_u H_u - c_r mean_g H_g

    (Schulman et al. 2017, eq. 7 and 9.) Ratios are per decision: the joint probability of thousands of edges has no
    usable ratio. With ``entropy.detach`` the entropies lose their gradient: the predecessor's bug, for comparison.

    With several learners, means are over the union of their minibatches: counts are summed over the process group, and
    since DDP averages gradients, sums are scaled by the world size.
    """
    actions = make_actions(config.policy, output, batch.graphs)
    log_prob = actions.log_prob(batch.decisions)
    entropy = actions.entropy(batch.decisions)
    unit_entropy, recipe_entropy = entropy.units, entropy.recipe
    if config.entropy.detach:
        unit_entropy, recipe_entropy = unit_entropy.detach(), recipe_entropy.detach()
    value = chosen_value(output, batch)

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
            "entropy_softmax_over_edges": entropy_softmax_over_edges(output, batch.decisions, batch.graphs)
            .mean()
            .item(),
        }
    return loss, figures


def chosen_value(output: PolicyOutput, batch: StepBatch) -> torch.Tensor:
    """Q(i, m) of every node for the recipe m that its graph's decision chose, (N,)."""
    assert output.node_values is not None
    recipe = batch.decisions.recipe[batch.graphs.node_graph]
    return output.node_values.gather(1, recipe[:, None])[:, 0]


def _clipped(log_ratio: torch.Tensor, advantage: torch.Tensor, clip: float) -> torch.Tensor:
    ratio = log_ratio.exp()
    return torch.minimum(ratio * advantage, ratio.clamp(1.0 - clip, 1.0 + clip) * advantage)
