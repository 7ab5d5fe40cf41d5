"""The loss: an algorithm's gain of single decisions, with per-node values and an entropy that has a gradient."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from rllib_psparsity.config.schema import Config
from rllib_psparsity.policy.actions import make_actions
from rllib_psparsity.policy.batch import GraphBatch
from rllib_psparsity.policy.decision_batch import DecisionBatch
from rllib_psparsity.policy.network import PolicyOutput
from rllib_psparsity.training.advantages import Step
from rllib_psparsity.training.policy_gradient import policy_gain


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


def policy_loss(
    output: PolicyOutput,
    batch: StepBatch,
    config: Config,
    entropy_coefficient: float,
    world_size: int = 1,
    teacher_logits: torch.Tensor | None = None,
) -> tuple[torch.Tensor, dict[str, float]]:
    """The loss of one minibatch, and the figures to log.

        L = - w_e mean_u gain(p_u, A_u)            edges (or rows) u
            - w_r mean_g gain(p_g, A_g)            recipes of decisions g
            + c_v mean_i (Q(i, m) - G(i))^2        nodes i; no such term in REINFORCE
            - c_e H - c_r mean_g H_g
            + c_k mean_h [h is a finest level] KL(teacher_h || policy_h)        graphs h; with `teacher_logits` alone

    with `policy_gain` (Schulman et al. 2017, eq. 9) and H by ``entropy.form`` mean_u H_u, or the mean over decisions of
    the entropy of one softmax over all edges. Gains are per decision: the joint probability of thousands of edges has
    no usable ratio. With ``entropy.detach`` the entropies lose their gradient: the predecessor's bug, for comparison.

    The last term is kickstarting (Schmitt et al. 2018): `teacher_logits` (G, R) are those of the recipes by the
    policy that the run started from. On the finest level alone: below it, a teacher that learned from one recipe on all
    levels knows little, and most of what training gains is there.

    With several learners, means are over the union of their minibatches: counts are summed over the process group, and
    since DDP averages gradients, sums are scaled by the world size.
    """
    training, over_edges = config.training, config.entropy.form == "softmax_over_edges"
    actions = make_actions(config.policy, output, batch.decisions, training.likelihood)
    log_prob, entropy = actions.evaluate()
    value = chosen_value(output, batch.decisions)

    unit_advantage = actions.unit_advantage(batch.advantage)
    unit_gain = policy_gain(training, log_prob.units, batch.unit_log_prob, unit_advantage)
    recipe_gain = policy_gain(training, log_prob.recipe, batch.recipe_log_prob, batch.recipe_advantage)
    counts = torch.tensor(
        [unit_gain.numel(), recipe_gain.numel(), value.numel(), batch.graphs.num_graphs],
        dtype=torch.float64,
        device=value.device,
    )
    if world_size > 1:
        torch.distributed.all_reduce(counts)
    units, decisions, nodes, graphs = (counts.clamp(min=1.0) / world_size).tolist()

    negative_gain = (
        -training.edge_weight * unit_gain.sum() / units - training.recipe_weight * recipe_gain.sum() / decisions
    )
    value_loss = (value - batch.target).square().sum() / nodes
    edge_entropy, recipe_entropy = entropy.units.sum() / units, entropy.recipe.sum() / decisions
    with torch.set_grad_enabled(over_edges):  # of many edges, and most often only logged
        softmax_entropy = actions.entropy_softmax_over_edges().sum() / decisions
    bonus = softmax_entropy if over_edges else edge_entropy
    if config.entropy.detach:
        bonus, recipe_entropy = bonus.detach(), recipe_entropy.detach()
    # Zero times the value loss: its parameters then have a gradient, which several learners insist on.
    value_coefficient = 0.0 if training.algorithm == "reinforce" else training.value_coefficient
    loss = (
        negative_gain
        + value_coefficient * value_loss
        - entropy_coefficient * bonus
        - training.recipe_entropy_coefficient * recipe_entropy
    )
    figures = {
        "policy_loss": negative_gain.item(),
        "value_loss": value_loss.item(),
        "entropy_edge": edge_entropy.item(),
        "entropy_recipe": recipe_entropy.item(),
        "entropy_softmax_over_edges": softmax_entropy.item(),
        "entropy_bonus": bonus.item(),
    }
    if teacher_logits is not None:
        divergence = _divergence_on_finest(teacher_logits, output.recipe_logits, batch.graphs) / graphs
        loss = loss + training.kickstart_coefficient * divergence
        figures["kickstart_divergence"] = divergence.item()
    return loss, figures


def _divergence_on_finest(teacher_logits: torch.Tensor, logits: torch.Tensor, graphs: GraphBatch) -> torch.Tensor:
    """Sum of KL(teacher || policy) over the batch's finest levels."""
    teacher, policy = teacher_logits.log_softmax(1), logits.log_softmax(1)
    return ((teacher.exp() * (teacher - policy)).sum(1) * (graphs.level == 0)).sum()


def chosen_value(output: PolicyOutput, decisions: DecisionBatch) -> torch.Tensor:
    """Q(i, m) of every node for the recipe m that its decision chose, (N_D,)."""
    assert output.node_values is not None
    values = output.node_values if decisions.node is None else output.node_values.index_select(0, decisions.node)
    recipe = decisions.recipe[decisions.graphs.node_graph]
    return values.gather(1, recipe[:, None])[:, 0]
