"""The same problem with its nodes in another order."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.sparse import bsr_array, csr_array

from rllib_psparsity.problems.problem import Problem


def renumbered(problem: Problem, order: np.ndarray) -> Problem:
    """The problem whose node i is node ``order[i]`` of the given one; the unknowns of a node stay together.

    Parameters
    ----------
    order : (N,) int, a permutation of the nodes
    """
    size = problem.block_size
    unknowns = (order[:, None] * size + np.arange(size)).ravel()
    matrix = csr_array(problem.A)[unknowns][:, unknowns]
    if isinstance(problem.A, bsr_array):
        matrix = matrix.tobsr(blocksize=(size, size))
    matrix.sort_indices()
    return replace(problem, A=matrix, B=problem.B[unknowns])
