"""Tiny problems: compiled kernels and libraries are loaded at first use, which is no property of what is measured."""

from __future__ import annotations

import numpy as np
from scipy.sparse import bsr_array

from rllib_psparsity.problems.families.stencil import stencil_matrix
from rllib_psparsity.problems.problem import Problem

LAPLACIAN = np.array([[0.0, -1.0, 0.0], [-1.0, 4.0, -1.0], [0.0, -1.0, 0.0]])


def warm_up_problem(blocks: bool) -> Problem:
    """1,600 unknowns as a csr_array or, the same matrix, in 2x2 blocks: kernels do not depend on the blocks' size.

    Enough for a coarse level that is coarsened in its turn: it has kernels of its own.
    """
    A = stencil_matrix(LAPLACIAN, (40, 40))
    if not blocks:
        return Problem(A, np.ones((1600, 1)), "warm-up", "warm-up")
    return Problem(bsr_array(A.tobsr((2, 2))), np.tile(np.eye(2), (800, 1)), "warm-up of blocks", "warm-up")
