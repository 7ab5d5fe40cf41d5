"""The policy network: logits per edge and recipe, logits per level, values per node and recipe."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rllib_psparsity.amg.recipe import MEASURES, Recipe, parse_menu
from rllib_psparsity.config.schema import PolicyConfig
from rllib_psparsity.graph.level_graph import EDGE_FEATURES, NODE_FEATURES
from rllib_psparsity.policy.backbones import make_encoder
from rllib_psparsity.policy.batch import GraphBatch
from rllib_psparsity.policy.segments import NEGATIVE
from rllib_psparsity.policy.sparse import edge_difference, edge_sum

PRIOR_BOUND = 10.0
"""The prior's logit stays within plus and minus this, so that no decision starts beyond the reach of exploration."""


@dataclass(frozen=True, slots=True)
class PolicyOutput:
    """What the network says about a batch.

    Attributes
    ----------
    edge_logits : (E, R), log-odds that an edge is strong, given each recipe of the menu
    recipe_logits : (G, R)
    node_values : (N, R), the expected return of each node when its level takes each recipe, or None if not asked for
    """

    edge_logits: Tensor
    recipe_logits: Tensor
    node_values: Tensor | None


class ClassicalPrior(nn.Module):
    """Log-odds of a textbook strength test: ``steepness_r (feature_r - threshold_r - offset_r)``, bounded.

    Steepness and offset are learned for each recipe r; feature, threshold and initial steepness are those of
    `MEASURES`. The steepness is softplus-parametrised, in units of its initial value.
    """

    columns: Tensor
    threshold: Tensor
    initial_steepness: Tensor

    def __init__(self, menu: tuple[Recipe, ...]) -> None:
        super().__init__()
        names, thresholds, steepness = zip(*(MEASURES[recipe.measure] for recipe in menu), strict=True)
        columns = torch.tensor([EDGE_FEATURES.index(name) for name in names])
        self.register_buffer("columns", columns, persistent=False)
        self.register_buffer("threshold", torch.tensor(thresholds), persistent=False)
        self.register_buffer("initial_steepness", torch.tensor(steepness), persistent=False)
        self.raw_steepness = nn.Parameter(torch.zeros(len(menu)))
        self.offset = nn.Parameter(torch.zeros(len(menu)))

    def steepness(self) -> Tensor:
        """(R,) learned steepness; at the start exactly that of `MEASURES`."""
        return self.initial_steepness * (F.softplus(self.raw_steepness) / F.softplus(torch.zeros_like(self.offset)))

    def forward(self, edge_features: Tensor) -> Tensor:
        """(E, R) logits."""
        return self._logits(edge_features, self.steepness(), self.offset)

    def initial(self, edge_features: Tensor) -> Tensor:
        """(E, R) logits before any learning."""
        return self._logits(edge_features, self.initial_steepness, torch.zeros_like(self.initial_steepness))

    def _logits(self, edge_features: Tensor, steepness: Tensor, offset: Tensor) -> Tensor:
        margin = edge_features.index_select(1, self.columns) - (self.threshold + offset)
        return (steepness * margin).clamp(-PRIOR_BOUND, PRIOR_BOUND)


