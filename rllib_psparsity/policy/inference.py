"""Inference: from level graphs to logits, without torch for the project's own backbone, and without gradients.

Rollouts and deployment use this alone. `SparsifierPolicy` is what is trained; the two agree to 1e-5 by test.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Protocol, TypeVar

import numpy as np

from rllib_psparsity.amg.recipe import parse_menu
from rllib_psparsity.config.schema import BACKBONE_NAMES, PolicyConfig
from rllib_psparsity.errors import InputError
from rllib_psparsity.graph.level_graph import EDGE_FEATURES, NODE_FEATURES, LevelGraph
from rllib_psparsity.policy import row_kernels
from rllib_psparsity.policy.operators import operator_values

if TYPE_CHECKING:
    from rllib_psparsity.policy.network import SparsifierPolicy

NEGATIVE = np.float32(-1e9)
"""Logit of a recipe that a graph may not use."""
PRIOR_BOUND = np.float32(10.0)
"""The prior's logit stays within plus and minus this, as in `policy.network`."""
EDGES_AT_ONCE = 16_384
"""Edges whose priors are held at a time; bounds memory, not results."""

Weights = Mapping[str, np.ndarray]
"""Arrays by the names of torch's ``state_dict``; float32."""


class Logits(Protocol):
    """What is known about G graphs.

    Attributes
    ----------
    graphs : the G graphs
    recipe_logits : (G, R) float32
    """

    graphs: Sequence[LevelGraph]
    recipe_logits: np.ndarray

    def edge_logits(self, recipe: np.ndarray) -> list[np.ndarray]:
        """For each graph, (E,) float32 log-odds that its edges are strong, given its entry of `recipe` (G,)."""
        ...


class NetworkLogits(Logits, Protocol):
    """What the network knows about G graphs."""

    def node_values(self) -> list[np.ndarray]:
        """For each graph, (N, R) float32: the value of every node for every recipe, which only training asks for."""
        ...


class Inference(ABC):
    """A policy that is asked, not trained.

    Attributes
    ----------
    config : what the policy was built from
    """

    config: PolicyConfig

    @abstractmethod
    def logits(self, graphs: Sequence[LevelGraph]) -> NetworkLogits:
        """Of the network, each graph by itself: no result depends on the graphs beside it."""

    @abstractmethod
    def weights(self) -> dict[str, np.ndarray]:
        """By the names of torch's ``state_dict``."""

    def prior_logits(self, graphs: Sequence[LevelGraph]) -> Logits:
        """Of the prior alone: nothing learned, no temperature; see `SparsifierPolicy.prior_output`."""
        return _PriorLogits(self.config, graphs)


def make_inference(config: PolicyConfig, weights: Weights) -> Inference:
    """Inference with these weights: by `SparseInference`, or by torch for the backbones that need it."""
    if config.backbone == "sparse":
        return SparseInference(config, weights)
    _require_torch(config)
    from rllib_psparsity.policy.torch_inference import TorchInference

    return TorchInference.from_weights(config, weights)


def inference_of(policy: SparsifierPolicy) -> Inference:
    """Inference with the weights that a torch network has now; make it anew after they have changed."""
    if policy.config.backbone == "sparse":
        state = policy.state_dict().items()
        return SparseInference(policy.config, {name: tensor.detach().cpu().numpy() for name, tensor in state})
    from rllib_psparsity.policy.torch_inference import TorchInference

    return TorchInference(policy)


