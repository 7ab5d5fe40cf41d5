"""Inverses of many small symmetric matrices."""

from __future__ import annotations

import numpy as np

WELL_CONDITIONED = 1e10
"""Condition number (Frobenius norm) below which the inverse of a matrix is its pseudo-inverse."""


def small_inverses(blocks: np.ndarray) -> np.ndarray:
    """(N, m, m) symmetric -> their pseudo-inverses, of which only the ill-conditioned ones take the longer that those
    need."""
    try:
        inverses = np.linalg.inv(blocks)
    except np.linalg.LinAlgError:
        return np.linalg.pinv(blocks, hermitian=True)
    condition = np.linalg.norm(blocks, axis=(1, 2)) * np.linalg.norm(inverses, axis=(1, 2))
    ill = ~(condition < WELL_CONDITIONED)
    if ill.any():
        inverses[ill] = np.linalg.pinv(blocks[ill], hermitian=True)
    return inverses
