"""Energies of block vectors, by vector and by node."""

from __future__ import annotations

import numpy as np
from scipy.sparse import bsr_array, csr_array


def energies(A: csr_array | bsr_array, errors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """e^T A e of K errors (n, K): (K,) totals, and (N,) the nodes' shares of them, summed over the vectors.

    The totals are bounded away from zero, so that their logarithms exist for an error that a cycle removed entirely.
    """
    products = errors * (A @ errors)
    block = A.blocksize[0] if A.format == "bsr" else 1
    totals = np.maximum(products.sum(axis=0), 1e-300)
    # Shares, so that vectors count alike, however much of them is left.
    return totals, (products / totals).sum(axis=1).reshape(-1, block).sum(axis=1)
