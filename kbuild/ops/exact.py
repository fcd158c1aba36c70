"""Exact products and sums of integer arrays of any width."""

from __future__ import annotations

from kbuild.fixed import INT64_BITS, FixedType, IntArray, bits_of, compact, type_for, wide


def multiply(a: IntArray, b: IntArray, bits: tuple[int, int] | None = None) -> IntArray:
    """`a * b`, exact. `bits`: magnitude bits of a and b, where they are known."""
    if sum(bits or (bits_of(a), bits_of(b))) > INT64_BITS:
        a, b = wide(a), wide(b)
    return compact(a * b)


def add(
    a: IntArray, a_fraction: int, b: IntArray, b_fraction: int, bits: tuple[int, int] | None = None
) -> tuple[IntArray, int]:
    """`a * 2**-a_fraction + b * 2**-b_fraction`, exact, and its fraction bits. `bits` as in `multiply`."""
    fraction = max(a_fraction, b_fraction)
    up_a, up_b = fraction - a_fraction, fraction - b_fraction
    a_bits, b_bits = bits or (bits_of(a), bits_of(b))
    if max(a_bits + up_a, b_bits + up_b) >= INT64_BITS:
        a, b = wide(a), wide(b)
    return compact((a << up_a if up_a else a) + (b << up_b if up_b else b)), fraction


def sum_of(a: FixedType, b: FixedType) -> FixedType:
    """The exact type of a sum."""
    fraction = max(a.fraction, b.fraction)
    low = (a.min << (fraction - a.fraction)) + (b.min << (fraction - b.fraction))
    return type_for(low, (a.max << (fraction - a.fraction)) + (b.max << (fraction - b.fraction)), fraction)
