"""The same problem with its nodes in another order."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.sparse import bsr_array, coo_array, csr_array

from rllib_psparsity.problems.problem import Problem


def renumbered(problem: Problem, order: np.ndarray) -> Problem:
    """The problem whose node i is node ``order[i]`` of the given one; the unknowns of a node stay together.

    Parameters
    ----------
    order : (N,) int, a permutation of the nodes
    """
    A, size = problem.A, problem.block_size
    new = np.empty(len(order), dtype=np.int32)
    new[order] = np.arange(len(order), dtype=np.int32)
    rows = np.repeat(new, np.diff(A.indptr))
    # The old place of every entry, or block, as the value of a matrix that is then sorted.
    places = coo_array((np.arange(len(rows)), (rows, new[A.indices])), shape=(len(order), len(order))).tocsr()
    places.sort_indices()
    data, structure = A.data[places.data], (places.indices.astype(np.int32), places.indptr.astype(np.int32))
    matrix = (
        bsr_array((data, *structure), A.shape) if isinstance(A, bsr_array) else csr_array((data, *structure), A.shape)
    )
    unknowns = (order[:, None] * size + np.arange(size)).ravel()
    return replace(problem, A=matrix, B=problem.B[unknowns])
