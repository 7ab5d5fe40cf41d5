"""Log-probability and entropy of decisions, with gradient; they are chosen in `policy.choice`.

The probability of a decision is that of its recipe times that of many small independent units given the recipe: one
per edge (`EdgeDecisions`) or one per row (`TopKRows`). Their joint log-probability grows with the graph, so nothing
here ever adds units up: PPO's ratios are per unit.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from rllib_psparsity.config.schema import PolicyConfig
from rllib_psparsity.errors import InputError
from rllib_psparsity.policy.decision_batch import DecisionBatch
from rllib_psparsity.policy.network import PolicyOutput
from rllib_psparsity.policy.row_sets import set_log_prob
from rllib_psparsity.policy.segments import NEGATIVE, segment_softmax


@dataclass(frozen=True, slots=True)
class LogProb:
    """Log-probabilities of decisions, with gradient: `units` (U,) given the recipes, and `recipe` (D,)."""

    units: Tensor
    recipe: Tensor


@dataclass(frozen=True, slots=True)
class Entropy:
    """Entropies in nats, with gradient: `units` (U,) given the recipes, and `recipe` (D,)."""

    units: Tensor
    recipe: Tensor


class Actions(ABC):
    """The distribution of D decisions, given what the network says of their graphs; U units in all.

    `logits` (E_D,) are those of every decision's edges for the recipe that it chose.
    """

    def __init__(self, output: PolicyOutput, decisions: DecisionBatch) -> None:
        self.decisions = decisions
        self.graphs = decisions.graphs
        chosen = decisions.recipe[self.graphs.edge_graph]
        if decisions.edge is not None:
            chosen = chosen + decisions.edge * output.edge_logits.shape[1]
            self.logits = output.edge_logits.flatten().index_select(0, chosen)
        else:
            self.logits = output.edge_logits.gather(1, chosen[:, None]).squeeze(1)
        recipe_logits = output.recipe_logits
        self.recipe_logits = recipe_logits if decisions.graph is None else recipe_logits[decisions.graph]

    @property
    @abstractmethod
    def unit_graph(self) -> Tensor:
        """(U,) int64, the decision that each unit belongs to."""

    @abstractmethod
    def unit_advantage(self, node_advantage: Tensor) -> Tensor:
        """(U,) advantage of each unit from that of the nodes (N_D,)."""

    @abstractmethod
    def _units(self) -> tuple[Tensor, Tensor]:
        """(U,) log-probabilities and (U,) entropies of the units."""

    def evaluate(self) -> tuple[LogProb, Entropy]:
        """Log-probabilities of the decisions, and the entropies of the distributions that they came from."""
        log_prob, entropy = self._units()
        log_p = self.recipe_logits.log_softmax(1)
        chosen = log_p.gather(1, self.decisions.recipe[:, None]).squeeze(1)
        return LogProb(log_prob, chosen), Entropy(entropy, -(log_p.exp() * log_p).sum(1))

    def entropy_softmax_over_edges(self) -> Tensor:
        """(D,) nats of one softmax over all edges of a graph, for the decided recipe: the triage document's entropy.

        ln E for equal logits and 0 without edges. No decision is ever drawn from this softmax: it is logged, and it is
        the bonus where ``entropy.form`` says so. It has a gradient, and it knows nothing of `action`.
        """
        return segment_softmax(self.logits, self.graphs.edge_graph, self.graphs.num_graphs)[1]


class EdgeDecisions(Actions):
    """Every edge is strong or not, independently given the recipe (Bernoulli). Units are edges."""

    @property
    def unit_graph(self) -> Tensor:
        return self.graphs.edge_graph

    def unit_advantage(self, node_advantage: Tensor) -> Tensor:
        """The mean of both ends."""
        return node_advantage[self.graphs.edge_index].mean(0)

    def _units(self) -> tuple[Tensor, Tensor]:
        return _Bernoulli.apply(self.logits, self.decisions.edge_is_strong)  # type: ignore[no-any-return]


class _Bernoulli(torch.autograd.Function):
    """Log-probabilities and entropies of Bernoulli variables x with log-odds z.

    ``log p = x z - softplus(z)`` and ``H = softplus(z) - z sigmoid(z)``; with p = sigmoid(z) the derivatives are x - p
    and -z p (1 - p). Written out because there is one z for every edge: by torch's own rules it takes four times as
    many passes.
    """

    @staticmethod
    def forward(ctx: Any, logits: Tensor, outcome: Tensor) -> tuple[Tensor, Tensor]:
        p, softplus = logits.sigmoid(), F.softplus(logits, threshold=60.0)
        ctx.save_for_backward(logits, p, outcome)
        return torch.where(outcome, logits, 0.0).sub_(softplus), torch.addcmul(softplus, logits, p, value=-1.0)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        logits, p, outcome = ctx.saved_tensors
        of_log_prob, of_entropy = grads
        spread = (1.0 - p).mul_(p).mul_(logits).mul_(of_entropy)
        return torch.where(outcome, 1.0 - p, -p).mul_(of_log_prob).sub_(spread), None


class TopKRows(Actions):
    """Every row draws k of its edges without replacement (Plackett-Luce), all of them where it has fewer.

    An edge is strong if either end drew it. Units are rows: a row's log-probability is that of its ordered draw. Its
    entropy is the sum of the entropies of the single draws, each given the draws before it, along the sampled order:
    an unbiased estimate of the entropy of the whole draw, which has no closed form.
    """

    @property
    def unit_graph(self) -> Tensor:
        return self.graphs.node_graph

    def unit_advantage(self, node_advantage: Tensor) -> Tensor:
        """The row's own."""
        return node_advantage

    def _units(self) -> tuple[Tensor, Tensor]:
        drawn, odds, entropy = self._draws()
        log_prob = torch.where(drawn, F.logsigmoid(odds), 0.0).sum(1)
        total = torch.zeros_like(entropy)
        # Grouping: a choice among all = this pick or another (binary), then the choice among the others.
        for step in reversed(range(drawn.shape[1])):
            grouped = _binary_entropy(odds[:, step]) + torch.sigmoid(-odds[:, step]) * entropy
            entropy = torch.where(drawn[:, step], grouped, entropy)
            total = total + torch.where(drawn[:, step], entropy, 0.0)
        return log_prob, total

    def _draws(self) -> tuple[Tensor, Tensor, Tensor]:
        """Which draws took place (N, k), their log-odds against all that was left to draw (N, k), and the entropy
        (N,) of the softmax over what is left after the last draw."""
        pick_logits, drawn, log_rest, entropy = self._rows()
        odds = []
        for step in reversed(range(drawn.shape[1])):
            odds.append(pick_logits[:, step] - log_rest)
            log_rest = torch.where(drawn[:, step], torch.logaddexp(pick_logits[:, step], log_rest), log_rest)
        return drawn, torch.stack(odds[::-1], dim=1), entropy

    def _rows(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Logits of every row's draws and which took place (N, k); of the softmax over what is left after the last
        draw, the logarithm of its weights' sum and its entropy (N,)."""
        logits, picks = self.logits, self.decisions.row_picks
        if picks is None:
            raise InputError("the decisions carry no row picks, which top-k rows need; sample them with action top_k")
        batch = self.graphs
        rows = len(picks)
        row = torch.repeat_interleave(batch.row_start.diff())
        drawn = picks >= 0
        pick_row = torch.arange(rows, device=picks.device)[:, None].expand_as(picks)
        taken = torch.zeros((len(logits), 2), dtype=torch.bool, device=picks.device)  # by the first, the second end
        taken[picks[drawn], (batch.edge_index[1, picks[drawn]] == pick_row[drawn]).long()] = True
        left = ~taken[batch.incident_edge, (row > batch.neighbour).long()]
        log_rest, entropy = segment_softmax(logits[batch.incident_edge[left]], row[left], rows)
        padding = logits.new_full((1,), NEGATIVE)
        return torch.cat([logits, padding])[picks], drawn, log_rest, entropy  # -1 is the padding


class RowSets(TopKRows):
    """Rows drawn as in `TopKRows`, each with the probability of the set that it drew: `policy.row_sets`.

    What is built depends on the set alone. The entropy of the order pulls the logits of unlike edges together, whatever
    is drawn, and even in rows that have no more than k edges and decide nothing.

    The entropy of a row's set has no closed form: -log p of the drawn one is an estimate, and its gradient here is the
    score function's, -(log p - b) grad log p, with b the mean over the batch's other rows that decide anything.
    """

    def _units(self) -> tuple[Tensor, Tensor]:
        pick_logits, drawn, log_rest, _ = self._rows()
        log_prob = _SetLogProb.apply(torch.where(drawn, pick_logits - log_rest[:, None], math.inf))
        given = log_prob.detach()
        count = (given < 0).sum()
        lead = (given - given.sum() / count.clamp_min(1)) * (count / (count - 1).clamp_min(1))
        return log_prob, -given - lead * (log_prob - given)


class _SetLogProb(torch.autograd.Function):
    """`set_log_prob` with its gradient; on the CPU, wherever the margins (N, k) are."""

    @staticmethod
    def forward(ctx: Any, margin: Tensor) -> Tensor:
        log_prob, derivative = (torch.from_numpy(a).to(margin) for a in set_log_prob(margin.detach().cpu().numpy()))
        ctx.save_for_backward(derivative)
        return log_prob

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        (derivative,) = ctx.saved_tensors
        return derivative * grads[0][:, None]


class OneSoftmaxRows(TopKRows):
    """The predecessor's error: rows drawn as in `TopKRows`, their probability taken from another distribution.

    A row's log-probability is the sum of those of its picks in one softmax over all edges of the graph. Its gradient
    does not vanish in the mean, so that a run drifts towards whatever is drawn, whether it is good or not: entropy
    collapses. No learner but REINFORCE can use it, since the ratio to the probability of the draw means nothing.
    """

    def _units(self) -> tuple[Tensor, Tensor]:
        picks = self.decisions.row_picks
        _, entropy = super()._units()
        assert picks is not None  # or `_units` had refused
        edge_graph = self.graphs.edge_graph
        log_all, _ = segment_softmax(self.logits, edge_graph, self.graphs.num_graphs)
        log_p = torch.cat([self.logits - log_all[edge_graph], self.logits.new_zeros(1)])  # -1 is the padding
        return log_p[picks].sum(1), entropy


ROWS: dict[str, type[TopKRows]] = {"exact": TopKRows, "set": RowSets, "softmax_over_edges": OneSoftmaxRows}
"""By `training.likelihood`."""


def make_actions(
    config: PolicyConfig, output: PolicyOutput, decisions: DecisionBatch, likelihood: str = "exact"
) -> Actions:
    """The distribution that the configuration's `action` names, with the probability that its `likelihood` names."""
    if config.action == "top_k":
        return ROWS[likelihood](output, decisions)
    return EdgeDecisions(output, decisions)


def _binary_entropy(logits: Tensor) -> Tensor:
    """Entropy in nats of a Bernoulli variable with these log-odds."""
    return torch.sigmoid(logits) * F.softplus(-logits) + torch.sigmoid(-logits) * F.softplus(logits)
