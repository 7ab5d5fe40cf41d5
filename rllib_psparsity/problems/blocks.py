"""Whether the unknowns of a matrix are displacements that come node by node, though nothing says so.

Files and assemblies of elasticity are often plain sparse matrices. Taken unknown by unknown, multigrid aggregates
displacements of different directions, and conjugate gradients need several times the iterations.
"""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_array

SIZES = (3, 2)
"""Displacements of a node, in space and in the plane."""
FILLED = 0.6
"""Least share of the blocks' entries that are there. Elasticity: 0.67 (equal hexahedra) to 1; a row by row numbering of
a grid, taken in pairs: 0.5."""
LITTLE = 0.2
"""Largest energy of a translation, v^T A v / v^T D v with the diagonal D of A. Elasticity of a thousand unknowns: below
0.1, and less on larger matrices; elements whose unknowns fill blocks for another reason: from 0.38."""
LIKE_CONSTANTS = 5.0
"""Largest energy of a translation by that of all of them together. Elasticity: up to 2.7."""
ROUNDING = 1e-12
"""Energy that a translation of a body which nothing holds may have."""
LEAST_NODES = 100
"""Fewer need no multigrid."""
SAMPLE = 256
"""Nodes whose blocks are looked at first."""


def unknowns_a_node(A: csr_array) -> int:
    """3 or 2 if A (n, n), canonical, is that of displacements which come node by node, else 1.

    Its entries must fill blocks, and the translations, one unknown of every node, must take nearly as little energy as
    constants do. The first is tested on a sample of nodes, which decides for nearly all other matrices.
    """
    for size in SIZES:
        if A.shape[0] % size == 0 and A.shape[0] >= LEAST_NODES * size and _filled(A, size) >= FILLED:
            translations = np.tile(np.eye(size), (A.shape[0] // size, 1))
            products, scale = A @ translations, A.diagonal().reshape(-1, size).sum(axis=0)
            energies = np.sum(translations * products, axis=0) / scale
            together = products.sum() / scale.sum()
            if energies.max() <= min(LITTLE, LIKE_CONSTANTS * together + ROUNDING):
                return size
    return 1


def _filled(A: csr_array, size: int) -> float:
    """Entries in the rows of a sample of nodes, as a share of all that their blocks have room for."""
    nodes = A.shape[0] // size
    sample = np.unique(np.linspace(0, nodes - 1, SAMPLE).astype(np.int64))
    first, last = A.indptr[size * sample].astype(np.int64), A.indptr[size * sample + size]
    counts = last - first
    entries = np.arange(counts.sum()) + np.repeat(first - np.cumsum(counts) + counts, counts)
    blocks = np.repeat(sample, counts) * nodes + A.indices[entries] // size
    return len(entries) / (len(np.unique(blocks)) * size * size)
