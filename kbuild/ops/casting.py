"""Casting inside `eval`: the one place that counts overflows."""

from __future__ import annotations

import numpy as np

from kbuild.fixed import (
    FixedType,
    IntArray,
    Quantization,
    cast_counting,
    limit,
    shift_left,
)
from kbuild.ir.op import OverflowCount


def cast_into(q: IntArray, fraction: int, to: FixedType, overflow: OverflowCount) -> IntArray:
    """`kbuild.fixed.cast`, counting the values that were outside the range."""
    result, count = cast_counting(q, fraction, to)
    overflow.add(count)
    return result


def divide_into(q: IntArray, divisor: int, fraction: int, to: FixedType, overflow: OverflowCount) -> IntArray:
    """Cast the exact quotients `q / divisor * 2**-fraction` (divisor > 0) with one rounding."""
    shift = fraction - to.fraction
    if divisor & (divisor - 1) == 0:
        return cast_into(q, fraction + divisor.bit_length() - 1, to, overflow)
    if shift < 0:
        q, shift = shift_left(q, -shift), 0
    rounded = quantize_quotient(q, divisor << shift, to.quantization)
    result = limit(rounded, to)
    overflow.add(int(np.count_nonzero(result != rounded)))
    return result


def quantize_quotient(q: IntArray, divisor: int, mode: Quantization) -> IntArray:
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


