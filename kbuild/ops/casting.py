"""Casting inside `eval`: the one place that counts overflows."""

from __future__ import annotations

import numpy as np

from kbuild.fixed import (
    INT64_BITS,
    FixedType,
    IntArray,
    Quantization,
    bits_of,
    cast_counting,
    contains,
    limit,
    shift_left,
    type_for,
    wide,
)
from kbuild.ir.op import OverflowCount, Shape


def cast_into(q: IntArray, fraction: int, to: FixedType, overflow: OverflowCount) -> IntArray:
    """The results of an operation: `kbuild.fixed.cast`, counting the values that were outside the range."""
    result, count = cast_counting(q, fraction, to)
    overflow.add(results=count)
    return result


def cast_inside(q: IntArray, fraction: int, to: FixedType, overflow: OverflowCount) -> IntArray:
    """The same for what stays inside the operation: accumulators and states."""
    result, count = cast_counting(q, fraction, to)
    overflow.add(inside=count)
    return result


def recast_into(q: IntArray, of: FixedType, to: FixedType, overflow: OverflowCount) -> IntArray:
    """The same for integers of the type `of`: they themselves where they are of the other type, too."""
    return q if of.fraction == to.fraction and contains(to, of) else cast_into(q, of.fraction, to, overflow)


def divide_into(
    q: IntArray, divisor: int | IntArray, fraction: int, to: FixedType, overflow: OverflowCount
) -> IntArray:
    """Cast the exact quotients `q / divisor * 2**-fraction` with one rounding; divisors > 0, broadcast to q."""
    shift = fraction - to.fraction
    if isinstance(divisor, int) and is_power_of_two(divisor):
        return cast_into(q, fraction + divisor.bit_length() - 1, to, overflow)
    if shift < 0:
        q, shift = shift_left(q, -shift), 0
    scaled = shift_left(np.atleast_1d(np.asarray(divisor)), shift)
    if bits_of(scaled) >= INT64_BITS:
        q, scaled = wide(q), wide(scaled)
    rounded = quantize_quotient(q, scaled, to.quantization)
    result = limit(rounded, to)
    overflow.add(results=int(np.count_nonzero(result != rounded)))
    return result


def quantize_quotient(q: IntArray, divisor: IntArray, mode: Quantization) -> IntArray:
    """`q / divisor` rounded to integers by the mode, exact."""
    floor = q // divisor
    twice = 2 * (q - floor * divisor)  # in 0 .. 2 * divisor
    nearest_ties_up = floor + (twice >= divisor)
    tie, negative = twice == divisor, q < 0
    if mode is Quantization.TRN:
        return floor
    if mode is Quantization.TRN_ZERO:
        return floor + (negative & (twice > 0))
    if mode is Quantization.RND:
        return nearest_ties_up
    if mode is Quantization.RND_MIN_INF:
        return nearest_ties_up - tie
    if mode is Quantization.RND_ZERO:
        return nearest_ties_up - (tie & ~negative)
    if mode is Quantization.RND_INF:
        return nearest_ties_up - (tie & negative)
    return nearest_ties_up - (tie & (nearest_ties_up % 2 == 1))


def is_power_of_two(n: int) -> bool:
    """Whether n >= 1 is a power of two."""
    return n & (n - 1) == 0


def mean_type(x: FixedType, count: int) -> FixedType:
    """The type of a mean of `count` values, or of weighted ones with weights that are multiples of 1 / count.

    It is exact where count is a power of two. Any other mean has no finite form: it gets the bits of the next power.
    """
    extra = (count - 1).bit_length()
    return type_for(x.min << extra, x.max << extra, x.fraction + extra)


def summable(q: IntArray, count: int) -> IntArray:
    """The same integers in a form in which the sum of any `count` of them does not wrap."""
    return wide(q) if q.dtype != object and bits_of(q) + count.bit_length() > INT64_BITS else q


def broadcasts(shape: Shape, to: Shape) -> bool:
    """Whether an array of this shape broadcasts to the other one."""
    pairs = zip(reversed(shape), reversed(to), strict=False)
    return len(shape) <= len(to) and all(n in (1, whole) for n, whole in pairs)
