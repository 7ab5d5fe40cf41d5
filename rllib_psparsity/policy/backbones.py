"""Graph encoders by name: the project's own, four from torch_geometric, and those that other packages register."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rllib_psparsity.config.schema import BACKBONE_NAMES
from rllib_psparsity.extensions import load_extension, require
from rllib_psparsity.policy.batch import GraphBatch
from rllib_psparsity.policy.encoder import Encoder
from rllib_psparsity.policy.sparse import SparseEncoder, node_inputs, symmetric_strength
from rllib_psparsity.policy.standardised import StandardisedLinear


class MessageEncoder(Encoder):
    """Residual layers of one torch_geometric convolution: ``h <- h + relu(conv(layer norm of h))``.

    - gat: GATv2, attention sees the edge features (Brody, Alon and Yahav 2022);
    - gcn: weighted by the symmetric strength |a_ij| / sqrt(a_ii a_jj) (Kipf and Welling 2017);
    - sage: mean over the neighbours (Hamilton, Ying and Leskovec 2017);
    - gin: sum over the neighbours, then two dense layers (Xu et al. 2019).

    All of them see the mean of a node's edge features at the input, as the project's own encoder does.
    """

    def __init__(self, name: str, node_dim: int, edge_dim: int, width: int, layers: int) -> None:
        super().__init__()
        self.name = name
        self.input = nn.Linear(node_dim + edge_dim, width)
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(layers))
        self.convolutions = nn.ModuleList(_convolution(name, edge_dim, width) for _ in range(layers))

    def standardise(self) -> None:
        self.input = StandardisedLinear(self.input)

    def prepare(self, batch: GraphBatch) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """What depends on the batch alone, for `forward` of this encoder and of others on the same batch."""
        both_directions = torch.cat([batch.edge_index, batch.edge_index.flip(0)], dim=1)
        extra: dict[str, Tensor] = {}
        if self.name == "gat":
            extra["edge_attr"] = batch.edge_features.repeat(2, 1)
        elif self.name == "gcn":
            extra["edge_weight"] = symmetric_strength(batch).repeat(2)
        return node_inputs(batch), both_directions, extra

    def forward(self, prepared: tuple[Tensor, Tensor, dict[str, Tensor]]) -> Tensor:
        """(N, width) embedding of the nodes."""
        inputs, both_directions, extra = prepared
        h = self.input(inputs)
        for norm, convolution in zip(self.norms, self.convolutions, strict=True):
            h = h + F.relu(convolution(norm(h), both_directions, **extra))
        return h


def _convolution(name: str, edge_dim: int, width: int) -> nn.Module:
    # Imported here since it takes seconds, and only these four need it.
    from torch_geometric.nn import GATv2Conv, GCNConv, GINConv, SAGEConv

    if name == "gat":
        return GATv2Conv(width, width, edge_dim=edge_dim)
    if name == "gcn":
        return GCNConv(width, width)
    if name == "sage":
        return SAGEConv(width, width)
    return GINConv(nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width)))


def make_encoder(name: str, node_dim: int, edge_dim: int, width: int, layers: int) -> Encoder:
    """The encoder `name`: ``encoder(encoder.prepare(batch))`` is the (N, width) embedding of a `GraphBatch`.

    Raises `InputError` for a name that is neither built in nor registered, and for one that is no `Encoder`.
    """
    if name == "sparse":
        return SparseEncoder(node_dim, edge_dim, width, layers)
    if name in BACKBONE_NAMES:
        return MessageEncoder(name, node_dim, edge_dim, width, layers)
    encoder = load_extension("backbones", name, BACKBONE_NAMES)(node_dim, edge_dim, width, layers)
    require(isinstance(encoder, Encoder), "backbones", name, f"makes a {type(encoder).__name__}, not an Encoder")
    return encoder
