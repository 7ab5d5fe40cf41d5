"""A matrix that is singular or not positive semidefinite, found cheaply."""

from __future__ import annotations

import numpy as np
from scipy.linalg import eigh, eigh_tridiagonal, eigvalsh
from scipy.sparse import bsr_array, csr_array

from rllib_psparsity.amg.direct_solver import DirectSolver
from rllib_psparsity.amg.hierarchy import Hierarchy

STEPS = 40
NEGATIVE = 1e-6
"""A quotient x^T A x / x^T D x below minus this is no rounding, also of a matrix in single precision."""


VANISHED = 1e-10
"""x^T D x of a combination that the prolongators have made zero, up to rounding, relative to its size on the coarsest
level."""


def least_coarse_quotient(hierarchy: Hierarchy, direct: DirectSolver) -> float | None:
    """The least x^T A x / x^T D x, D the diagonal of A, over what the coarsest level has no energy for; None without.

    About 0 for a singular matrix, and clearly negative only for an indefinite one. A combination of coarse unknowns
    that the prolongators make zero, since there are more candidates than an aggregate can hold, says nothing.
    """
    x = direct.null_vectors
    for level in reversed(hierarchy.levels[:-1]):
        assert level.P is not None
        x = level.P @ x
    A = hierarchy.levels[0].A
    sizes, combinations = eigh(x.T @ (A.diagonal()[:, None] * x)) if x.shape[1] else (np.zeros(0), x)
    seen = sizes > VANISHED
    if not seen.any():
        return None
    x = x @ (combinations[:, seen] / np.sqrt(sizes[seen]))
    return float(eigvalsh(x.T @ (A @ x))[0])


def least_quotient(A: csr_array | bsr_array, seed: int = 0) -> float:
    """The least x^T A x / x^T D x, D the diagonal of A, over the space of `STEPS` Lanczos vectors.

    The Ritz values of the Lanczos process (Lanczos 1950) on D^-1/2 A D^-1/2 lie between its extreme eigenvalues, up to
    rounding and also without reorthogonalisation (Paige 1980), so a negative one proves that A is not positive
    semidefinite; a positive one proves nothing.
    """
    root = 1 / np.sqrt(A.diagonal())
    v = np.random.default_rng(seed).standard_normal(A.shape[0])
    v /= np.linalg.norm(v)
    before, beta = np.zeros_like(v), 0.0
    alphas, betas = [], []
    for _ in range(min(STEPS, len(v))):
        w = root * (A @ (root * v)) - beta * before
        alphas.append(float(v @ w))
        w -= alphas[-1] * v
        beta = float(np.linalg.norm(w))
        if beta < 1e-10:  # the space is invariant, so its Ritz values are eigenvalues
            break
        betas.append(beta)
        before, v = v, w / beta
    return float(eigh_tridiagonal(np.array(alphas), np.array(betas[: len(alphas) - 1]), eigvals_only=True)[0])
