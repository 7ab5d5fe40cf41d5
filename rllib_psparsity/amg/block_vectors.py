"""Products with (n, K) block vectors, and how kernels take them: in strips of four columns.

Four sums fit into registers and hide the latency of each other's additions, which a loop over K in memory does not.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.sparse import bsr_array, csr_array

from rllib_psparsity.compiled import compiled
from rllib_psparsity.unsigned import unsigned

STRIP = 4


def by_strips(function: Callable[[np.ndarray], np.ndarray], x: np.ndarray) -> np.ndarray:
    """(n, K): what `function`, a map of (n, 4) contiguous float64 arrays that acts on columns, makes of all of x."""
    n, num_vectors = x.shape
    if num_vectors == STRIP:
        return function(np.ascontiguousarray(x))
    result = np.empty((n, num_vectors))
    for start in range(0, num_vectors, STRIP):
        stop = min(start + STRIP, num_vectors)
        strip = np.zeros((n, STRIP))
        strip[:, : stop - start] = x[:, start:stop]
        result[:, start:stop] = function(strip)[:, : stop - start]
    return result


def multiply(A: csr_array | bsr_array, x: np.ndarray) -> np.ndarray:
    """A x for x (n, K) float64."""
    return A @ x if A.format == "bsr" else by_strips(lambda strip: _product(A.indptr, A.indices, A.data, strip), x)


@compiled()
def _product(indptr, indices, data, x):
    indptr, indices = unsigned(indptr), unsigned(indices)
    n = len(indptr) - 1
    result = np.empty((n, 4))
    for i in range(n):
        s0 = s1 = s2 = s3 = 0.0
        for entry in range(indptr[i], indptr[i + 1]):
            a, j = data[entry], indices[entry]
            s0 += a * x[j, 0]
            s1 += a * x[j, 1]
            s2 += a * x[j, 2]
            s3 += a * x[j, 3]
        result[i, 0], result[i, 1], result[i, 2], result[i, 3] = s0, s1, s2, s3
    return result
