"""Make the tables of softmax, over the range that reaches them.

Where the recipe gives neither types nor sizes of tables, a stable softmax is a refined one (`ops/softmax.py`): it is as
precise as its result. One with a table that the recipe describes, and every other implementation, has a single table of
exponentials, and the result gets as many bits as that justifies.
"""

from __future__ import annotations

import math

import numpy as np

from kbuild.dataclass import dataclass, replace
from kbuild.fixed import FixedType, Overflow, Quantization, type_for
from kbuild.ir import Tensor
from kbuild.ops.lookup import centers
from kbuild.ops.softmax import Softmax
from kbuild.passes.ranges import integer_bits
from kbuild.passes.tables import TABLE_WIDTH, Span, cells, rounded

SIZE = 4096  # most entries of a single table of exponentials when the user names no TableSize
WHOLE = 1024  # exponentials of a refined softmax that make one table: more are two and a product
PRECISE = 20  # most fraction bits of the result for which the tables of a refined softmax are made
GUARD = 2  # bits beyond those of a result that the recipe gives: its mode rounds a value that is almost exact
MAX_TABLE_WIDTH = 40  # an entry wider than this is a sign of an implementation that does not fit its inputs


@dataclass(frozen=True)
class Exponents:
    """What a softmax's exponentials must cover: `length` inputs of the type x, whose values are within `span`."""

    implementation: str
    x: FixedType
    span: Span
    length: int

    def reach(self, least: float) -> float:
        """How far an input can be below the maximum, as long as its exponential is not under `least`."""
        return min(self.span[1] - self.span[0], -math.log(least))

    def steps(self, least: float) -> int:
        """The same in LSBs of x."""
        return max(math.ceil(self.reach(least) * 2.0**self.x.fraction), 1)

    @property
    def growth(self) -> int:
        """Bits that a sum of `length` values has beyond theirs."""
        return (self.length - 1).bit_length()


def softmax_tables(
    op: Softmax,
    exponents: Exponents,
    size: int | None,
    exp_table: FixedType | None,
    inv_table: FixedType | None,
    result: FixedType | None,
    width: int = TABLE_WIDTH,
) -> tuple[Softmax, FixedType]:
    """The op with its tables, and its result type.

    size: the user's `TableSize`; exp_table, inv_table, result: the user's types; width: that of an automatic result.
    Raises ValueError where the table cannot be made.
    """
    if op.implementation == "argmax":
        return op, result or FixedType(1, 1, signed=False)
    op = replace(op, distinct=op.implementation == "stable" and result is None)
    if op.implementation == "stable" and size is None and exp_table is None and inv_table is None:
        bits = min(width, PRECISE) if result is None else min(max(result.fraction, 1) + GUARD, PRECISE)
        return Refined(exponents, bits).made(op), result or FixedType(bits, 0, False, Quantization.RND)
    single = Single(exponents, 1 << ((size or SIZE).bit_length() - 1))
    if exp_table is not None:
        bits = max(exp_table.fraction - single.guard, 1)
    elif result is not None:
        bits = min(max(result.fraction, 1), TABLE_WIDTH)
    else:
        bits = single.result_bits(width)
    made = single.with_reciprocal(single.with_exponential(op, bits, exp_table), bits, inv_table)
    return made, result or FixedType(bits + 1, 1, False, Quantization.RND, Overflow.SAT)


