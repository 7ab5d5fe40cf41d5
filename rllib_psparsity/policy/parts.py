"""Kernels of the learner on several cores: while it computes, the env runners of its machine are idle."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

PARTS = 4
"""Always as many, however many cores there are: sums over parts then have the same bits on every machine."""

Result = TypeVar("Result")


def in_parts(function: Callable[[int, int], Result], count: int) -> list[Result]:
    """``function(first, last)`` for consecutive parts of range(count), side by side; it has to release the GIL."""
    bounds = [count * part // PARTS for part in range(PARTS + 1)]
    return list(_pool().map(function, bounds[:-1], bounds[1:]))


@functools.cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(min(PARTS, os.cpu_count() or 1), thread_name_prefix="kernels")
