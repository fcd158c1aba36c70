"""Weights as 16-bit digits, and the terms that may be added in 32 bits.

Two ways to round each product in 16-bit halves, which take no more instructions than exact products: with a product
dropping s bits, and the weight `w = high * 2**s + low`, -2**(s-1) <= low < 2**(s-1),

    floor(x * w / 2**s) = x * high + floor(x * (low << 16 - s) / 2**16)

and the same with rounding to nearest, where the last term is `(x * (low << 15 - s) + 2**14) >> 15`.
"""

from __future__ import annotations

import numpy as np

from kbuild.dataclass import dataclass
from kbuild.fixed import IntArray, Quantization

EXACT, FLOOR_HIGH, ROUND_HIGH, ROUNDED = range(4)
_SUM = (1 << 31) - 1
_WIDEN = 8  # so many steps of one tap each take as long as to add 32-bit sums to those of 64 bits
_DIGIT_BITS = (16, 12, 8)
_HIGH_BITS, _NEAREST_BITS = 16, 15  # what the two ways above drop
_MOST_DROPPED = 30  # half of that is added to a product in 32 bits


@dataclass(frozen=True)
class Digit:
    """Weights [taps, terms of a tap, N] of 16 bits, whose sums of products are to be shifted left by `shift`.

    bounds [taps, N]: the largest magnitude of what a tap adds.
    """

    weights: IntArray
    kind: int
    shift: int
    bounds: IntArray

    def segments(self) -> list[tuple[int, int]] | None:
        """Ranges of taps in which no sum of any of their products leaves 32 bits; None where a tap alone might."""
        if self.bounds.size and int(self.bounds.max()) > _SUM:
            return None
        sums = np.concatenate([np.zeros((1, self.bounds.shape[1]), np.int64), np.cumsum(self.bounds, axis=0)])
        found, begin, taps = [], 0, len(self.bounds)
        while begin < taps:
            inside = (sums[begin + 1 :] - sums[begin]).max(axis=1, initial=0) <= _SUM  # true, then false
            end = begin + int(np.count_nonzero(inside))
            found.append((begin, end))
            begin = end
        return found

    def cost(self) -> int | None:
        """In steps of one tap; None where it is not possible."""
        found = self.segments()
        return None if found is None else len(self.bounds) + _WIDEN * len(found)


def digits(weights: IntArray, largest: int, lost: int, mode: Quantization, halves: bool) -> list[Digit] | None:
    """For weights [taps, terms of a tap, N] and inputs of at most this magnitude, whose products drop `lost` bits.

    halves: whether the kernel has the ways above. None where no way is possible.
    """
    if lost == 0:
        return _exact(weights, largest)
    for kind, of, bits in ((FLOOR_HIGH, Quantization.TRN, _HIGH_BITS), (ROUND_HIGH, Quantization.RND, _NEAREST_BITS)):
        if halves and mode is of and lost <= bits:
            low, high = _cut(weights, lost)
            rounded = _rounded(low << bits - lost, kind, largest, bits)
            rest = _exact(high, largest) if high.any() else []
            return None if rest is None else [rounded, *rest]
    if lost > _MOST_DROPPED or not _fits(weights):
        return None
    found = _rounded(weights, ROUNDED, largest, lost)
    return None if found.segments() is None else [found]


def _cut(weights: IntArray, bits: int) -> tuple[IntArray, IntArray]:
    """The signed number that the low bits are, and the rest in multiples of `2**bits`."""
    half = 1 << bits - 1
    low = ((weights + half) & (2 * half - 1)) - half
    return low, (weights - low) >> bits


def _fits(weights: IntArray) -> bool:
    return weights.size == 0 or bool(weights.min() >= -(1 << 15) and weights.max() < 1 << 15)


def _rounded(weights: IntArray, kind: int, largest: int, dropped: int) -> Digit:
    """Products are rounded one by one, which moves each by less than one."""
    bounds = ((np.abs(weights) * largest >> dropped) + 1).sum(axis=1)
    return Digit(weights, kind, 0, bounds)


def _exact(weights: IntArray, largest: int) -> list[Digit] | None:
    """The digits that take the fewest steps."""
    best: tuple[int, list[Digit]] | None = None
    for bits in _DIGIT_BITS:
        found = _digits(weights, largest, bits)
        costs = [digit.cost() for digit in found]
        if None in costs:
            continue
        cost = sum(c for c in costs if c is not None)
        if best is None or cost < best[0]:
            best = cost, found
    return best and best[1]


def _digits(weights: IntArray, largest: int, bits: int) -> list[Digit]:
    found, shift = [], 0
    while not (_fits(weights) if bits == 16 else _within(weights, bits)):
        low, weights = _cut(weights, bits)
        found.append(Digit(low, EXACT, shift, (np.abs(low) * largest).sum(axis=1)))
        shift += bits
    return [*found, Digit(weights, EXACT, shift, (np.abs(weights) * largest).sum(axis=1))]


def _within(weights: IntArray, bits: int) -> bool:
    """Whether they are a last digit: of `bits` magnitude bits, one more than the others."""
    return weights.size == 0 or bool(np.abs(weights).max() <= 1 << bits - 1)
