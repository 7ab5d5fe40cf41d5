"""Small problems: compiled kernels and libraries are loaded at first use, which is no property of what is measured."""

from __future__ import annotations

import numpy as np
from scipy.sparse import bsr_array

from rllib_psparsity.amg.energy_minimisation import minimise_energy
from rllib_psparsity.amg.prolongation import aggregate
from rllib_psparsity.amg.tentative import fit_smoothed_aggregation
from rllib_psparsity.graph.features import large_level_graph
from rllib_psparsity.graph.level_graph import EDGE_FEATURES
from rllib_psparsity.problems.families.stencil import stencil_matrix
from rllib_psparsity.problems.problem import Problem

LAPLACIAN = np.array([[0.0, -1.0, 0.0], [-1.0, 4.0, -1.0], [0.0, -1.0, 0.0]])


SIDE = 64
"""Enough for a coarse level that is coarsened in its turn: it has kernels of its own."""


def kind_of(problem: Problem) -> tuple[int, int]:
    """What kernels are compiled for: unknowns a block, and candidates, which are unknowns a block of coarse levels."""
    return problem.block_size, problem.B.shape[1]


def warm_up_problem(block: int, num_candidates: int) -> Problem:
    """A Laplacian of some 4,000 unknowns of this kind, as a csr_array for blocks of 1."""
    A = stencil_matrix(LAPLACIAN, (block * (SIDE // block), SIDE))
    n = A.shape[0]
    others = np.random.default_rng(0).standard_normal((n, max(num_candidates - block, 0)))
    B = np.hstack([np.tile(np.eye(block), (n // block, 1))[:, :num_candidates], others])
    return Problem(A if block == 1 else bsr_array(A.tobsr((block, block))), B, f"warm-up {block}", "warm-up")


def load_kernels_of_large_levels() -> None:
    """Those that a level of any size runs if it is large, and small ones do without."""
    problem = warm_up_problem(1, 1)
    A = problem.A
    graph = large_level_graph(A, problem.B, 0)
    graph.edge_sample()
    for feature in ("log_symmetric", "evolution_min"):
        graph.edge_feature(EDGE_FEATURES.index(feature))
    aggregates, roots = aggregate(A)
    minimise_energy(A, fit_smoothed_aggregation(aggregates, len(roots), problem.B[:, 0]), A, degree=1, by_rows=True)