def expected_tensors(config: PolicyConfig) -> dict[str, tuple[int, ...]]:
    """Name -> shape of the weights, all float32, that `config` asks for."""
    if config.backbone != "sparse":
        _require_torch(config)
        from rllib_psparsity.policy.torch_inference import TorchInference

        return TorchInference.expected_tensors(config)
    node_dim, edge_dim, width, recipes = len(NODE_FEATURES), len(EDGE_FEATURES), config.width, len(config.recipes)
    hidden = _hidden(width)
    pooled = config.network == "pooled"
    of_nodes = 2 * (node_dim if pooled else width)
    linear = {
        "recipe_head.0": (2 * width, of_nodes + 2 * edge_dim + recipes),
        "recipe_head.2": (recipes, 2 * width),
        "value_head.0": (width, width),
        "value_head.2": (1 + recipes, width),
    }
    shapes: dict[str, tuple[int, ...]] = {
        "temperature": (),
        "prior.raw_steepness": (recipes,),
        "prior.offset": (recipes,),
    }
    if not pooled:
        linear |= {"edge_head.from_features": (hidden, edge_dim), "edge_head.out": (recipes, hidden)}
        shapes |= {f"edge_head.{name}.weight": (hidden, width) for name in ("from_sum", "contrast")}
        shapes |= {"edge_head.from_contrast.weight": (hidden, hidden)}
    has_encoder = {"encoder": not pooled, "value_encoder": config.separate_value_trunk}
    for encoder in (name for name, there in has_encoder.items() if there):
        linear[f"{encoder}.input"] = (width, node_dim + edge_dim)
        linear |= {f"{encoder}.mixers.{k}": (width, 4 * width) for k in range(config.layers)}
        shapes |= {f"{encoder}.norm.weight": (width,), f"{encoder}.norm.bias": (width,)}
    see_inputs = ("edge_head.from_features", "encoder.input", "recipe_head.0", "value_encoder.input")
    for name in see_inputs if config.standardise else ():
        if name in linear:
            shapes |= {f"{name}.{statistic}": linear[name][1:] for statistic in ("mean", "deviation")}
    for name, shape in linear.items():
        shapes |= {f"{name}.weight": shape, f"{name}.bias": shape[:1]}
    return shapes


def _require_torch(config: PolicyConfig) -> None:
    # A registered backbone says itself what it needs beyond torch: it is imported with the configuration.
    for module in ("torch", "torch_geometric") if config.backbone in BACKBONE_NAMES else ("torch",):
        if find_spec(module) is None:
            raise InputError(
                f"a policy with the backbone {config.backbone} needs {module}, which is not installed; run "
                "pip install 'rllib_psparsity[train]', or train with the backbone sparse"
            )


def _hidden(width: int) -> int:
    """Width of the edge head's hidden layer."""
    return max(8, width // 2)


class _Prior:
    """Log-odds of the classical strength tests: ``steepness (feature - threshold)``, bounded; one per recipe."""

    def __init__(self, config: PolicyConfig) -> None:
        menu = parse_menu(config.recipes)
        names, thresholds, steepness = zip(*(recipe.strength_test for recipe in menu), strict=True)
        self.columns = np.array([EDGE_FEATURES.index(name) for name in names])
        self.threshold = np.array(thresholds, dtype=np.float32)
        self.steepness = np.array(steepness, dtype=np.float32)
        self.scalar_only = np.array([recipe.scalar_only for recipe in menu])
        self.enabled = config.prior

    def learned(self, raw_steepness: np.ndarray, offset: np.ndarray) -> _Prior:
        factor = np.logaddexp(raw_steepness, np.float32(0)) / np.float32(math.log(2.0))
        self.steepness = np.float32(self.enabled) * self.steepness * factor
        self.threshold = self.threshold + offset
        return self

    def of(self, recipes: slice) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.float32]:
        return self.columns[recipes], self.threshold[recipes], self.steepness[recipes], PRIOR_BOUND

    def logits(self, graph: LevelGraph, recipe: int) -> np.ndarray:
        """(E,)"""
        margin = graph.edge_feature(int(self.columns[recipe])) - self.threshold[recipe]
        margin *= self.steepness[recipe]
        return np.clip(margin, -PRIOR_BOUND, PRIOR_BOUND, out=margin)

    def strong_share(self, edge_features: np.ndarray) -> np.ndarray:
        """(R,) share of the edges that are likelier strong than not; 0 without edges."""
        found = row_kernels.count_above(edge_features, self.columns, self.threshold)
        return (found / max(len(edge_features), 1)).astype(np.float32)

    def strong_chance(self, edge_features: np.ndarray) -> np.ndarray:
        """(R,) mean chance of an edge to be strong; 0 without edges."""
        total = np.zeros(len(self.columns))
        for start in range(0, len(edge_features), EDGES_AT_ONCE):
            part = edge_features[start : start + EDGES_AT_ONCE]
            odds = row_kernels.negative_prior(part, self.columns, self.threshold, self.steepness, PRIOR_BOUND)
            np.exp(odds, out=odds)
            odds += 1
            total += np.reciprocal(odds, out=odds).sum(axis=1)
        return (total / max(len(edge_features), 1)).astype(np.float32)

    def allowed(self, recipe_logits: np.ndarray, graph: LevelGraph) -> np.ndarray:
        """(R,) with `NEGATIVE` for what a block matrix cannot use."""
        return np.where(self.scalar_only, NEGATIVE, recipe_logits) if graph.block_size > 1 else recipe_logits


