"""The project's own encoder: sparse products with fixed operators that the edge features define.

On a CPU the layers run through the compiled kernels that inference uses too, and their backward passes: half the time
of torch's own operations, whose intermediate arrays do not fit the cache. Elsewhere they are torch's.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rllib_psparsity.policy.backward_kernels import mixing_layer_backward
from rllib_psparsity.policy.batch import GraphBatch
from rllib_psparsity.policy.encoder import Encoder
from rllib_psparsity.policy.operators import LOG_SYMMETRIC, NUM_OPERATORS, operator_values
from rllib_psparsity.policy.parts import in_parts
from rllib_psparsity.policy.row_kernels import mixing_layer
from rllib_psparsity.policy.standardised import StandardisedLinear


def node_inputs(batch: GraphBatch) -> Tensor:
    """(N, F_n + F_e) node features and the mean of the features of the node's edges (zero without edges)."""
    mean = F.embedding_bag(
        batch.incident_edge, batch.edge_features, batch.row_start, mode="mean", include_last_offset=True
    )
    return torch.cat([batch.node_features, mean], dim=1)


def symmetric_strength(batch: GraphBatch) -> Tensor:
    """(E,) |a_ij| / sqrt(a_ii a_jj), from the feature that holds its logarithm to base 10."""
    return torch.exp(math.log(10.0) * batch.edge_features[:, LOG_SYMMETRIC])


@dataclass(frozen=True, slots=True)
class Operators:
    """The operators S_r of a batch: its adjacency, with `values` (E, R) from `operator_values`."""

    batch: GraphBatch
    values: Tensor

    @classmethod
    def of(cls, batch: GraphBatch) -> Operators:
        features, edges = batch.edge_features.cpu().numpy(), batch.edge_index.cpu().int().numpy()
        values = operator_values(features, edges, len(batch.node_graph))
        return cls(batch, torch.from_numpy(values).to(batch.edge_features.device))

    def products(self, h: Tensor) -> list[Tensor]:
        """[S_1 h, ..., S_R h] by torch's own operations, (N, C) each."""
        first, second = self.batch.edge_index
        return [
            torch.zeros_like(h)
            .index_add(0, first, value[:, None] * h.index_select(0, second))
            .index_add(0, second, value[:, None] * h.index_select(0, first))
            for value in self.values.T
        ]

    def arrays(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Values, row_start, neighbour and incident_edge, as the kernels take them."""
        batch = self.batch
        return self.values.numpy(), batch.row_start.numpy(), batch.neighbour.numpy(), batch.incident_edge.numpy()


class _Mixing(torch.autograd.Function):
    """`mixing_layer` with its gradient."""

    @staticmethod
    def forward(ctx: Any, h: Tensor, weight: Tensor, bias: Tensor, operators: Operators) -> Tensor:
        active, out = torch.empty_like(h), torch.empty_like(h)
        ctx.save_for_backward(h, weight, active)
        ctx.operators = operators
        table, from_all, shift = h.numpy(), weight.T.contiguous().numpy(), bias.numpy()
        entries, results = operators.arrays(), (active.numpy(), out.numpy())
        lanes = (0,) * h.shape[1]

        def layer(first: int, last: int) -> None:
            mixing_layer(table, *entries, from_all, shift, *results, first, last, lanes)

        in_parts(layer, len(h))
        return out

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        h, weight, active = ctx.saved_tensors
        operators: Operators = ctx.operators
        width = h.shape[1]
        by_operator = weight.view(width, 1 + NUM_OPERATORS, width).transpose(0, 1).reshape(-1, width).numpy()
        grad = grads[0].contiguous()
        masked = torch.ops.aten.threshold_backward(grad, active, 0)
        d_h = torch.empty_like(h)
        arrays = (grad.numpy(), masked.numpy(), h.numpy())
        entries, of_h, lanes = operators.arrays(), d_h.numpy(), (0,) * width

        def layer_backward(first: int, last: int) -> np.ndarray:
            return mixing_layer_backward(*arrays, *entries, by_operator, of_h, first, last, lanes)

        d_weight = torch.from_numpy(np.sum(in_parts(layer_backward, len(h)), axis=0))
        # (C_in, R, C_out) to (C_out, R, C_in)
        of_weight = d_weight.view(width, 1 + NUM_OPERATORS, width).transpose(0, 2).reshape(width, -1)
        return d_h, of_weight, masked.sum(0), None


class SparseEncoder(Encoder):
    """Layers ``h <- h + relu(W [h, S_1 h, ..., S_R h] + b)`` with R = 3 operators, then a layer norm.

    The operators have norm 1 at most, so that h stays O(1) without a norm in every layer, which would cost as much
    as two products.
    """

    def __init__(self, node_dim: int, edge_dim: int, width: int, layers: int) -> None:
        super().__init__()
        self.input = nn.Linear(node_dim + edge_dim, width)
        self.mixers = nn.ModuleList(nn.Linear((1 + NUM_OPERATORS) * width, width) for _ in range(layers))
        self.norm = nn.LayerNorm(width)

    def standardise(self) -> None:
        self.input = StandardisedLinear(self.input)

    def prepare(self, batch: GraphBatch) -> tuple[Tensor, Operators]:
        """What depends on the batch alone, for `forward` of this encoder and of others on the same batch."""
        return node_inputs(batch), Operators.of(batch)

    def forward(self, prepared: tuple[Tensor, Operators]) -> Tensor:
        """(N, width) embedding of the nodes."""
        inputs, operators = prepared
        h = self.input(inputs)
        for mix in self.mixers:
            if h.device.type == "cpu":
                h = _Mixing.apply(h, mix.weight, mix.bias, operators)
            else:
                h = h + F.relu(mix(torch.cat([h, *operators.products(h)], dim=1)))
        return self.norm(h)
