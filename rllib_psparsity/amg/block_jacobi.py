"""The filtered Jacobi prolongator of block problems, and of scalar ones with several candidates.

The numbers are those of PyAMG's `jacobi_prolongation_smoother` with ``filter_entries=True, weighting="local"``, which
inverts a small matrix for every node, one by one; that is a third of a whole set-up.
"""

from __future__ import annotations

import numpy as np
from pyamg.aggregation.smooth import satisfy_constraints
from scipy.sparse import bsr_array, csr_array

from rllib_psparsity.amg.jacobi import OMEGA
from rllib_psparsity.amg.reproduction import normal_matrices
from rllib_psparsity.amg.small_inverses import small_inverses


def smooth_blocks_by_jacobi(A: bsr_array, T: bsr_array, C: csr_array, B_coarse: np.ndarray) -> bsr_array:
    """P = T - U, U the part of omega D^-1 S T that leaves the coarse candidates alone: U B_coarse = 0.

    S is A where C has an entry, D its rows' sums of magnitudes. Each row of U is projected on the pattern of S T
    (Vanek, Mandel and Brezina 1996; the constraint as in Olson, Schroder and Tuminaro 2011, section 3).

    Parameters
    ----------
    A : (n, n) bsr_array with sorted indices
    T : (n, n_c) bsr_array, the tentative prolongator of smoothed aggregation
    C : (N, N) csr_array with its diagonal, the strong couplings; its values play no role
    B_coarse : (n_c, K_b)
    """
    S = _filtered(A, C)
    sums = (abs(S) @ np.ones(S.shape[1])).reshape(-1, S.blocksize[0])
    weights = np.divide(OMEGA, sums, out=np.zeros_like(sums), where=sums != 0)
    S.data *= np.repeat(weights, np.diff(S.indptr), axis=0)[:, :, None]
    U = (S @ T).tobsr(blocksize=T.blocksize)
    satisfy_constraints(U, B_coarse, small_inverses(normal_matrices(U, B_coarse)))
    return T - U


def _filtered(A: bsr_array, C: csr_array) -> bsr_array:
    """A without the blocks that are zero, or that C has no entry for."""
    # A product entry by entry keeps what both have: of A the numbers of its blocks.
    number = csr_array((np.arange(1, len(A.indices) + 1), A.indices, A.indptr), shape=C.shape)
    pattern = csr_array((np.ones(C.nnz, dtype=np.int64), C.indices, C.indptr), shape=C.shape)
    kept = number.multiply(pattern).tocsr()
    blocks = A.data[kept.data - 1]
    there = blocks.any(axis=(1, 2))
    indptr = np.r_[0, np.cumsum(there)][kept.indptr].astype(A.indptr.dtype)  # PyAMG's kernels take no mixture
    return bsr_array((blocks[there], kept.indices[there], indptr), shape=A.shape)
