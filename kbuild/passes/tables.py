"""Make the tables of unary functions, over the ranges that really reach them."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from kbuild.dataclass import replace
from kbuild.fixed import FixedType, FloatArray, Overflow, Quantization
from kbuild.ir import Tensor
from kbuild.ops.functions import FUNCTIONS, LINES
from kbuild.ops.lookup import centers
from kbuild.ops.lut import Lut
from kbuild.passes.ranges import integer_bits

LUT_SIZE = 1024  # entries when the user names no TableSize
MOST_ENTRIES = 4096  # to which it grows where an entry would be off by more than both of these
COARSE = 1 / 64
COARSE_SHARE = 256  # as a share of the largest value: one part in so many
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
    lines: bool = True,
    taken: Span = (-math.inf, math.inf),
) -> Lut:
    """The op with its table: one entry per input value where they fit, else equal cells over the range that matters.

    span: bounds of the input values. An entry is the function in the middle of its cell, rounded to nearest.
    quantizer: entries are cast by the modes of the given type, which is that of a quantizer of the model.
    width: bits of an entry without a given type. lines: where the function is a line from some input on, a table that
    cannot have one entry per input ends there, and the op has the line. taken: the results that matter, which
    the type of the entries holds where none is given.
    """
    function = FUNCTIONS[op.function]
    low = max(math.floor(span[0] * 2.0**x.fraction), x.min)
    high = min(math.ceil(span[1] * 2.0**x.fraction), x.max)
    limit = 1 << ((size or LUT_SIZE).bit_length() - 1)

    def values(offset: int, shift: int, count: int) -> FloatArray:
        return function(centers(offset, shift, count, x.fraction), *op.params)

    def type_of(low: int, high: int) -> FixedType:
        return given or _value_type(np.clip(values(low, *cells(low, high, PROBES)), *taken), width)

    of, line, first = type_of(low, high), None, low
    within = None if given else _held(values, low, high, of)
    if within is not None:
        low, high = within
    if not quantizer or high - low >= limit:
        low, high = _where_it_changes(values, low, high, float(of.lsb) / 2)
    if lines and high - low >= limit and op.function in LINES:
        slope = _slope(op.function, width)
        tolerance = 0.0 if quantizer else float(of.lsb) / 2
        end = _end_of_bend(values, low, high, x.fraction, float(slope.floats()), tolerance)
        if end <= high:
            line, high = slope, end - 1
            of, within = type_of(first, high), None  # finer, so that more of the left counts
            low, _ = _where_it_changes(values, first, high, float(of.lsb) / 2)
    shift, count = cells(low, high, limit if size else _enough(values, low, high, limit))
    if line is not None:
        low = high + 1 - (count << shift)  # the last cell ends where the line begins
    entries = values(low, shift, count)
    table = Tensor(entries).quantized(of) if quantizer else rounded(entries, of)
    return replace(op, table=table, offset=low, shift=shift, line=line, within=within)


def _held(values: Callable[[int, int, int], FloatArray], low: int, high: int, of: FixedType) -> tuple[int, int] | None:
    """The part of low..high whose results the type holds, to an LSB: it may end just below a 1 that is never reached.
    None where that is all, or not one part."""
    shift, count = cells(low, high, PROBES)
    least, most = (float(end) for end in of.range)
    y, lsb = values(low, shift, count), float(of.lsb)
    (inside,) = np.nonzero((y >= least - lsb) & (y <= most + lsb))
    if not 0 < inside.size < count or inside[-1] - inside[0] + 1 != inside.size:
        return None
    return low + (int(inside[0]) << shift), min(low + ((int(inside[-1]) + 1) << shift) - 1, high)


def _enough(values: Callable[[int, int, int], FloatArray], low: int, high: int, limit: int) -> int:
    """How many entries a table from low to high may have: more than the limit where its cells would be too coarse."""
    while limit < MOST_ENTRIES and high - low >= limit:
        y = values(low, *cells(low, high, limit))
        if np.abs(np.diff(y)).max(initial=0.0) / 2 <= max(COARSE, float(np.abs(y).max()) / COARSE_SHARE):
            break
        limit *= 2
    return limit


def _slope(function: str, width: int) -> Tensor:
    """The slope of the line that the function becomes."""
    slope = LINES[function]
    return rounded(np.array(slope), FixedType(1 if slope == 1.0 else width, 1, signed=False))


def _end_of_bend(
    values: Callable[[int, int, int], FloatArray], low: int, high: int, fraction: int, slope: float, tolerance: float
) -> int:
    """The first input, after `low`, from which the function stays within `tolerance` of its line; else `high + 1`."""
    shift, count = cells(low, high, PROBES)
    away = np.flatnonzero(np.abs(values(low, shift, count) - slope * centers(low, shift, count, fraction)) > tolerance)
    if not away.size:
        return low + 1
    return min(low + ((int(away[-1]) + 1) << shift), high + 1)


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
    if not right.size:  # a bump that the end is in the middle of
        return high, high
    ends = max(int(left[0]) - 1, 0), min(int(right[-1]) + 1, count - 1)
    first, last = min(ends), max(ends)  # with coarse entries the two parts may overlap
    return low + (first << shift), min(low + (last << shift), high)


def _value_type(values: FloatArray, width: int) -> FixedType:
    low, high = min(float(values.min()), 0.0), max(float(values.max()), 0.0)
    return FixedType(width, integer_bits(low, high), low < 0)


def rounded(values: FloatArray, of: FixedType) -> Tensor:
    """Entries rounded to nearest, whatever the mode of the type: they are made once, not at run time."""
    return Tensor(Tensor(values).quantized(of.with_modes(Quantization.RND, Overflow.SAT)).data, of)
