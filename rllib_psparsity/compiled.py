"""Compiled kernels, kept on disk for later processes where numba can write."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import cache
from typing import Any

from numba import njit


def compiled(**options: Any) -> Callable[[Callable[..., Any]], Any]:
    """`numba.njit` with these options and its cache; without the cache where no directory for it can be written.

    numba refuses to cache in a read-only installation without a home directory, as containers and services have them.
    """

    def compile_later(function: Callable[..., Any]) -> Any:
        try:
            return njit(cache=True, **options)(function)
        except RuntimeError:
            _warn()
            return njit(**options)(function)

    return compile_later


@cache
def _warn() -> None:
    warnings.warn(
        "no directory can be written for compiled kernels, so that every process compiles them anew for some 20 "
        "seconds; set NUMBA_CACHE_DIR to a directory that can be written",
        stacklevel=4,
    )
