"""Memory that a process has freed goes back to the system."""

from __future__ import annotations

import ctypes
import ctypes.util
import functools
import mmap
from collections.abc import Callable
from pathlib import Path

OBJECT_STORE = "/dev/shm/plasma"
"""What the file behind Ray's object store is called, up to a random end."""


@functools.cache
def _c_library() -> ctypes.CDLL | None:
    name = ctypes.util.find_library("c")
    return ctypes.CDLL(name) if name else None


def trim_heap() -> bool:
    """Give free pages back, also those in the middle of the heap; whether there were any.

    Episodes allocate and free many arrays of changing sizes, between which glibc's heap fragments: a runner on 128x128
    problems grew by some 1.5 MB an episode without anything being kept. Another C library may have nothing to trim.
    """
    trim: Callable[[int], int] | None = getattr(_c_library(), "malloc_trim", None)
    return bool(trim(0)) if trim else False


def let_go_of_object_store(file: str = OBJECT_STORE) -> int:
    """Take the pages of Ray's object store out of this process; returns how many bytes of it are mapped.

    Whatever a process writes to the store or reads there stays among its pages, until all of the store does. They
    belong to the store, which keeps what is in them: a page that is wanted again is mapped again (madvise(2),
    MADV_DONTNEED of a shared mapping). Nothing happens where there is no such file or no /proc.
    """
    maps, library, mapped = Path("/proc/self/maps"), _c_library(), 0
    if library is None or not maps.exists():
        return mapped
    for line in maps.read_text().splitlines():
        addresses, access, *_ = line.split(maxsplit=2)
        if file in line and access.endswith("s"):  # never a private mapping, whose contents would be lost
            start, end = (int(address, 16) for address in addresses.split("-"))
            library.madvise(ctypes.c_void_p(start), ctypes.c_size_t(end - start), mmap.MADV_DONTNEED)
            mapped += end - start
    return mapped
