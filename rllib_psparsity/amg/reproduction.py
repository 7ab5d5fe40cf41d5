"""Prolongators that reproduce the near-nullspace candidates: P B_coarse = B.

PyAMG holds P to this by normal equations of the candidates on a row's pattern, which square their condition: of nearly
dependent candidates, such as constants and another vector that relaxation has made almost constant in every part of a
domain, six digits are left. Coarse levels of a singular matrix then have an energy where they should have none.
"""

from __future__ import annotations

import numpy as np
from scipy.sparse import bsr_array, csr_array

REPRODUCED = 1e-10
"""Relative error of P B_coarse that is left alone: well-conditioned candidates have less, and keep PyAMG's bits."""
DEPENDENT = 1e-14
"""Eigenvalues of normal matrices below this share of the largest are rounding: the pattern lacks that candidate."""
PASSES = 3
"""Each takes as many digits of the error away as the normal equations have right."""


def reproduce_candidates(P: bsr_array, B_coarse: np.ndarray, B: np.ndarray, aggregates: np.ndarray) -> None:
    """Change P in place, on its pattern and as little as possible, to P B_coarse = B on the nodes of aggregates.

    Iterative refinement of the constraint of Olson, Schroder and Tuminaro (2011, section 3). A row whose pattern is too
    small for all candidates stays as near as it was.

    Parameters
    ----------
    P : (n, n_c) bsr_array; B_coarse : (n_c, K_b); B : (n, K_b); aggregates : (N,), -1 for a node without one
    """
    allowed = REPRODUCED * np.abs(B).max(axis=0)
    for _ in range(PASSES):
        error = (P @ B_coarse - B).reshape(len(aggregates), -1, B.shape[1])
        nodes = np.flatnonzero((aggregates >= 0) & (np.abs(error) > allowed).any(axis=(1, 2)))
        if len(nodes) == 0:
            return
        normal = normal_matrices(P, B_coarse)[nodes]
        coefficients = error[nodes] @ np.linalg.pinv(normal, rcond=DEPENDENT, hermitian=True)
        in_reach = (np.abs(coefficients @ normal) > allowed).any(axis=(1, 2))
        if not in_reach.any():
            return
        of_node = np.zeros_like(error)
        of_node[nodes[in_reach]] = coefficients[in_reach]
        rows = np.repeat(np.arange(len(aggregates)), np.diff(P.indptr))
        blocks = B_coarse.reshape(-1, P.blocksize[1], B.shape[1])[P.indices]
        P.data -= of_node[rows] @ blocks.transpose(0, 2, 1)


def normal_matrices(P: bsr_array, B_coarse: np.ndarray) -> np.ndarray:
    """(N, K_b, K_b): B_i^T B_i of every block row i of P, B_i being B_coarse on the row's pattern."""
    num_candidates = B_coarse.shape[1]
    blocks = B_coarse.reshape(-1, P.blocksize[1], num_candidates)
    of_columns = np.matmul(blocks.transpose(0, 2, 1), blocks).reshape(len(blocks), -1)
    pattern = csr_array((np.ones(len(P.indices)), P.indices, P.indptr), shape=(len(P.indptr) - 1, len(blocks)))
    return (pattern @ of_columns).reshape(-1, num_candidates, num_candidates)
