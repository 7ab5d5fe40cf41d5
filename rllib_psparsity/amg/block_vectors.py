"""Products with (n, K) block vectors, and how kernels take them: in strips of four columns, or as one vector.

Four sums fit into registers and hide the latency of each other's additions, which a loop over K in memory does not.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.sparse import bsr_array, csr_array

from rllib_psparsity.amg.registers import load, minus, store, zero
from rllib_psparsity.compiled import compiled
from rllib_psparsity.unsigned import unsigned

STRIP = 4


def by_strips(function: Callable[..., np.ndarray], *vectors: np.ndarray) -> np.ndarray:
    """(n, K), or (n,): what `function` makes of all of the `vectors`, which have one shape.

    It acts on columns, and maps contiguous float64 arrays, all of them (n, 4) or, of one column, (n,).
    """
    if vectors[0].ndim == 1:
        return function(*map(np.ascontiguousarray, vectors))
    n, num_vectors = vectors[0].shape
    if num_vectors == 1:
        return function(*(np.ascontiguousarray(x[:, 0]) for x in vectors))[:, None]
    if num_vectors == STRIP:
        return function(*map(np.ascontiguousarray, vectors))
    result = np.empty((n, num_vectors))
    for start in range(0, num_vectors, STRIP):
        columns = slice(start, min(start + STRIP, num_vectors))
        result[:, columns] = function(*(_strip(x, columns) for x in vectors))[:, : columns.stop - start]
    return result


def _strip(x: np.ndarray, columns: slice) -> np.ndarray:
    strip = np.zeros((len(x), STRIP))
    strip[:, : columns.stop - columns.start] = x[:, columns]
    return strip


def multiply(A: csr_array | bsr_array, x: np.ndarray) -> np.ndarray:
    """A x for x (n, K) or (n,) float64."""
    if A.format == "bsr" or x.ndim == 1 or x.shape[1] == 1:
        return A @ x
    return by_strips(lambda strip: _product(A.indptr, A.indices, A.data, strip), x)


@compiled()
def _product(indptr, indices, data, x):
    indptr, indices = unsigned(indptr), unsigned(indices)
    n = len(indptr) - 1
    result = np.empty_like(x)
    for i in range(n):
        s = zero(x)
        for entry in range(indptr[i], indptr[i + 1]):
            s = minus(s, -data[entry], load(x, indices[entry]))
        store(result, i, s)
    return result
