"""Energies of block vectors, by vector and by node."""

from __future__ import annotations

import numpy as np
from scipy.sparse import bsr_array, csr_array

from rllib_psparsity.amg.block_vectors import multiply
from rllib_psparsity.compiled import compiled


def energies(A: csr_array | bsr_array, errors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """e^T A e of K errors (n, K): (K,) totals, and (N,) the nodes' shares of them, summed over the vectors.

    The totals are bounded away from zero, so that their logarithms exist for an error that a cycle removed entirely.
    """
    return inner_products(errors, multiply(A, errors), A.blocksize[0] if A.format == "bsr" else 1)


def inner_products(x: np.ndarray, y: np.ndarray, block: int) -> tuple[np.ndarray, np.ndarray]:
    """x^T y of K pairs of vectors (n, K): totals and shares as of `energies`, for nodes of `block` unknowns."""
    return _inner_products(x, y, block)


@compiled()
def _inner_products(x, y, block):
    n, num_vectors = x.shape
    totals, shares = np.zeros(num_vectors), np.zeros(n // block)
    for i in range(n):
        for k in range(num_vectors):
            totals[k] += x[i, k] * y[i, k]
    for k in range(num_vectors):
        if totals[k] < 1e-300:
            totals[k] = 1e-300
    # Shares, so that vectors count alike, however much of them is left.
    weight = 1.0 / totals
    for i in range(n):
        share = 0.0
        for k in range(num_vectors):
            share += x[i, k] * y[i, k] * weight[k]
        shares[i // block] += share
    return totals, shares
