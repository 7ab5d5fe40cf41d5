"""The right-hand side of a problem, the same for all methods."""

from __future__ import annotations

import numpy as np
from scipy.sparse import bsr_array, csr_array
from scipy.sparse.csgraph import connected_components

from rllib_psparsity.amg.measurement import random_right_hand_side
from rllib_psparsity.problems.problem import FILE, Problem

ZERO = 1e-11
"""A row whose sum is at most this share of its diagonal entry sums to zero; as small as what `DirectSolver` leaves out
of a singular coarsest level."""


def right_hand_side(problem: Problem, seed: int) -> np.ndarray:
    """(n,) `random_right_hand_side`, made `consistent` for a matrix that a user brought: no other one is singular."""
    b = random_right_hand_side(problem.num_unknowns, seed)
    return consistent(problem.A, b) if problem.family == FILE else b


def consistent(A: csr_array | bsr_array, b: np.ndarray) -> np.ndarray:
    """b without its mean over every connected component of A all of whose rows sum to zero.

    On such a component constants are in the nullspace, as in a pure Neumann problem, so a right-hand side is in the
    range only without a mean. Other nullspaces, such as the rotations of a free body, are not looked for.
    """
    _, part = connected_components(csr_array(A) != 0, directed=False)
    held = np.abs(A @ np.ones(len(b))) > ZERO * A.diagonal()
    is_singular = np.bincount(part, held) == 0
    means = np.bincount(part, b) / np.bincount(part)
    return b - np.where(is_singular, means, 0.0)[part]
