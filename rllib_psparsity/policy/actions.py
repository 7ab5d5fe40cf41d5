"""From the network's output to decisions: sampling, mode, log-probability and entropy.

The probability of a decision is that of its recipe times that of many small independent units given the recipe: one
per edge (`EdgeDecisions`) or one per row (`TopKRows`). Their joint log-probability grows with the graph, so nothing
here ever adds units up: PPO's ratios are per unit.

Each graph draws from a generator of its own, so its draw does not depend on the graphs beside it in the batch.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from scipy.special import expit
from torch import Tensor

from rllib_psparsity.amg.decision import Decision
from rllib_psparsity.config.schema import PolicyConfig
from rllib_psparsity.errors import InputError
from rllib_psparsity.policy.batch import GraphBatch
from rllib_psparsity.policy.decision_batch import DecisionBatch
from rllib_psparsity.policy.network import PolicyOutput
from rllib_psparsity.policy.segments import NEGATIVE, segment_softmax


@dataclass(frozen=True, slots=True)
class LogProb:
    """Log-probabilities of decisions, with gradient: `units` (U,) given the recipes, and `recipe` (G,)."""

    units: Tensor
    recipe: Tensor


@dataclass(frozen=True, slots=True)
class Entropy:
    """Entropies in nats, with gradient: `units` (U,) given the recipes, and `recipe` (G,)."""

    units: Tensor
    recipe: Tensor


class Actions(ABC):
    """The distribution of the decisions of a batch; U units in all."""

    def __init__(self, output: PolicyOutput, batch: GraphBatch) -> None:
        self.output = output
        self.batch = batch

    @property
    @abstractmethod
    def unit_graph(self) -> Tensor:
        """(U,) int64, the graph of each unit."""

    @abstractmethod
    def unit_advantage(self, node_advantage: Tensor) -> Tensor:
        """(U,) advantage of each unit from that of the nodes (N,)."""

    @abstractmethod
    def _choose(
        self, logits: np.ndarray, recipe: np.ndarray, rngs: Sequence[np.random.Generator] | None
    ) -> list[Decision]:
        """Decisions from the edge logits (E,) float64 of the chosen recipes (G,); the mode without generators."""

    @abstractmethod
    def _units_log_prob(self, logits: Tensor, decisions: DecisionBatch) -> Tensor: ...

    @abstractmethod
    def _units_entropy(self, logits: Tensor, decisions: DecisionBatch) -> Tensor: ...

    def sample(self, rngs: Sequence[np.random.Generator]) -> list[Decision]:
        """One decision per graph, drawn with that graph's generator: first the recipe, then the units."""
        logits = self.output.recipe_logits.detach().cpu().numpy().astype(np.float64)
        noise = np.stack([rng.gumbel(size=logits.shape[1]) for rng in rngs])  # the largest sum is a softmax draw
        recipe = np.argmax(logits + noise, axis=1)
        return self._choose(self._edge_logits(recipe), recipe, rngs)

    def mode(self) -> list[Decision]:
        """The most likely recipe, the first of equals, and the most likely units given that recipe."""
        recipe = np.argmax(self.output.recipe_logits.detach().cpu().numpy(), axis=1)
        return self._choose(self._edge_logits(recipe), recipe, None)

    def log_prob(self, decisions: DecisionBatch) -> LogProb:
        recipe = self.output.recipe_logits.log_softmax(1).gather(1, decisions.recipe[:, None]).squeeze(1)
        return LogProb(self._units_log_prob(_select(self.output, decisions.recipe, self.batch), decisions), recipe)

    def entropy(self, decisions: DecisionBatch) -> Entropy:
        log_p = self.output.recipe_logits.log_softmax(1)
        recipe = -(log_p.exp() * log_p).sum(1)
        return Entropy(self._units_entropy(_select(self.output, decisions.recipe, self.batch), decisions), recipe)

    def _edge_logits(self, recipe: np.ndarray) -> np.ndarray:
        chosen = torch.from_numpy(recipe).to(self.output.edge_logits.device)
        return _select(self.output, chosen, self.batch).detach().cpu().numpy().astype(np.float64)


class EdgeDecisions(Actions):
    """Every edge is strong or not, independently given the recipe (Bernoulli). Units are edges."""

    @property
    def unit_graph(self) -> Tensor:
        return self.batch.edge_graph

    def unit_advantage(self, node_advantage: Tensor) -> Tensor:
        """The mean of both ends."""
        return node_advantage[self.batch.edge_index].mean(0)

    def _choose(
        self, logits: np.ndarray, recipe: np.ndarray, rngs: Sequence[np.random.Generator] | None
    ) -> list[Decision]:
        num_edges = self.batch.num_edges.cpu().numpy()
        if rngs is None:
            strong = logits > 0
        else:
            uniform = np.concatenate([rng.random(count) for rng, count in zip(rngs, num_edges, strict=True)])
            strong = uniform < expit(logits)
        parts = np.split(strong, np.cumsum(num_edges)[:-1])
        return [Decision(part.copy(), int(r)) for part, r in zip(parts, recipe, strict=True)]

    def _units_log_prob(self, logits: Tensor, decisions: DecisionBatch) -> Tensor:
        return F.logsigmoid(torch.where(decisions.edge_is_strong, logits, -logits))

    def _units_entropy(self, logits: Tensor, decisions: DecisionBatch) -> Tensor:
        return _binary_entropy(logits)


