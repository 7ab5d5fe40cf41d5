"""A matrix that is not positive semidefinite, found cheaply."""

from __future__ import annotations

import numpy as np
from scipy.linalg import eigh_tridiagonal
from scipy.sparse import bsr_array, csr_array

STEPS = 40
NEGATIVE = 1e-6
"""A quotient x^T A x / x^T D x below minus this is no rounding, also of a matrix in single precision."""


def rayleigh_quotient(A: csr_array | bsr_array, x: np.ndarray) -> float:
    """x^T A x / x^T D x, D the diagonal of A; 0 for a vector that is zero."""
    size = float(x * x @ A.diagonal())
    return float(x @ (A @ x)) / size if size > 0 else 0.0


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
