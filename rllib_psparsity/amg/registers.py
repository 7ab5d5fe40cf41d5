"""What a kernel keeps in registers of a row of a vector: one number of a vector (n,), four of a strip (n, 4).

A kernel that is written with these serves both, each compiled on its own: numba takes the kind from the arrays' types.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba.core.types import BaseTuple
from numba.extending import overload


def load(x: np.ndarray, i: Any) -> Any:
    """Row i."""
    return x[i]


def store(x: np.ndarray, i: Any, s: Any) -> None:
    """Row i becomes s."""
    x[i] = s


def zero(x: np.ndarray) -> Any:
    """Nothing yet, of as many columns as x."""
    return np.zeros(x.shape[1:])


def minus(s: Any, factor: Any, t: Any) -> Any:
    """s - factor t."""
    return s - factor * t


def times(s: Any, factor: Any) -> Any:
    """factor s."""
    return s * factor


@overload(load)
def _load(x, i):
    if x.ndim == 1:
        return lambda x, i: x[i]
    return lambda x, i: (x[i, 0], x[i, 1], x[i, 2], x[i, 3])


@overload(store)
def _store(x, i, s):
    if x.ndim == 1:

        def one(x, i, s):
            x[i] = s

        return one

    def four(x, i, s):
        x[i, 0], x[i, 1], x[i, 2], x[i, 3] = s

    return four


@overload(zero)
def _zero(x):
    if x.ndim == 1:
        return lambda x: 0.0
    return lambda x: (0.0, 0.0, 0.0, 0.0)


@overload(minus)
def _minus(s, factor, t):
    if not isinstance(s, BaseTuple):
        return lambda s, factor, t: s - factor * t
    return lambda s, factor, t: (s[0] - factor * t[0], s[1] - factor * t[1], s[2] - factor * t[2], s[3] - factor * t[3])


@overload(times)
def _times(s, factor):
    if not isinstance(s, BaseTuple):
        return lambda s, factor: s * factor
    return lambda s, factor: (s[0] * factor, s[1] * factor, s[2] * factor, s[3] * factor)