class SparsifierPolicy(nn.Module):
    """Encoder, edge head with the classical prior, recipe head and value head.

    Both kinds of logits are divided by the buffer `temperature` (0-dim float32, saved with the weights), so that
    sampling and log-probabilities share it. The last layer of each head starts at a tenth of the usual size: an
    untrained network is a small perturbation of the prior. Initial weights depend on torch's global generator alone.
    """

    temperature: Tensor
    scalar_only: Tensor

    def __init__(self, config: PolicyConfig) -> None:
        super().__init__()
        self.config = config
        self.menu = parse_menu(config.recipes)
        node_dim, edge_dim, width, recipes = len(NODE_FEATURES), len(EDGE_FEATURES), config.width, len(self.menu)

        def encoder() -> nn.Module:
            return make_encoder(config.backbone, node_dim, edge_dim, width, config.layers)

        self.encoder = encoder()
        self.prior = ClassicalPrior(self.menu)
        self.edge_head = EdgeHead(edge_dim, width, recipes)
        self.recipe_head = _small_mlp(2 * width + 2 * edge_dim + recipes, 2 * width, recipes)
        self.value_encoder = encoder() if config.separate_value_trunk else None
        self.value_head = _small_mlp(width, width, 1 + recipes)
        self.register_buffer("temperature", torch.tensor(config.temperature.initial, dtype=torch.float32))
        scalar_only = torch.tensor([recipe.scalar_only for recipe in self.menu])
        self.register_buffer("scalar_only", scalar_only, persistent=False)

    def forward(self, batch: GraphBatch, with_value: bool) -> PolicyOutput:
        h = self.encoder(batch)
        prior = self.prior(batch.edge_features)
        edge_logits = self.edge_head(h, batch)
        edge_logits += prior
        recipe_logits = self.recipe_head(_pooled(h, prior, batch))
        return PolicyOutput(
            edge_logits / self.temperature,
            self._allowed(recipe_logits / self.temperature, batch),
            self._values(h, batch) if with_value else None,
        )

    def prior_output(self, batch: GraphBatch) -> PolicyOutput:
        """The prior alone: no network, nothing learned, no temperature.

        All recipes a graph may use are equally likely, so the mode takes the first of them in the menu.
        """
        edge_logits = self.prior.initial(batch.edge_features)
        recipe_logits = edge_logits.new_zeros((batch.num_graphs, len(self.menu)))
        return PolicyOutput(edge_logits, self._allowed(recipe_logits, batch), None)

    def parameter_groups(self) -> dict[str, list[nn.Parameter]]:
        """All parameters, each once, by the part whose gradient norm is logged."""
        value_trunk = [] if self.value_encoder is None else list(self.value_encoder.parameters())
        return {
            "encoder": list(self.encoder.parameters()),
            "edge_head": [*self.prior.parameters(), *self.edge_head.parameters()],
            "recipe_head": list(self.recipe_head.parameters()),
            "value_head": [*value_trunk, *self.value_head.parameters()],
        }

    def _values(self, h: Tensor, batch: GraphBatch) -> Tensor:
        """The node's value and a deviation for each recipe: what recipes have in common is learned from all."""
        out = self.value_head(h if self.value_encoder is None else self.value_encoder(batch))
        return out[:, :1] + out[:, 1:]

    def _allowed(self, recipe_logits: Tensor, batch: GraphBatch) -> Tensor:
        forbidden = self.scalar_only & (batch.block_size > 1)[:, None]
        return recipe_logits.masked_fill(forbidden, NEGATIVE)


class EdgeHead(nn.Module):
    """A thin MLP, symmetric in both ends: ``W relu(U (h_i + h_j) + V |D (h_i - h_j)| + F e_ij + b) + c``.

    What is linear acts per node instead of per edge, and the hidden layer is added up in place and half as wide as
    the encoder: on edges, fresh memory costs more time than arithmetic.
    """

    def __init__(self, edge_dim: int, width: int, recipes: int) -> None:
        super().__init__()
        hidden = max(8, width // 2)
        self.from_sum = nn.Linear(width, hidden, bias=False)
        self.contrast = nn.Linear(width, hidden, bias=False)
        self.from_contrast = nn.Linear(hidden, hidden, bias=False)
        self.from_features = nn.Linear(edge_dim, hidden)
        self.out = _shrunk(nn.Linear(hidden, recipes))

    def forward(self, h: Tensor, batch: GraphBatch) -> Tensor:
        """(E, R) logits from the embedding h (N, width)."""
        hidden = self.from_features(batch.edge_features)
        hidden += edge_sum(self.from_sum(h), batch)
        hidden += self.from_contrast(edge_difference(self.contrast(h), batch).abs())
        return self.out(F.relu(hidden, inplace=True))


def _pooled(h: Tensor, prior: Tensor, batch: GraphBatch) -> Tensor:
    """(G, 2 width + 2 F_e + R): what a recipe is chosen by.

    Mean and maximum of h over each graph's nodes, mean and deviation of its edge features, and the share of edges that
    each recipe's prior holds for strong, which foretells how fast it coarsens; 0 without edges.
    """
    per_node = h.split(batch.num_nodes.tolist())
    edge = torch.cat([batch.edge_features, batch.edge_features.square(), prior.detach().sigmoid()], dim=1)
    per_edge = edge.split(batch.num_edges.tolist())
    # A loop over graphs: four times faster than adding up rows by index, and in a fixed order.
    mean = torch.stack([part.mean(0) for part in per_node])
    largest = torch.stack([part.amax(0) for part in per_node])
    edge_mean = torch.stack([part.sum(0) for part in per_edge]) / batch.num_edges.clamp_min(1)[:, None]
    features = batch.edge_features.shape[1]
    first, second, strong = edge_mean.split([features, features, prior.shape[1]], dim=1)
    return torch.cat([mean, largest, first, (second - first.square()).clamp_min(0).sqrt(), strong], dim=1)


def _small_mlp(inputs: int, width: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, width), nn.ReLU(), _shrunk(nn.Linear(width, outputs)))


def _shrunk(layer: nn.Linear) -> nn.Linear:
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter *= 0.1
    return layer
