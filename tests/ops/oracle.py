"""A slow oracle for fixed-point arithmetic: exact fractions, one value at a time, straight from the definitions."""

from __future__ import annotations

import math
import random
from fractions import Fraction

from kbuild.fixed import FixedType, Overflow, Quantization

MODES = [(q, o) for q in Quantization for o in Overflow]


def random_type(rng: random.Random, widest: int = 12, modes: bool = True) -> FixedType:
    """Any type up to `widest` bits, with integer bits that may be negative or exceed the width."""
    width = rng.randint(1, widest)
    quantization, overflow = rng.choice(MODES) if modes else (Quantization.TRN, Overflow.WRAP)
    return FixedType(width, rng.randint(-2, width + 2), rng.random() < 0.7, quantization, overflow)


def round_to(value: Fraction, mode: Quantization) -> int:
    """The integer that the mode chooses."""
    low = math.floor(value)
    rest = value - low
    if rest == 0 or mode is Quantization.TRN:
        return low
    if mode is Quantization.TRN_ZERO:
        return low + (value < 0)
    if rest != Fraction(1, 2):
        return low + (rest > Fraction(1, 2))
    up = {
        Quantization.RND: True,
        Quantization.RND_MIN_INF: False,
        Quantization.RND_ZERO: value < 0,
        Quantization.RND_INF: value > 0,
        Quantization.RND_CONV: low % 2 == 1,
    }[mode]
    return low + up


def keep_in_range(q: int, to: FixedType) -> int:
    """The overflow mode on an integer."""
    low, high = to.min, to.max
    if to.overflow is Overflow.SAT_SYM and to.signed:
        low = min(-high, -1)  # one signed bit still holds -1, as in the vendor's headers
    if low <= q <= high:
        return q
    if to.overflow is Overflow.WRAP:
        return (q - to.min) % (1 << to.width) + to.min
    if to.overflow is Overflow.SAT_ZERO:
        return 0
    return low if q < low else high


def cast_value(value: Fraction, to: FixedType) -> int:
    """A value cast to a type."""
    return keep_in_range(round_to(value / to.lsb, to.quantization), to)
