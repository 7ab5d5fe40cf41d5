"""Message passing with a gate for every edge."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from rllib_psparsity.policy.batch import GraphBatch
from rllib_psparsity.policy.encoder import Encoder
from rllib_psparsity.policy.sparse import node_inputs


class GatedEncoder(Encoder):
    """Layers ``h_i <- LN(h_i + relu(W h_i + mean_j sigmoid(g(e_ij)) V h_j))``, the gate g linear in edge features."""

    def __init__(self, node_dim: int, edge_dim: int, width: int, layers: int) -> None:
        super().__init__()
        self.input = nn.Linear(node_dim + edge_dim, width)
        self.own = nn.ModuleList(nn.Linear(width, width) for _ in range(layers))
        self.message = nn.ModuleList(nn.Linear(width, width, bias=False) for _ in range(layers))
        self.gate = nn.ModuleList(nn.Linear(edge_dim, width) for _ in range(layers))
        self.norm = nn.ModuleList(nn.LayerNorm(width) for _ in range(layers))

    def prepare(self, batch: GraphBatch) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Inputs (N, F_n + F_e), receiver and sender (2, 2E) of both directions, features (2E, F_e), degrees (N, 1)."""
        ends = torch.cat([batch.edge_index, batch.edge_index.flip(0)], dim=1)
        degree = (batch.row_start[1:] - batch.row_start[:-1]).clamp_min(1)[:, None]
        return node_inputs(batch), ends, batch.edge_features.repeat(2, 1), degree

    def forward(self, prepared: tuple[Tensor, Tensor, Tensor, Tensor]) -> Tensor:
        inputs, (receiver, sender), features, degree = prepared
        h = self.input(inputs)
        for own, message, gate, norm in zip(self.own, self.message, self.gate, self.norm, strict=True):
            messages = torch.sigmoid(gate(features)) * message(h)[sender]
            mean = torch.zeros_like(h).index_add(0, receiver, messages) / degree
            h = norm(h + torch.relu(own(h) + mean))
        return h
