"""Decisions of a batch of graphs as tensors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from rllib_psparsity.amg.decision import Decision
from rllib_psparsity.errors import InputError
from rllib_psparsity.policy.batch import GraphBatch


@dataclass(frozen=True, slots=True)
class DecisionBatch:
    """One decision per graph of a `GraphBatch`, collated once and used for every epoch.

    Attributes
    ----------
    edge_is_strong : (E,) bool
    recipe : (G,) int64
    row_picks : (N, k) int64 edge numbers in the union, -1 where a row has fewer edges; None unless all have picks
    """

    edge_is_strong: Tensor
    recipe: Tensor
    row_picks: Tensor | None

    @classmethod
    def from_decisions(cls, decisions: Sequence[Decision], batch: GraphBatch) -> DecisionBatch:
        """Collate decisions in the order of the batch's graphs, on the batch's device.

        Raises `InputError` if a decision does not have one entry per edge of its graph.
        """
        num_edges = batch.num_edges.cpu().numpy()
        for graph, (decision, expected) in enumerate(zip(decisions, num_edges, strict=True)):
            if len(decision.edge_is_strong) != expected:
                raise InputError(
                    f"the decision for graph {graph} has {len(decision.edge_is_strong)} edges where its graph has "
                    f"{expected}; pass the decisions in the order of the batch's graphs"
                )
        device = batch.node_features.device
        strong = np.concatenate([decision.edge_is_strong for decision in decisions], dtype=bool)
        recipe = np.array([decision.recipe for decision in decisions], dtype=np.int64)
        picks = [decision.row_picks for decision in decisions if decision.row_picks is not None]
        row_picks = None
        if len(picks) == len(decisions):
            first_edge = np.repeat(np.cumsum(num_edges) - num_edges, batch.num_nodes.cpu().numpy())[:, None]
            local = np.concatenate(picks, dtype=np.int64)
            row_picks = torch.from_numpy(np.where(local >= 0, local + first_edge, -1)).to(device)
        return cls(torch.from_numpy(strong).to(device), torch.from_numpy(recipe).to(device), row_picks)
