"""Index arrays as compiled kernels read them fastest."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba.extending import overload


def unsigned(index: Any) -> Any:
    """Inside a kernel: an array of integers that are not negative, viewed as unsigned ones of the same size.

    numba checks every signed index for counting from the end. In the loops over sparse rows that check costs a third to
    a half of the time; with unsigned indices it is not there. Add to them with care: numba makes a float of the sum of
    uint64 and int64.
    """
    return index.view(f"u{index.itemsize}")


@overload(unsigned)
def _unsigned(index):
    kind = {32: np.uint32, 64: np.uint64}[index.dtype.bitwidth]
    return lambda index: index.view(kind)
