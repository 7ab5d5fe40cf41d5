"""Hints to the processor which numbers a kernel is going to read.

Rows that a kernel reaches through an index lie anywhere. Where the caches do not hold them all, it would wait for
memory at every row; but which rows come next is known, so they are asked for a few rows ahead. A hint changes no
result, and one beyond the end of an array does no harm.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic, overload

from rllib_psparsity.compiled import compiled

ROWS_AHEAD = 4
"""So many rows before they are read."""

CACHED = 1 << 18
"""Matrices of so few entries are in the caches, and hints for them cost more than they gain."""


def prefetch(array: Any, index: Any) -> None:
    """Inside a kernel: have ``array[index]`` and what shares its cache line fetched; nothing waits for it."""


@overload(prefetch)
def _prefetch(array, index):
    return lambda array, index: _hint(array, index)  # pyright: ignore[reportCallIssue]


@intrinsic
def _hint(typingctx, array, index):
    def generate(context, builder, signature, arguments):
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        byte, number = ir.IntType(8).as_pointer(), ir.IntType(32)
        address = builder.bitcast(builder.gep(data, [arguments[1]]), byte)
        hint = builder.module.declare_intrinsic(
            "llvm.prefetch", (byte,), ir.FunctionType(ir.VoidType(), [byte, number, number, number])
        )
        builder.call(hint, [address, number(0), number(3), number(1)])  # a read, for all caches, of data
        return context.get_dummy_value()

    return types.void(array, types.intp), generate


@compiled()
def prefetch_row(indices, data, first):
    """Inside a kernel: have some thirty entries from `first` on fetched, a row of a coarse level, with cache lines that
    it shares at both of its ends."""
    for line in range(5):
        prefetch(data, first + 8 * line)
    for line in range(3):
        prefetch(indices, first + 16 * line)