class _PriorLogits:
    def __init__(self, config: PolicyConfig, graphs: Sequence[LevelGraph]) -> None:
        self.graphs = graphs
        self._prior = _Prior(config)
        equal = np.zeros(len(config.recipes), dtype=np.float32)
        self.recipe_logits = np.stack([self._prior.allowed(equal, graph) for graph in graphs])

    def edge_logits(self, recipe: np.ndarray) -> list[np.ndarray]:
        chosen = zip(self.graphs, recipe.tolist(), strict=True)
        return [self._prior.logits(graph, r) for graph, r in chosen]


class SparseInference(Inference):
    """The network with the `sparse` backbone, in numpy and numba; the formulas stand at `SparsifierPolicy`.

    The arrays of `weights` are used as they are; the caller leaves them unchanged while the object is in use.
    """

    def __init__(self, config: PolicyConfig, weights: Weights) -> None:
        self.config = config
        self._weights = dict(weights)
        self._prior = _Prior(config).learned(weights["prior.raw_steepness"], weights["prior.offset"])
        self._temperature = np.float32(weights["temperature"])
        self._to_hidden = self._linear("recipe_head.0")
        if config.network == "graph":
            ends = [weights["edge_head.from_sum.weight"], weights["edge_head.contrast.weight"]]
            self._to_ends = np.ascontiguousarray(np.concatenate(ends).T)
            self._from_features = self._linear("edge_head.from_features")
            self._from_contrast = np.ascontiguousarray(weights["edge_head.from_contrast.weight"].T)

    def weights(self) -> dict[str, np.ndarray]:
        return self._weights

    def logits(self, graphs: Sequence[LevelGraph]) -> NetworkLogits:
        return _SparseLogits(self, graphs)

    def embed(self, graph: LevelGraph) -> tuple[np.ndarray, np.ndarray | None]:
        """Recipe logits (R,), and (2N, H) what a node contributes to its edges: for their sum, for their contrast.

        Nodes contribute nothing to the edges of a `pooled` network: None.
        """
        if self.config.network == "pooled":
            edge_features = row_kernels.writable(graph.edge_sample(), np.float32)
            node_features = row_kernels.writable(graph.node_features, np.float32)
            of_nodes = row_kernels.feature_moments(node_features, (0,) * len(NODE_FEATURES))
            ends, share = None, self._prior.strong_share(edge_features)
        else:
            edge_features = row_kernels.writable(graph.edge_features, np.float32)
            h = self._encode(graph, "encoder")
            gain, bias = self._weights["encoder.norm.weight"], self._weights["encoder.norm.bias"]
            *of_nodes, ends = row_kernels.output_layer(h, gain, bias, self._to_ends)
            ends, share = ends.reshape(2 * graph.num_nodes, -1), self._prior.strong_chance(edge_features)
        moments = row_kernels.feature_moments(edge_features, (0,) * len(EDGE_FEATURES))
        pooled = np.concatenate([*of_nodes, *moments, share])
        weight, bias = self._to_hidden
        hidden = np.maximum(pooled @ weight + bias, 0)
        logits = self._weights["recipe_head.2.weight"] @ hidden + self._weights["recipe_head.2.bias"]
        return self._prior.allowed(logits / self._temperature, graph), ends

    def node_values(self, graph: LevelGraph) -> np.ndarray:
        """(N, R)"""
        encoder = "value_encoder" if self.config.separate_value_trunk else "encoder"
        h = self._encode(graph, encoder)
        h -= h.mean(axis=1, keepdims=True)
        h /= np.sqrt(np.square(h).mean(axis=1, keepdims=True) + np.float32(1e-5))
        h = h * self._weights[f"{encoder}.norm.weight"] + self._weights[f"{encoder}.norm.bias"]
        for name in ("value_head.0", "value_head.2"):
            weight, bias = self._linear(name)
            out = h @ weight + bias
            h = np.maximum(out, 0)
        return out[:, :1] + out[:, 1:]

    def _encode(self, graph: LevelGraph, encoder: str) -> np.ndarray:
        """(N, width) of one of the encoders, before its layer norm."""
        node_features = row_kernels.writable(graph.node_features, np.float32)
        edge_index = row_kernels.writable(graph.edge_index, np.int32)
        edge_features = row_kernels.writable(graph.edge_features, np.float32)
        N, per_node, per_edge = graph.num_nodes, (0,) * self.config.width, (0,) * len(EDGE_FEATURES)
        row_start, neighbour, incident_edge = row_kernels.row_adjacency(edge_index, N)
        operators = operator_values(edge_features, edge_index, N)
        weight, bias = self._linear(f"{encoder}.input")
        from_node, from_edge = weight[: len(NODE_FEATURES)], weight[len(NODE_FEATURES) :]
        h = row_kernels.input_layer(
            node_features, edge_features, row_start, incident_edge, from_node, from_edge, bias, per_edge
        )
        active, spare = np.empty((0, self.config.width), np.float32), np.empty_like(h)
        for k in range(self.config.layers):
            weight, bias = self._linear(f"{encoder}.mixers.{k}")
            row_kernels.mixing_layer(
                h, operators, row_start, neighbour, incident_edge, weight, bias, active, spare, 0, N, per_node
            )
            h, spare = spare, h
        return h

    def edge_logits(self, graph: LevelGraph, ends: np.ndarray | None, recipe: int) -> np.ndarray:
        """(E,) for one recipe, from what `embed` gave."""
        if ends is None:
            return self._prior.logits(graph, recipe) / self._temperature
        weight, bias = self._from_features
        only = slice(recipe, recipe + 1)
        logits = np.empty((graph.num_edges, 1), dtype=np.float32)
        row_kernels.edge_head(
            ends,
            row_kernels.writable(graph.edge_index, np.int32),
            row_kernels.writable(graph.edge_features, np.float32),
            weight,
            bias,
            self._from_contrast,
            np.ascontiguousarray(self._weights["edge_head.out.weight"][only].T),
            self._weights["edge_head.out.bias"][only],
            self._prior.of(only),
            self._temperature,
            logits,
            0,
            graph.num_edges,
            (0,) * len(bias),
        )
        return logits[:, 0]

    def _linear(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """Transposed weight and bias of a linear layer, for inputs as they are (`policy.standardised.folded`)."""
        weight, bias = np.ascontiguousarray(self._weights[f"{name}.weight"].T), self._weights[f"{name}.bias"]
        if f"{name}.mean" in self._weights:
            weight = weight / self._weights[f"{name}.deviation"][:, None]
            bias = bias - self._weights[f"{name}.mean"] @ weight
        return weight, bias


class _SparseLogits:
    def __init__(self, inference: SparseInference, graphs: Sequence[LevelGraph]) -> None:
        self.graphs = graphs
        self._inference = inference
        embedded = _each_once(inference.embed, graphs)
        self.recipe_logits = np.stack([recipe_logits for recipe_logits, _ in embedded])
        self._ends = [ends for _, ends in embedded]

    def edge_logits(self, recipe: np.ndarray) -> list[np.ndarray]:
        chosen = zip(self.graphs, self._ends, recipe.tolist(), strict=True)
        return [self._inference.edge_logits(graph, ends, r) for graph, ends, r in chosen]

    def node_values(self) -> list[np.ndarray]:
        return _each_once(self._inference.node_values, self.graphs)


Result = TypeVar("Result")


def _each_once(function: Callable[[LevelGraph], Result], graphs: Sequence[LevelGraph]) -> list[Result]:
    """Of every graph; the rollouts of a problem start on one and the same, which is not worked on again."""
    results = {id(graph): function(graph) for graph in {id(graph): graph for graph in graphs}.values()}
    return [results[id(graph)] for graph in graphs]
