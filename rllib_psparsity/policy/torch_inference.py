"""Inference by torch, for every backbone but the project's own, on whatever device the network is."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from rllib_psparsity.config.schema import PolicyConfig
from rllib_psparsity.graph.level_graph import LevelGraph
from rllib_psparsity.policy.batch import GraphBatch
from rllib_psparsity.policy.inference import Inference, NetworkLogits, Weights
from rllib_psparsity.policy.network import PolicyOutput, SparsifierPolicy


class TorchInference(Inference):
    """Asks the network itself, so that it follows every change of its weights."""

    def __init__(self, policy: SparsifierPolicy) -> None:
        self.config = policy.config
        self.policy = policy

    @classmethod
    def from_weights(cls, config: PolicyConfig, weights: Weights) -> TorchInference:
        policy = _network(config)
        policy.load_state_dict({name: torch.from_numpy(array) for name, array in weights.items()})
        return cls(policy.eval().requires_grad_(False))

    @staticmethod
    def expected_tensors(config: PolicyConfig) -> dict[str, tuple[int, ...]]:
        """See `inference.expected_tensors`."""
        return {name: tuple(tensor.shape) for name, tensor in _network(config).state_dict().items()}

    def logits(self, graphs: Sequence[LevelGraph]) -> NetworkLogits:
        with torch.no_grad():
            batch = GraphBatch.from_graphs(graphs, self.policy.temperature.device)
            return _PolicyLogits(self.policy, batch, graphs)

    def weights(self) -> dict[str, np.ndarray]:
        return {name: tensor.detach().cpu().numpy() for name, tensor in self.policy.state_dict().items()}


class TorchLogits:
    """The `Logits` that a `PolicyOutput` holds."""

    def __init__(self, output: PolicyOutput, graphs: Sequence[LevelGraph]) -> None:
        self.graphs = graphs
        self.recipe_logits = output.recipe_logits.detach().cpu().numpy()
        self._edge_logits = output.edge_logits.detach().split([graph.num_edges for graph in graphs])

    def edge_logits(self, recipe: np.ndarray) -> list[np.ndarray]:
        return [part[:, r].cpu().numpy() for part, r in zip(self._edge_logits, recipe.tolist(), strict=True)]


class _PolicyLogits(TorchLogits):
    """Of a network, which is asked for values only where they are wanted."""

    def __init__(self, policy: SparsifierPolicy, batch: GraphBatch, graphs: Sequence[LevelGraph]) -> None:
        super().__init__(policy(batch, with_value=False), graphs)
        self._policy, self._batch = policy, batch

    @torch.no_grad()
    def node_values(self) -> list[np.ndarray]:
        values = self._policy.values(self._batch)
        return [part.cpu().numpy() for part in values.split(self._batch.num_nodes.tolist())]


def _network(config: PolicyConfig) -> SparsifierPolicy:
    with torch.random.fork_rng(devices=[]):  # the initial weights play no part: leave the caller's generator alone
        return SparsifierPolicy(config)
