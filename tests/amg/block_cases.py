"""Levels of block problems, and scalar ones with several candidates, for comparison with PyAMG's prolongators."""

from __future__ import annotations

import numpy as np
from pyamg.aggregation.tentative import fit_candidates
from pyamg.gallery import linear_elasticity
from scipy.sparse import bsr_array, csr_array

from rllib_psparsity.amg.prolongation import aggregate
from rllib_psparsity.amg.strength import strength_matrix
from rllib_psparsity.graph.features import level_graph
from tests.amg.cases import coarse_level, problem


def two_candidates() -> tuple[bsr_array, np.ndarray]:
    case = problem("nine_point", size=9)
    return case.A.tobsr((1, 1)), np.column_stack([case.B, np.random.default_rng(0).standard_normal(len(case.B))])


def three_dimensions() -> tuple[bsr_array, np.ndarray]:
    A, _ = linear_elasticity((4, 4), format="bsr")
    rng = np.random.default_rng(0)
    blocks = rng.standard_normal((len(A.indices), 3, 3))
    full = bsr_array((blocks, A.indices, A.indptr), shape=(48, 48)).toarray()
    return bsr_array(full + full.T, blocksize=(3, 3)), rng.standard_normal((48, 6))


LEVELS = {
    "finest": lambda: (problem("elasticity", size=9).A, problem("elasticity", size=9).B),
    "coarse": lambda: coarse_level("elasticity"),
    "three dimensions": three_dimensions,
    "two candidates": two_candidates,
}


def strength(A: bsr_array, B: np.ndarray, share: float, seed: int) -> csr_array:
    """A random share of the edges."""
    graph = level_graph(A, B, 0)
    return strength_matrix(graph, np.random.default_rng(seed).random(graph.num_edges) < share)


def aggregation_operator(aggregates: np.ndarray, num_aggregates: int) -> csr_array:
    """PyAMG's AggOp: a one for every node in an aggregate."""
    inside = aggregates >= 0
    indptr = np.r_[0, np.cumsum(inside)].astype(np.int32)
    return csr_array((np.ones(inside.sum(), np.int32), aggregates[inside], indptr), (len(inside), num_aggregates))


def tentative(A: bsr_array, B: np.ndarray, share: float, seed: int) -> tuple[csr_array, bsr_array, np.ndarray]:
    """C with a random share of the edges, T and B_coarse."""
    C = strength(A, B, share, seed)
    aggregates, roots = aggregate(C)
    return C, *fit_candidates(aggregation_operator(aggregates, len(roots)), B)
