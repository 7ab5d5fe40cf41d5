"""Short rows of float32 as vectors of the processor.

Written in LLVM's terms, since its vectoriser gives up on short rows of arrays that might overlap: four times faster
than loops, and than SciPy's product of a sparse and a dense matrix.

All arrays of floats are 2-dimensional and contiguous. Of `lanes` only the length counts, which is that of a row: a
tuple's length is part of its type, so that numba compiles a version for it.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

NUM_SUMS = 3


def _vector(lanes: Any) -> ir.VectorType:
    return ir.VectorType(ir.FloatType(), lanes.count)


def _pointer(context: Any, builder: Any, signature: Any, args: Any, position: int, *index: Any) -> Any:
    """To the entry of the array that is the argument at this position."""
    kind = signature.args[position]
    array = context.make_array(kind)(context, builder, args[position])
    return cgutils.get_item_pointer(context, builder, kind, array, list(index), wraparound=False)


def _row(context: Any, builder: Any, signature: Any, args: Any, position: int, number: Any) -> Any:
    """Pointer to a row of such an array as a vector."""
    start = _pointer(context, builder, signature, args, position, number, context.get_constant(types.intp, 0))
    return builder.bitcast(start, _vector(signature.args[-1]).as_pointer())


def _integer(context: Any, builder: Any, signature: Any, args: Any, position: int) -> Any:
    return context.cast(builder, args[position], signature.args[position], types.intp)


def _entry(context: Any, builder: Any, signature: Any, args: Any, position: int, k: Any) -> Any:
    """Number k of an array of integers."""
    value = builder.load(_pointer(context, builder, signature, args, position, k))
    return context.cast(builder, value, signature.args[position].dtype, types.intp)


def _zeros(builder: Any, signature: Any, count: int) -> list[Any]:
    """Places for so many vectors, zero whenever this is passed."""
    zero = _vector(signature.args[-1])(None)
    places = [cgutils.alloca_once(builder, zero.type) for _ in range(count)]
    for place in places:
        builder.store(zero, place)
    return places


def _added(builder: Any, vector: Any, factor: Any, row: Any) -> Any:
    """vector + factor * row"""
    undefined, lanes = row.type(ir.Undefined), row.type.count
    one = builder.insert_element(undefined, factor, ir.IntType(32)(0))
    factors = builder.shuffle_vector(one, undefined, ir.VectorType(ir.IntType(32), lanes)([0] * lanes))
    return builder.fadd(vector, builder.fmul(factors, row, flags=("contract",)), flags=("contract",))


def _define_add_row(typing_context: Any, target: Any, i: Any, source: Any, j: Any, factor: Any, lanes: Any) -> Any:
    """``target[i] += factor * source[j]``"""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        to, fetched = (
            _row(context, builder, signature, args, position, _integer(context, builder, signature, args, position + 1))
            for position in (0, 2)
        )
        total = _added(builder, builder.load(to, align=4), args[4], builder.load(fetched, align=4))
        builder.store(total, to, align=4)
        return context.get_dummy_value()

    return types.void(target, i, source, j, factor, lanes), generate


def _define_sum_rows(
    typing_context: Any,
    target: Any,
    i: Any,
    source: Any,
    factor: Any,
    number: Any,
    start: Any,
    stop: Any,
    lanes: Any,
) -> Any:
    """``target[i] = sum_k factor * source[number[k]]`` for k from start to stop; the sum stays in a register."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        (total,) = _zeros(builder, signature, 1)
        begin, end = (_integer(context, builder, signature, args, position) for position in (5, 6))
        with cgutils.for_range(builder, builder.sub(end, begin)) as loop:
            k = _entry(context, builder, signature, args, 4, builder.add(begin, loop.index))
            row = builder.load(_row(context, builder, signature, args, 2, k), align=4)
            builder.store(_added(builder, builder.load(total), args[3], row), total)
        to = _row(context, builder, signature, args, 0, _integer(context, builder, signature, args, 1))
        builder.store(builder.load(total), to, align=4)
        return context.get_dummy_value()

    return types.void(target, i, source, factor, number, start, stop, lanes), generate


def _define_sum_three(
    typing_context: Any,
    target: Any,
    i: Any,
    source: Any,
    factors: Any,
    neighbour: Any,
    edge: Any,
    start: Any,
    stop: Any,
    lanes: Any,
) -> Any:
    """``target[i + r] = sum_k factors[edge[k], r] * source[neighbour[k]]`` for r = 0, 1, 2 and k from start to stop.

    The sums stay in registers, and a row of the source is loaded once for the three.
    """

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        first, begin, end = (_integer(context, builder, signature, args, position) for position in (1, 6, 7))
        sums = _zeros(builder, signature, NUM_SUMS)
        with cgutils.for_range(builder, builder.sub(end, begin)) as loop:
            k = builder.add(begin, loop.index)
            j, e = (_entry(context, builder, signature, args, position, k) for position in (4, 5))
            row = builder.load(_row(context, builder, signature, args, 2, j), align=4)
            for r, total in enumerate(sums):
                column = context.get_constant(types.intp, r)
                factor = builder.load(_pointer(context, builder, signature, args, 3, e, column))
                builder.store(_added(builder, builder.load(total), factor, row), total)
        for r, total in enumerate(sums):
            to = builder.add(first, context.get_constant(types.intp, r))
            builder.store(builder.load(total), _row(context, builder, signature, args, 0, to), align=4)
        return context.get_dummy_value()

    return types.void(target, i, source, factors, neighbour, edge, start, stop, lanes), generate


add_row: Any = intrinsic(_define_add_row)
sum_rows: Any = intrinsic(_define_sum_rows)
sum_three: Any = intrinsic(_define_sum_three)
