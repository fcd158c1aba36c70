"""Exact products and sums of integer arrays of any width."""

from __future__ import annotations

from kbuild.fixed import INT64_BITS, FixedType, IntArray, bits_of, compact, shift_left, type_for, wide


def multiply(a: IntArray, b: IntArray) -> IntArray:
    """`a * b`, exact."""
    if bits_of(a) + bits_of(b) > INT64_BITS:
        a, b = wide(a), wide(b)
    return compact(a * b)


def add(a: IntArray, a_fraction: int, b: IntArray, b_fraction: int) -> tuple[IntArray, int]:
    """`a * 2**-a_fraction + b * 2**-b_fraction`, exact, and its fraction bits."""
    fraction = max(a_fraction, b_fraction)
    a, b = shift_left(a, fraction - a_fraction), shift_left(b, fraction - b_fraction)
    if max(bits_of(a), bits_of(b)) >= INT64_BITS:
        a, b = wide(a), wide(b)
    return compact(a + b), fraction


def sum_of(a: FixedType, b: FixedType) -> FixedType:
    """The exact type of a sum."""
    fraction = max(a.fraction, b.fraction)
    low = (a.min << (fraction - a.fraction)) + (b.min << (fraction - b.fraction))
    return type_for(low, (a.max << (fraction - a.fraction)) + (b.max << (fraction - b.fraction)), fraction)
