"""The policy network: logits per edge and recipe, logits per level, values per node and recipe."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from rllib_psparsity.amg.recipe import parse_menu
from rllib_psparsity.config.schema import PolicyConfig
from rllib_psparsity.graph.level_graph import EDGE_FEATURES, NODE_FEATURES
from rllib_psparsity.policy.backbones import make_encoder
from rllib_psparsity.policy.batch import GraphBatch
from rllib_psparsity.policy.edge_head import ClassicalPrior, EdgeHead
from rllib_psparsity.policy.encoder import Encoder
from rllib_psparsity.policy.inference import NEGATIVE


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


class SparsifierPolicy(nn.Module):
    """Encoder, edge head with the classical prior, recipe head and value head.

    Both kinds of logits are divided by the buffer `temperature` (0-dim float32, saved with the weights), so that
    sampling and log-probabilities share it. The last layer of each head starts at a tenth of the usual size: an
    untrained network is a small perturbation of the prior, or of even odds without one. Initial weights depend on
    torch's global generator alone.
    """

    temperature: Tensor
    scalar_only: Tensor

    def __init__(self, config: PolicyConfig) -> None:
        super().__init__()
        self.config = config
        self.menu = parse_menu(config.recipes)
        node_dim, edge_dim, width, recipes = len(NODE_FEATURES), len(EDGE_FEATURES), config.width, len(self.menu)

        def encoder() -> Encoder:
            return make_encoder(config.backbone, node_dim, edge_dim, width, config.layers)

        self.encoder = encoder()
        self.prior = ClassicalPrior(self.menu, config.prior)
        self.edge_head = EdgeHead(edge_dim, width, recipes)
        _shrunk(self.edge_head.out)
        self.recipe_head = _small_mlp(2 * width + 2 * edge_dim + recipes, 2 * width, recipes)
        self.value_encoder = encoder() if config.separate_value_trunk else None
        self.value_head = _small_mlp(width, width, 1 + recipes)
        self.register_buffer("temperature", torch.tensor(config.temperature.initial, dtype=torch.float32))
        scalar_only = torch.tensor([recipe.scalar_only for recipe in self.menu])
        self.register_buffer("scalar_only", scalar_only, persistent=False)

    def forward(self, batch: GraphBatch, with_value: bool) -> PolicyOutput:
        prepared = self.encoder.prepare(batch)
        h = self.encoder(prepared)
        return PolicyOutput(
            self.edge_head(h, batch, self.prior, self.temperature),
            self._recipe_logits(h, batch),
            self._values(h, prepared) if with_value else None,
        )

    def values(self, batch: GraphBatch) -> Tensor:
        """Node values (N, R) as in `forward`, alone."""
        prepared = self.encoder.prepare(batch)
        return self._values(self.encoder(prepared) if self.value_encoder is None else None, prepared)

    def prior_output(self, batch: GraphBatch) -> PolicyOutput:
        """The prior alone, whether or not the policy has one: no network, nothing learned, no temperature.

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

    def _recipe_logits(self, h: Tensor, batch: GraphBatch) -> Tensor:
        pooled = _pooled(h, self.prior(batch.edge_features).detach(), batch)
        return self._allowed(self.recipe_head(pooled) / self.temperature, batch)

    def _values(self, h: Tensor | None, prepared: Any) -> Tensor:
        """The node's value and a deviation for each recipe: what recipes have in common is learned from all.

        h is the encoder's result, which a trunk of its own has no use for.
        """
        out = self.value_head(h if self.value_encoder is None else self.value_encoder(prepared))
        return out[:, :1] + out[:, 1:]

    def _allowed(self, recipe_logits: Tensor, batch: GraphBatch) -> Tensor:
        forbidden = self.scalar_only & (batch.block_size > 1)[:, None]
        return recipe_logits.masked_fill(forbidden, float(NEGATIVE))


def _pooled(h: Tensor, prior: Tensor, batch: GraphBatch) -> Tensor:
    """(G, 2 width + 2 F_e + R): what a recipe is chosen by.

    Mean and maximum of h over each graph's nodes, mean and deviation of its edge features, and the share of edges that
    each recipe's prior holds for strong, which foretells how fast it coarsens; 0 without edges.
    """
    # Loops over graphs: faster than adding up rows by index, and in a fixed order.
    per_node = h.split(batch.num_nodes.tolist())
    mean = torch.stack([part.mean(0) for part in per_node])
    largest = torch.stack([part.amax(0) for part in per_node])
    per_edge = prior.sigmoid().split(batch.num_edges.tolist())
    strong = torch.stack([part.sum(0) for part in per_edge]) / batch.num_edges.clamp_min(1)[:, None]
    return torch.cat([mean, largest, batch.edge_moments, strong], dim=1)


def _small_mlp(inputs: int, width: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, width), nn.ReLU(), _shrunk(nn.Linear(width, outputs)))


def _shrunk(layer: nn.Linear) -> nn.Linear:
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter *= 0.1
    return layer


def untrained_network(config: PolicyConfig, seed: int) -> SparsifierPolicy:
    """The network with the weights that a training with this seed starts from; torch's generator is left alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return SparsifierPolicy(config).eval()
