"""Make the tables of unary functions and of softmax, over the ranges that really reach them."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from kbuild.dataclass import dataclass, replace
from kbuild.fixed import FixedType, FloatArray, Overflow, Quantization, type_for
from kbuild.ir import Tensor
from kbuild.ops.functions import FUNCTIONS
from kbuild.ops.lookup import centers
from kbuild.ops.lut import Lut
from kbuild.ops.softmax import Softmax
from kbuild.passes.ranges import integer_bits

LUT_SIZE = 1024  # entries when the user names no TableSize
SOFTMAX_SIZE = 4096  # most entries of the exponential's table when the user names no TableSize
TABLE_WIDTH = 16  # bits of an entry when the user names no type
PROBES = 1 << 16  # points at which a function is looked at to find where it changes
MAX_TABLE_WIDTH = 40  # an entry wider than this is a sign of an implementation that does not fit its inputs
Span = tuple[float, float]


def lut_table(
    op: Lut, x: FixedType, span: Span, size: int | None, given: FixedType | None, quantizer: bool = False
) -> Lut:
    """The op with its table: one entry per input value where they fit, else equal cells over the range that matters.

    span: bounds of the input values. An entry is the function in the middle of its cell, rounded to nearest.
    quantizer: entries are cast by the modes of the given type, which is that of a quantizer of the model.
    """
    function = FUNCTIONS[op.function]
    low = max(math.floor(span[0] * 2.0**x.fraction), x.min)
    high = min(math.ceil(span[1] * 2.0**x.fraction), x.max)
    limit = 1 << ((size or LUT_SIZE).bit_length() - 1)

    def values(offset: int, shift: int, count: int) -> FloatArray:
        return function(centers(offset, shift, count, x.fraction), *op.params)

    of = given or _value_type(values(low, *_cells(low, high, PROBES)))
    if not quantizer or high - low >= limit:
        low, high = _where_it_changes(values, low, high, float(of.lsb) / 2)
    shift, count = _cells(low, high, limit)
    entries = values(low, shift, count)
    table = Tensor(entries).quantized(of) if quantizer else _table(entries, of)
    return replace(op, table=table, offset=low, shift=shift)


def _cells(low: int, high: int, limit: int) -> tuple[int, int]:
    """The least shift with which low..high has at most `limit` cells, and how many those are."""
    shift = max((high - low + 1).bit_length() - limit.bit_length(), 0)
    while ((high - low) >> shift) + 1 > limit:
        shift += 1
    return shift, ((high - low) >> shift) + 1


def _where_it_changes(
    values: Callable[[int, int, int], FloatArray], low: int, high: int, tolerance: float
) -> tuple[int, int]:
    """The part of low..high outside which the function stays within `tolerance` of its value at the end."""
    shift, count = _cells(low, high, PROBES)
    y = values(low, shift, count)
    left = np.flatnonzero(np.abs(y - y[0]) > tolerance)
    right = np.flatnonzero(np.abs(y - y[-1]) > tolerance)
    if not left.size:
        return low, low
    ends = max(int(left[0]) - 1, 0), min(int(right[-1]) + 1, count - 1)
    first, last = min(ends), max(ends)  # with coarse entries the two parts may overlap
    return low + (first << shift), min(low + (last << shift), high)


def _value_type(values: FloatArray) -> FixedType:
    low, high = min(float(values.min()), 0.0), max(float(values.max()), 0.0)
    return FixedType(TABLE_WIDTH, integer_bits(low, high), low < 0)


def _table(values: FloatArray, of: FixedType) -> Tensor:
    """Entries rounded to nearest, whatever the mode of the type: they are made once, not at run time."""
    return Tensor(Tensor(values).quantized(of.with_modes(Quantization.RND, Overflow.SAT)).data, of)


# ---- softmax ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Exponents:
    """What a softmax's table of exponentials must cover.

    implementation; the type x of the inputs and the bounds `span` of their values; `length` inputs; `limit` entries.
    """

    implementation: str
    x: FixedType
    span: Span
    length: int
    limit: int

    def reach(self, bits: int) -> float:
        """How far below the maximum an input matters: all those further down together are under a quarter LSB."""
        return min(self.span[1] - self.span[0], math.log(self.length * 2.0 ** (bits + 2)))

    def ends(self, bits: int) -> tuple[int, int]:
        """First and last integer of the index, at the LSB of x, for a result of `bits` fraction bits."""
        if self.implementation == "latency":
            low, high = (end * 2.0**self.x.fraction for end in self.span)
            return max(math.floor(low), self.x.min), min(math.ceil(high), self.x.max)
        steps = max(math.ceil(self.reach(bits) * 2.0**self.x.fraction), 1)
        return (-steps if self.implementation == "legacy" else 0), steps

    @property
    def guard(self) -> int:
        """Fraction bits of an exponential beyond those of the result: its rounding enters a sum of `length`."""
        return 2 + (self.length - 1).bit_length()

    def error_bound(self, bits: int) -> float:
        """A bound on |computed - true| for a result with `bits` fraction bits.

        The exponent is known up to half a cell, which changes a probability p by a factor within exp(+-cell), at most
        by p (1 - p) expm1(cell) (by p expm1(cell) / 2 for legacy, where the numerator has no error that cancels that
        of the sum); exponentials are rounded, in the numerator and `length` times in the sum; those
        beyond the table are at most its last one; the reciprocal has half its cell and its rounding; the result is
        rounded once.
        """
        low, high = self.ends(bits)
        shift, _ = _cells(low, high, self.limit)
        cell = (2.0**shift - 1) * 2.0**-self.x.fraction
        if cell > 1:
            return 1.0
        rounding = (1 + self.length) * 2.0 ** -(bits + self.guard + 1)
        tail = 2.0 ** -(bits + 2) if self.reach(bits) < self.span[1] - self.span[0] else 0.0
        reciprocal = 0.5 / self.limit + 2.0 ** -(bits + 3)
        share = 0.5 if self.implementation == "legacy" else 0.25
        return share * math.expm1(cell) + rounding + tail + reciprocal + 2.0 ** -(bits + 1)

    def result_bits(self) -> int:
        """The most fraction bits of the result for which the error is at most two LSBs."""
        for bits in range(TABLE_WIDTH - 1, 1, -1):
            if self.error_bound(bits) <= 2.0 ** (1 - bits):
                return bits
        return 1


def softmax_tables(
    op: Softmax,
    exponents: Exponents,
    exp_table: FixedType | None,
    inv_table: FixedType | None,
    result: FixedType | None,
) -> tuple[Softmax, FixedType]:
    """The op with its tables, and its result type; the types given are the user's.

    Without given types, as many fraction bits are chosen as the result can have while it stays within two LSBs of the
    true softmax. Raises ValueError where the table cannot be made.
    """
    if op.implementation == "argmax":
        return op, result or FixedType(1, 1, signed=False)
    if exp_table is not None:
        bits = max(exp_table.fraction - exponents.guard, 1)
    elif result is not None:
        bits = min(max(result.fraction, 1), TABLE_WIDTH)
    else:
        bits = exponents.result_bits()
    made = _with_reciprocal(_with_exponential(op, exponents, bits, exp_table), exponents, bits, inv_table)
    return made, result or FixedType(bits + 1, 1, False, Quantization.RND, Overflow.SAT)


def _with_exponential(op: Softmax, exponents: Exponents, bits: int, given: FixedType | None) -> Softmax:
    low, high = exponents.ends(bits)
    shift, count = _cells(low, high, exponents.limit)
    exponent = centers(low, shift, count, exponents.x.fraction)
    values = np.exp(-exponent if op.implementation == "stable" else np.minimum(exponent, 500.0))
    if given is None:
        integer = integer_bits(0.0, float(values.max()))
        fraction = bits + exponents.guard
        if op.implementation == "latency":  # the sum may be as small as the smallest entry
            fraction -= math.frexp(float(values.min()))[1]
        if integer + fraction > MAX_TABLE_WIDTH:
            raise ValueError(
                f"a {op.implementation} softmax over inputs from {exponents.span[0]:g} to {exponents.span[1]:g} needs "
                f"exponentials of {integer + fraction} bits; use the implementation stable, narrower inputs, or give "
                "the types of exp_table and inv_table"
            )
        given = FixedType(integer + fraction, integer, signed=False)
    return replace(op, exp_table=_table(values, given), exp_offset=low, exp_shift=shift)


def _with_reciprocal(op: Softmax, exponents: Exponents, bits: int, given: FixedType | None) -> Softmax:
    """Entry i is 2**f / m for the middle m of its cell of 2**top .. 2**(top + 1): see `ops/softmax.py`."""
    exp_table = op.exp_table
    if exp_table is None:
        raise ValueError("the reciprocal follows the exponential")
    top = max(exponents.length * max(exp_table.bounds()[1], 0), 1).bit_length() - 1
    shift = max(top - (exponents.limit.bit_length() - 1), 0)
    middles = centers(1 << top, shift, 1 << (top - shift), 0)
    values = np.ldexp(1.0 / middles, exp_table.fixed().fraction)
    if given is None:
        # the smallest entry is about half the largest: so many fraction bits keep its relative rounding at 2**-(bits+3)
        fraction = bits + 3 - math.frexp(float(values.min()))[1]
        given = type_for(0, int(np.rint(np.ldexp(values, fraction)).max()), fraction)
    return replace(op, inv_table=_table(values, given), inv_shift=shift)


def exponents_of(op: Softmax, x: FixedType, span: Span, length: int, size: int | None) -> Exponents:
    """The table's task for a softmax over `length` inputs of type x and a `TableSize`, None when not given."""
    limit = 1 << ((size or SOFTMAX_SIZE).bit_length() - 1)
    return Exponents(op.implementation, x, span, length, limit)
