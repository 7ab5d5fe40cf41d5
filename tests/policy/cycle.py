"""A graph of 4 nodes whose decisions can be counted by hand."""

from __future__ import annotations

import math

import numpy as np
import torch

from rllib_psparsity.policy.batch import GraphBatch
from rllib_psparsity.policy.network import PolicyOutput
from tests.policy.random_graphs import graph_from

CYCLE = np.array([[0, 0, 0, 1, 2], [1, 2, 3, 2, 3]])  # degrees 3, 2, 3, 2
CYCLE_GRAPH = graph_from(np.random.default_rng(0), 4, CYCLE)


def cycle_output(recipes: int = 2, requires_grad: bool = False) -> tuple[PolicyOutput, GraphBatch]:
    """Hand-made logits of some spread."""
    generator = torch.Generator().manual_seed(3)
    edge = torch.randn((5, recipes), generator=generator) * 1.5
    recipe = torch.randn((1, recipes), generator=generator)
    output = PolicyOutput(edge.requires_grad_(requires_grad), recipe.requires_grad_(requires_grad), None)
    return output, GraphBatch.from_graphs([CYCLE_GRAPH])


def row_edges(row: int) -> list[int]:
    return [edge for edge in range(5) if row in CYCLE[:, edge]]


def ordered_log_prob(logits: list[float], picks: list[int], offered: list[int]) -> float:
    """Plackett-Luce by its definition: softmax over what is left, pick after pick."""
    left, total = list(offered), 0.0
    for pick in picks:
        total += logits[pick] - math.log(sum(math.exp(logits[edge]) for edge in left))
        left.remove(pick)
    return total
