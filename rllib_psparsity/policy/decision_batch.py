"""Decisions on a batch of graphs as tensors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from rllib_psparsity.amg.decision import Decision
from rllib_psparsity.errors import InputError
from rllib_psparsity.graph.level_graph import LevelGraph
from rllib_psparsity.policy.batch import GraphBatch


@dataclass(frozen=True, slots=True)
class DecisionBatch:
    """D decisions on the G graphs of a `GraphBatch`; a graph may have been decided several times.

    Attributes
    ----------
    graphs : GraphBatch of D graphs, one for each decision, with N_D nodes and E_D edges in all
    graph : (D,) int64, number of each decision's graph among the G; None if there is one decision per graph, in order
    node, edge : (N_D,) and (E_D,) int64, where the nodes and edges of `graphs` are among those of the G; None likewise
    edge_is_strong : (E_D,) bool
    recipe : (D,) int64
    row_picks : (N_D, k) int64 edge numbers in `graphs`, -1 where a row has fewer edges; None unless all have picks
    """

    graphs: GraphBatch
    graph: Tensor | None
    node: Tensor | None
    edge: Tensor | None
    edge_is_strong: Tensor
    recipe: Tensor
    row_picks: Tensor | None

    @classmethod
    def from_decisions(cls, decisions: Sequence[Decision], batch: GraphBatch) -> DecisionBatch:
        """One decision per graph, in the order of the batch's graphs, on the batch's device.

        Raises `InputError` if a decision does not have one entry per edge of its graph.
        """
        return cls(batch, None, None, None, *_collated(decisions, batch))

    @classmethod
    def from_groups(
        cls, groups: Sequence[Sequence[Decision]], graphs: Sequence[LevelGraph], batch: GraphBatch
    ) -> DecisionBatch:
        """For each of the G graphs, of which `batch` is the union, the decisions that were taken on it, in order."""
        decisions = [decision for group in groups for decision in group]
        counts = np.array([len(group) for group in groups])
        if (counts == 1).all():
            return cls.from_decisions(decisions, batch)
        graph = np.repeat(np.arange(len(groups)), counts)
        device = batch.node_features.device
        repeated = GraphBatch.from_graphs([graphs[int(g)] for g in graph], device, batch.edge_moments[graph])
        node, edge = (
            torch.from_numpy(_copied_rows(sizes.cpu().numpy(), graph)).to(device)
            for sizes in (batch.num_nodes, batch.num_edges)
        )
        return cls(repeated, torch.from_numpy(graph).to(device), node, edge, *_collated(decisions, repeated))


def _copied_rows(sizes: np.ndarray, graph: np.ndarray) -> np.ndarray:
    """Numbers of the rows that copies of the given graphs are made of, when graph g owns sizes[g] consecutive rows."""
    first, length = np.cumsum(sizes) - sizes, sizes[graph]
    return np.repeat(first[graph] - (np.cumsum(length) - length), length) + np.arange(length.sum())


def _collated(decisions: Sequence[Decision], batch: GraphBatch) -> tuple[Tensor, Tensor, Tensor | None]:
    """Masks, recipes and row picks of one decision per graph."""
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
    return torch.from_numpy(strong).to(device), torch.from_numpy(recipe).to(device), row_picks