# ---- refined ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Refined:
    """The tables of a refined softmax whose result has `bits` fraction bits and no integer bits."""

    exponents: Exponents
    bits: int

    @property
    def fraction(self) -> int:
        """Fraction bits of an exponential: `length` of them, each 3/2 LSBs off, are 3/16 of an LSB of the result."""
        return self.bits + 3 + self.exponents.growth

    @property
    def shift(self) -> int:
        """Bits of an input that make no difference to the result: 2**shift LSBs are at most a quarter of its LSB."""
        return max(self.exponents.x.fraction - (self.bits + 2), 0)

    @property
    def error_bound(self) -> float:
        """A bound on |computed - true|, but for what is subtracted from results that would equal the largest.

        The dropped bits of the inputs change a probability p by at most p (1 - p) times what they are worth; so do the
        factors of the low table, off by less than an LSB. Exponentials are off by up to 3/2 LSBs, in the numerator and
        `length` times in the sum; the numerator is cut off; the reciprocal is off by an eighth of a cell squared, by
        three roundings at the LSB of its table, and by one LSB of its own where it saturates; the result is rounded.
        """
        b = self.bits
        dropped = 0.25 * math.expm1(2.0 ** (self.shift - self.exponents.x.fraction)) if self.shift else 0.0
        exponential = (1 + self.exponents.length) * 1.5 * 2.0**-self.fraction + 0.25 * 2.0 ** -(b + 3)
        reciprocal = 2.0 ** (-2 * self.cell_bits - 3) + 3 * 2.0 ** -(b + 4) + 2.0 ** -(b + 1)
        return dropped + exponential + 2.0 ** -(b + 2) + reciprocal + 2.0 ** -(b + 1)

    @property
    def cell_bits(self) -> int:
        """The reciprocal has 2**cell_bits cells, with a line in each."""
        return (self.bits + 3) // 2

    def made(self, op: Softmax) -> Softmax:
        """The op with all its tables."""
        return self._with_reciprocal(self._with_exponential(op))

    def _with_exponential(self, op: Softmax) -> Softmax:
        last = self.exponents.steps(2.0 ** -(self.fraction + 1)) >> self.shift
        low_bits = 0 if last < WHOLE else last.bit_length() // 2
        unit = 2.0 ** (self.shift - self.exponents.x.fraction)
        falls = np.floor(-np.expm1(-unit * np.arange(1 << low_bits)) * 2.0 ** (self.bits + 3)).astype(np.int64)
        low = Tensor(falls, type_for(0, int(falls.max()), self.bits + 3))
        values = np.exp(-(unit * 2.0**low_bits) * np.arange((last >> low_bits) + 1))
        high = [round(value) for value in np.ldexp(values, self.fraction)]
        # An exponential must never be larger than the one before, also from the end of one entry to the next.
        for i in range(1, len(high)):
            high[i] = min(high[i], high[i - 1] - (high[i - 1] * int(falls[-1]) >> low.fixed().fraction))
        table = Tensor(np.array(high, dtype=object), type_for(0, high[0], self.fraction))
        numerator = FixedType(self.bits + 2, 0, False, Quantization.TRN, Overflow.SAT)
        return replace(op, exp_table=table, exp_shift=self.shift, exp_low=low, numerator=numerator)

    def _with_reciprocal(self, op: Softmax) -> Softmax:
        """In the cell from a to b a line below the chord of 1/m by half of the most that it is above 1/m.

        The types have the position of the point that makes an entry stand for 2**f / m (see `ops/softmax.py`).
        """
        top = op.top(self.exponents.length)
        scale, finest = top - self.fraction, self.bits + 4
        cell_bits = min(self.cell_bits, top)
        inv_shift = top - cell_bits
        drop = max(top - finest, 0)
        a = 1 + np.arange(1 << cell_bits) * 2.0**-cell_bits
        b = a + 2.0**-cell_bits
        slope = 1 / (a * b)
        middle = 2.0 ** (drop - top) / 2 if drop else 0.0  # of what the dropped bits stand for
        start = 1 / a - (1 / np.sqrt(a) - 1 / np.sqrt(b)) ** 2 / 2 - slope * middle
        starts = np.rint(np.ldexp(start, finest) - 0.5).astype(np.int64)  # the product is floored
        slopes = np.rint(np.ldexp(slope * 2.0 ** (drop - top), finest + self.bits // 2 + 3)).astype(np.int64)
        return replace(
            op,
            inv_table=Tensor(starts, type_for(0, int(starts.max()), finest + scale)),
            inv_slope=Tensor(slopes, type_for(0, int(slopes.max()), finest + scale + self.bits // 2 + 3)),
            inv_shift=inv_shift,
            inv_drop=drop,
            inverse=FixedType(self.bits + 1, -scale, False, Quantization.RND, Overflow.SAT),
        )


# ---- a single table of exponentials -----------------------------------------------------------------------------


@dataclass(frozen=True)
class Single:
    """Tables of at most `limit` entries, a power of two."""

    exponents: Exponents
    limit: int

    def ends(self, bits: int) -> tuple[int, int]:
        """First and last integer of the index, at the LSB of x, for a result of `bits` fraction bits."""
        x = self.exponents.x
        if self.exponents.implementation == "latency":
            low, high = (end * 2.0**x.fraction for end in self.exponents.span)
            return max(math.floor(low), x.min), min(math.ceil(high), x.max)
        steps = self.exponents.steps(self.tail(bits))
        return (-steps if self.exponents.implementation == "legacy" else 0), steps

    @property
    def guard(self) -> int:
        """Fraction bits of an exponential beyond those of the result: its rounding enters a sum of `length`."""
        return 2 + self.exponents.growth

    def tail(self, bits: int) -> float:
        """The least exponential that matters: `length` smaller ones are together under a quarter LSB of the result."""
        return 2.0 ** -(bits + 2) / self.exponents.length

    def error_bound(self, bits: int) -> float:
        """A bound on |computed - true| for a result with `bits` fraction bits, as `Refined.error_bound`.

        The exponent is known up to half a cell, which changes a probability p by a factor within exp(+-cell), at most
        by p (1 - p) expm1(cell) (by p expm1(cell) / 2 for legacy, where the numerator has no error that cancels that
        of the sum); exponentials are rounded, in the numerator and `length` times in the sum; those
        beyond the table are at most its last one; the reciprocal has half its cell and its rounding; the result is
        rounded once.
        """
        low, high = self.ends(bits)
        span, x = self.exponents.span, self.exponents.x
        shift, _ = cells(low, high, self.limit)
        cell = (2.0**shift - 1) * 2.0**-x.fraction
        if cell > 1:
            return 1.0
        rounding = (1 + self.exponents.length) * 2.0 ** -(bits + self.guard + 1)
        tail = 2.0 ** -(bits + 2) if self.exponents.reach(self.tail(bits)) < span[1] - span[0] else 0.0
        reciprocal = 0.5 / self.limit + 2.0 ** -(bits + 3)
        share = 0.5 if self.exponents.implementation == "legacy" else 0.25
        return share * math.expm1(cell) + rounding + tail + reciprocal + 2.0 ** -(bits + 1)

    def result_bits(self, width: int) -> int:
        """The most fraction bits of a result of `width` bits for which the error is at most two LSBs."""
        for bits in range(width - 1, 1, -1):
            if self.error_bound(bits) <= 2.0 ** (1 - bits):
                return bits
        return 1

    def with_exponential(self, op: Softmax, bits: int, given: FixedType | None) -> Softmax:
        """The op with its exponentials, of the type given or one for a result of `bits` fraction bits."""
        low, high = self.ends(bits)
        shift, count = cells(low, high, self.limit)
        exponent = centers(low, shift, count, self.exponents.x.fraction)
        values = np.exp(-exponent if op.implementation == "stable" else np.minimum(exponent, 500.0))
        if given is None:
            integer = integer_bits(0.0, float(values.max()))
            fraction = bits + self.guard
            if op.implementation == "latency":  # the sum may be as small as the smallest entry
                fraction -= math.frexp(float(values.min()))[1]
            if integer + fraction > MAX_TABLE_WIDTH:
                span = self.exponents.span
                raise ValueError(
                    f"a {op.implementation} softmax over inputs from {span[0]:g} to {span[1]:g} needs "
                    f"exponentials of {integer + fraction} bits; use the implementation stable, narrower inputs, or "
                    "give the types of exp_table and inv_table"
                )
            given = FixedType(integer + fraction, integer, signed=False)
        return replace(op, exp_table=rounded(values, given), exp_offset=low, exp_shift=shift)

    def with_reciprocal(self, op: Softmax, bits: int, given: FixedType | None) -> Softmax:
        """Entry i is 2**f / m for the middle m of its cell of 2**top .. 2**(top + 1): see `ops/softmax.py`."""
        top = op.top(self.exponents.length)
        shift = max(top - (self.limit.bit_length() - 1), 0)
        middles = centers(1 << top, shift, 1 << (top - shift), 0)
        values = np.ldexp(1.0 / middles, op.exponential().fixed().fraction)
        if given is None:
            # the smallest entry is about half the largest: so many bits keep its relative rounding at 2**-(bits+3)
            fraction = bits + 3 - math.frexp(float(values.min()))[1]
            given = type_for(0, int(np.rint(np.ldexp(values, fraction)).max()), fraction)
        return replace(op, inv_table=rounded(values, given), inv_shift=shift)
