"""The policy network: logits per edge and recipe, logits per level, values per node and recipe."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
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
from rllib_psparsity.policy.standardised import StandardisedLinear


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

    A `pooled` network (`policy.network`) decides without encoder and edge head: edges by the prior alone, at its
    learned thresholds, and the recipe by what is known of the graph as a whole.

    Both kinds of logits are divided by the buffer `temperature` (0-dim float32, saved with the weights), so that
    sampling and log-probabilities share it. The last layer of each head starts at `policy.head_scale` of torch's usual
    size, a tenth by default: an untrained network is a small perturbation of the prior, or of even odds without one.
    Initial weights depend on torch's global generator alone.
    """

    temperature: Tensor
    scalar_only: Tensor

    def __init__(self, config: PolicyConfig) -> None:
        super().__init__()
        self.config = config
        self.menu = parse_menu(config.recipes)
        node_dim, edge_dim, width, recipes = len(NODE_FEATURES), len(EDGE_FEATURES), config.width, len(self.menu)

        def encoder() -> Encoder:
            made = make_encoder(config.backbone, node_dim, edge_dim, width, config.layers)
            if config.standardise:
                made.standardise()
            return made

        pooled = config.network == "pooled"
        self.encoder = None if pooled else encoder()
        self.prior = ClassicalPrior(self.menu, config.prior)
        self.edge_head = None if pooled else EdgeHead(edge_dim, width, recipes)
        if self.edge_head is not None:
            _scale(self.edge_head.out, config.head_scale)
            if config.standardise:
                self.edge_head.standardise()
        of_nodes = 2 * (node_dim if pooled else width)
        of_graph = of_nodes + 2 * edge_dim + recipes
        self.recipe_head = _small_mlp(of_graph, 2 * width, recipes, config.head_scale, config.standardise)
        self.value_encoder = encoder() if config.separate_value_trunk else None
        self.value_head = _small_mlp(width, width, 1 + recipes, config.head_scale)
        self.register_buffer("temperature", torch.tensor(config.temperature.initial, dtype=torch.float32))
        scalar_only = torch.tensor([recipe.scalar_only for recipe in self.menu])
        self.register_buffer("scalar_only", scalar_only, persistent=False)

    def forward(self, batch: GraphBatch, with_value: bool) -> PolicyOutput:
        if self.encoder is None or self.edge_head is None:
            edge_logits = self.prior(batch.edge_features)
            return PolicyOutput(
                edge_logits / self.temperature,
                self._recipe_logits(_moments(batch), (edge_logits > 0).float(), batch),
                self.values(batch) if with_value else None,
            )
        prepared = self.encoder.prepare(batch)
        h = self.encoder(prepared)
        return PolicyOutput(
            self.edge_head(h, batch, self.prior, self.temperature),
            self._recipe_logits(_mean_and_largest(h, batch), self.prior(batch.edge_features).detach().sigmoid(), batch),
            self._values(h, prepared) if with_value else None,
        )

    def values(self, batch: GraphBatch) -> Tensor:
        """Node values (N, R) as in `forward`, alone."""
        trunk = self.encoder if self.value_encoder is None else self.value_encoder
        assert trunk is not None  # `PolicyConfig` sees to it
        prepared = trunk.prepare(batch)
        return self._values(trunk(prepared) if self.value_encoder is None else None, prepared)

    def prior_output(self, batch: GraphBatch) -> PolicyOutput:
        """The prior alone, whether or not the policy has one: no network, nothing learned, no temperature.

        All recipes a graph may use are equally likely, so the mode takes the first of them in the menu.
        """
        edge_logits = self.prior.initial(batch.edge_features)
        recipe_logits = edge_logits.new_zeros((batch.num_graphs, len(self.menu)))
        return PolicyOutput(edge_logits, self._allowed(recipe_logits, batch), None)

    def parameter_groups(self) -> dict[str, list[nn.Parameter]]:
        """All parameters, each once, by the part whose gradient norm is logged.

        The only encoder of a `pooled` network is that of its values.
        """

        def of(*modules: nn.Module | None) -> list[nn.Parameter]:
            return [parameter for module in modules if module is not None for parameter in module.parameters()]

        encoder, value_trunk = (self.encoder, self.value_encoder) if self.encoder else (self.value_encoder, None)
        return {
            "encoder": of(encoder),
            "edge_head": of(self.prior, self.edge_head),
            "recipe_head": of(self.recipe_head),
            "value_head": of(value_trunk, self.value_head),
        }

    def _recipe_logits(self, of_nodes: Tensor, strong: Tensor, batch: GraphBatch) -> Tensor:
        """From (G, *) of the nodes and (E, R) of the edges, the chance of each to be strong by each recipe's prior.

        The mean of the latter foretells how fast a recipe coarsens. Besides them, the moments of the edge features.
        """
        per_edge = strong.split(batch.num_edges.tolist())
        share = torch.stack([part.sum(0) for part in per_edge]) / batch.num_edges.clamp_min(1)[:, None]
        pooled = torch.cat([of_nodes, batch.edge_moments, share], dim=1)
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


# Loops over graphs: faster than adding up rows by index, and in a fixed order.
def _mean_and_largest(h: Tensor, batch: GraphBatch) -> Tensor:
    """(G, 2 width), of h over each graph's nodes."""
    per_node = h.split(batch.num_nodes.tolist())
    mean = torch.stack([part.mean(0) for part in per_node])
    largest = torch.stack([part.amax(0) for part in per_node])
    return torch.cat([mean, largest], dim=1)


def _moments(batch: GraphBatch) -> Tensor:
    """(G, 2 F_n), mean and deviation of each graph's node features."""
    per_node = batch.node_features.split(batch.num_nodes.tolist())
    mean = torch.stack([part.mean(0) for part in per_node])
    deviation = torch.stack([part.std(0, correction=0) for part in per_node])
    return torch.cat([mean, deviation], dim=1)


def _small_mlp(inputs: int, width: int, outputs: int, scale: float, standardise: bool = False) -> nn.Sequential:
    first, last = nn.Linear(inputs, width), nn.Linear(width, outputs)
    _scale(last, scale)
    return nn.Sequential(StandardisedLinear(first) if standardise else first, nn.ReLU(), last)


def _scale(layer: nn.Linear, scale: float) -> None:
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter *= scale


def untrained_network(
    config: PolicyConfig, seed: int, statistics: Mapping[str, np.ndarray] | None = None
) -> SparsifierPolicy:
    """The network with the weights that a training with this seed starts from; torch's generator is left alone.

    Where inputs are standardised, it is by `statistics`: a network's weights by name, or that part of them.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = SparsifierPolicy(config).eval()
    if statistics is not None and config.standardise:
        for name, buffer in network.named_buffers():
            if name.endswith((".mean", ".deviation")):
                buffer.copy_(torch.from_numpy(statistics[name]))
    return network
