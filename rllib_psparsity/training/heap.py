"""Memory that a process has freed goes back to the system."""

from __future__ import annotations

import ctypes
import ctypes.util
import functools
from collections.abc import Callable


@functools.cache
def _malloc_trim() -> Callable[[int], int] | None:
    """glibc's, or None where the C library has none."""
    name = ctypes.util.find_library("c")
    return getattr(ctypes.CDLL(name), "malloc_trim", None) if name else None


def trim_heap() -> bool:
    """Give free pages back, also those in the middle of the heap; whether there were any.

    Episodes allocate and free many arrays of changing sizes, between which glibc's heap fragments: a runner on 128x128
    problems grew by some 1.5 MB an episode without anything being kept.
    """
    trim = _malloc_trim()
    return bool(trim(0)) if trim else False