class TopKRows(Actions):
    """Every row draws k of its edges without replacement (Plackett-Luce), all of them where it has fewer.

    An edge is strong if either end drew it. Units are rows: a row's log-probability is that of its ordered draw. Its
    entropy is the sum of the entropies of the single draws, each given the draws before it, along the sampled order:
    an unbiased estimate of the entropy of the whole draw, which has no closed form.
    """

    def __init__(self, output: PolicyOutput, batch: GraphBatch, k: int) -> None:
        super().__init__(output, batch)
        self.k = k

    @property
    def unit_graph(self) -> Tensor:
        return self.batch.node_graph

    def unit_advantage(self, node_advantage: Tensor) -> Tensor:
        """The row's own."""
        return node_advantage

    def _choose(
        self, logits: np.ndarray, recipe: np.ndarray, rngs: Sequence[np.random.Generator] | None
    ) -> list[Decision]:
        batch = self.batch
        num_nodes, num_edges = batch.num_nodes.cpu().numpy(), batch.num_edges.cpu().numpy()
        row_start, edge = batch.row_start.cpu().numpy(), batch.incident_edge.cpu().numpy()
        key = logits[edge]
        if rngs is not None:  # the k largest of logit + Gumbel noise are a Plackett-Luce draw (Kool et al. 2019)
            key += np.concatenate([rng.gumbel(size=2 * count) for rng, count in zip(rngs, num_edges, strict=True)])
        row = np.repeat(np.arange(len(row_start) - 1), np.diff(row_start))
        order = np.lexsort((-key, row))  # stable: equal keys stay in the order of edges
        rank = np.arange(len(order)) - row_start[row]
        kept = rank < self.k
        picks = np.full((len(row_start) - 1, self.k), -1, dtype=np.int64)
        picks[row[kept], rank[kept]] = edge[order[kept]]
        strong = np.zeros(len(logits), dtype=bool)
        strong[picks[picks >= 0]] = True

        first_edge = np.cumsum(num_edges) - num_edges
        local = np.where(picks >= 0, picks - np.repeat(first_edge, num_nodes)[:, None], -1).astype(np.int32)
        masks = np.split(strong, first_edge[1:])
        rows = np.split(local, np.cumsum(num_nodes)[:-1])
        return [Decision(m.copy(), int(r), p.copy()) for m, r, p in zip(masks, recipe, rows, strict=True)]

    def _units_log_prob(self, logits: Tensor, decisions: DecisionBatch) -> Tensor:
        drawn, odds, _ = self._draws(logits, decisions)
        return torch.where(drawn, F.logsigmoid(odds), 0.0).sum(1)

    def _units_entropy(self, logits: Tensor, decisions: DecisionBatch) -> Tensor:
        drawn, odds, entropy = self._draws(logits, decisions)
        total = torch.zeros_like(entropy)
        # Grouping: a choice among all = this pick or another (binary), then the choice among the others.
        for step in reversed(range(drawn.shape[1])):
            grouped = _binary_entropy(odds[:, step]) + torch.sigmoid(-odds[:, step]) * entropy
            entropy = torch.where(drawn[:, step], grouped, entropy)
            total = total + torch.where(drawn[:, step], entropy, 0.0)
        return total

    def _draws(self, logits: Tensor, decisions: DecisionBatch) -> tuple[Tensor, Tensor, Tensor]:
        """Which draws took place (N, k), their log-odds against all that was left to draw (N, k), and the entropy
        (N,) of the softmax over what is left after the last draw."""
        picks = decisions.row_picks
        if picks is None:
            raise InputError("the decisions carry no row picks, which top-k rows need; sample them with action top_k")
        batch = self.batch
        rows = len(picks)
        row = torch.repeat_interleave(batch.row_start.diff())
        drawn = picks >= 0
        pick_row = torch.arange(rows, device=picks.device)[:, None].expand_as(picks)
        taken = torch.zeros((len(logits), 2), dtype=torch.bool, device=picks.device)  # by the first, the second end
        taken[picks[drawn], (batch.edge_index[1, picks[drawn]] == pick_row[drawn]).long()] = True
        left = ~taken[batch.incident_edge, (row > batch.neighbour).long()]
        log_rest, entropy = segment_softmax(logits[batch.incident_edge[left]], row[left], rows)

        padding = logits.new_full((1,), NEGATIVE)
        pick_logits = torch.cat([logits, padding])[picks]  # -1 is the padding
        odds = []
        for step in reversed(range(picks.shape[1])):
            odds.append(pick_logits[:, step] - log_rest)
            log_rest = torch.where(drawn[:, step], torch.logaddexp(pick_logits[:, step], log_rest), log_rest)
        return drawn, torch.stack(odds[::-1], dim=1), entropy


def make_actions(config: PolicyConfig, output: PolicyOutput, batch: GraphBatch) -> Actions:
    """The distribution that the configuration's `action` names."""
    if config.action == "top_k":
        return TopKRows(output, batch, config.k)
    return EdgeDecisions(output, batch)


def entropy_softmax_over_edges(output: PolicyOutput, decisions: DecisionBatch, batch: GraphBatch) -> Tensor:
    """(G,) nats of one softmax over all edges of a graph, for the decided recipe: the triage document's entropy.

    ln E for equal logits and 0 without edges. No decision is ever drawn from this softmax: it is only logged.
    """
    return segment_softmax(_select(output, decisions.recipe, batch), batch.edge_graph, batch.num_graphs)[1]


def _select(output: PolicyOutput, recipe: Tensor, batch: GraphBatch) -> Tensor:
    """(E,) edge logits for the recipe (G,) of each edge's graph."""
    return output.edge_logits.gather(1, recipe[batch.edge_graph][:, None]).squeeze(1)


def _binary_entropy(logits: Tensor) -> Tensor:
    """Entropy in nats of a Bernoulli variable with these log-odds."""
    return torch.sigmoid(logits) * F.softplus(-logits) + torch.sigmoid(-logits) * F.softplus(logits)
