"""Make the tables of unary functions, over the ranges that really reach them."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from kbuild.dataclass import replace
from kbuild.fixed import FixedType, FloatArray, Overflow, Quantization
from kbuild.ir import Tensor
from kbuild.ops.functions import FUNCTIONS
from kbuild.ops.lookup import centers
from kbuild.ops.lut import Lut
from kbuild.passes.ranges import integer_bits

LUT_SIZE = 1024  # entries when the user names no TableSize
TABLE_WIDTH = 16  # bits of an entry when the user names no type
PROBES = 1 << 16  # points at which a function is looked at to find where it changes
STEEP = ("exp", "scaled_exp", "expm1", "inverse")  # functions that grow faster than any type
Span = tuple[float, float]


def lut_table(
    op: Lut,
    x: FixedType,
    span: Span,
    size: int | None,
    given: FixedType | None,
    quantizer: bool = False,
    width: int = TABLE_WIDTH,
    taken: Span = (-math.inf, math.inf),
) -> Lut:
    """The op with its table: one entry per input value where they fit, else equal cells over the range that matters.

    span: bounds of the input values. An entry is the function in the middle of its cell, rounded to nearest.
    quantizer: entries are cast by the modes of the given type, which is that of a quantizer of the model.
    width: bits of an entry without a given type; taken: the results that matter, beyond which such entries saturate.
    """
    function = FUNCTIONS[op.function]
    least, most = taken if given is None else (-math.inf, math.inf)
    low = max(math.floor(span[0] * 2.0**x.fraction), x.min)
    high = min(math.ceil(span[1] * 2.0**x.fraction), x.max)
    limit = 1 << ((size or LUT_SIZE).bit_length() - 1)

    def values(offset: int, shift: int, count: int) -> FloatArray:
        return np.clip(function(centers(offset, shift, count, x.fraction), *op.params), least, most)

    of = given or _value_type(values(low, *cells(low, high, PROBES)), width)
    if not quantizer or high - low >= limit:
        low, high = _where_it_changes(values, low, high, float(of.lsb) / 2)
    shift, count = cells(low, high, limit)
    entries = values(low, shift, count)
    table = Tensor(entries).quantized(of) if quantizer else rounded(entries, of)
    return replace(op, table=table, offset=low, shift=shift)


def cells(low: int, high: int, limit: int) -> tuple[int, int]:
    """The least shift with which low..high has at most `limit` cells, and how many those are."""
    shift = max((high - low + 1).bit_length() - limit.bit_length(), 0)
    while ((high - low) >> shift) + 1 > limit:
        shift += 1
    return shift, ((high - low) >> shift) + 1


def _where_it_changes(
    values: Callable[[int, int, int], FloatArray], low: int, high: int, tolerance: float
) -> tuple[int, int]:
    """The part of low..high outside which the function stays within `tolerance` of its value at the end."""
    shift, count = cells(low, high, PROBES)
    y = values(low, shift, count)
    left = np.flatnonzero(np.abs(y - y[0]) > tolerance)
    right = np.flatnonzero(np.abs(y - y[-1]) > tolerance)
    if not left.size:
        return low, low
    ends = max(int(left[0]) - 1, 0), min(int(right[-1]) + 1, count - 1)
    first, last = min(ends), max(ends)  # with coarse entries the two parts may overlap
    return low + (first << shift), min(low + (last << shift), high)


def _value_type(values: FloatArray, width: int) -> FixedType:
    low, high = min(float(values.min()), 0.0), max(float(values.max()), 0.0)
    return FixedType(width, integer_bits(low, high), low < 0)


def rounded(values: FloatArray, of: FixedType) -> Tensor:
    """Entries rounded to nearest, whatever the mode of the type: they are made once, not at run time."""
    return Tensor(Tensor(values).quantized(of.with_modes(Quantization.RND, Overflow.SAT)).data, of)
