"""Exact accumulation of products with constant weights, shared by the contractions.

Each product, and the bias, is brought to the accumulator's LSB by its quantization mode and added. A wrapping
accumulator may wrap once at the end, since that is modular; a saturating one saturates after each addition, in index
order, bias first.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterator
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kbuild.fixed import (
    INT64_BITS,
    FixedType,
    IntArray,
    Overflow,
    Quantization,
    bits_of,
    compact,
    limit,
    quantize,
    shift_left,
    type_for,
    wide,
)
from kbuild.ir.op import OverflowCount
from kbuild.ir.tensor import Tensor
from kbuild.ops import blas
from kbuild.parallel import PART, mapped, parts

Pair = tuple[NDArray[Any], NDArray[Any]]
_BLOCK = 1 << 16  # weights that are worked on at once
_PRODUCTS = 1 << 18  # sums of products that are rounded one by one that are worked on at once
FLOAT64_BITS = 53  # every integer of so many magnitude bits is exact in float64, and so are sums that stay within


def exact_sum_bounds(
    x: FixedType, weight: Tensor, bias: Tensor | None, fraction: int, partial: bool = False
) -> tuple[int, int]:
    """Smallest and largest sum over all columns, as integers with `fraction` fraction bits, for any x of its type.

    weight is [..., K, N], bias [..., N] or None; x may be any integer x.min..x.max in each place. With `partial` the
    bounds hold for the sum of any subset of the terms, bias included or not.
    """
    shift = fraction - x.fraction - weight.fixed().fraction
    bits = weight.bits + weight.shape[-2].bit_length()
    w = weight.data if bits <= INT64_BITS else wide(weight.data)

    def sums(rows: slice) -> tuple[IntArray, IntArray]:
        return np.maximum(w[..., rows, :], 0).sum(axis=-2), w[..., rows, :].sum(axis=-2)

    positive, total = over_rows(sums, w.shape)
    if bits + shift + x.width > INT64_BITS:
        positive, total = wide(positive), wide(total)
    positive, negative = positive << shift, (total - positive) << shift
    low, high = positive * x.min + negative * x.max, positive * x.max + negative * x.min
    if bias is not None:
        offset = wide(shift_left(bias.data, fraction - bias.fixed().fraction))
        low = wide(low) + (np.minimum(offset, 0) if partial else offset)
        high = wide(high) + (np.maximum(offset, 0) if partial else offset)
    return min(0, int(low.min())), max(0, int(high.max()))


def reach(x: FixedType, weight: Tensor, start: IntArray, accum: FixedType, lost: int) -> tuple[int, bool] | None:
    """The largest magnitude of any partial sum, in LSBs of the accumulator, and whether all sums are of its type.

    None where a partial sum might have to be saturated.
    """
    low, high = (int(end) << lost for end in (start.min(), start.max()))
    first = Tensor(shift_left(start, lost), type_for(low, high, accum.fraction + lost))
    slack = (len(weight.data) + 1) << lost if lost else 0  # rounding moves a product by less than one LSB

    def bounds(partial: bool) -> tuple[int, int]:
        low, high = exact_sum_bounds(x, weight, first, accum.fraction + lost, partial)
        return (low - slack) >> lost, -((-high - slack) >> lost)

    low, high = bounds(partial=True)
    if accum.overflow is not Overflow.WRAP:
        return (max(-low, high), True) if accum.floor <= low and high <= accum.max else None
    total_low, total_high = bounds(partial=False)
    return max(-low, high), accum.min <= total_low and total_high <= accum.max


def over_rows(summands: Callable[[slice], Pair], shape: tuple[int, ...]) -> Pair:
    """The sums of what `summands` makes of the rows of weights [..., K, N], of some rows at a time.

    A large matrix is gone through once, not once for each step, and by every core.
    """
    row = max(math.prod(shape) // max(shape[-2], 1), 1)
    step = max(_BLOCK // row, 1)

    def part(rows: slice) -> Pair:
        first, second = summands(slice(rows.start, min(rows.start + step, rows.stop)))
        for start in range(rows.start + step, rows.stop, step):
            more = summands(slice(start, min(start + step, rows.stop)))
            first, second = first + more[0], second + more[1]
        return first, second

    firsts, seconds = zip(*mapped(part, parts(shape[-2], max(PART // row, 1))), strict=True)
    return reduce(operator.add, firsts), reduce(operator.add, seconds)


def accumulate(
    x: IntArray, x_type: FixedType, weight: Tensor, bias: Tensor | None, accum: FixedType, overflow: OverflowCount
) -> IntArray:
    """Sums [..., B, N] of type `accum` for x [..., B, K], weight [..., K, N] and bias [..., N].

    Leading axes are independent sums.
    """
    shift = x_type.fraction + weight.fixed().fraction - accum.fraction
    start = np.zeros((*weight.shape[:-2], 1, weight.shape[-1]), np.int64)
    if bias is not None:
        start = quantize(bias.data, bias.fixed().fraction - accum.fraction, accum.quantization)[..., np.newaxis, :]
    saturating = accum.overflow is not Overflow.WRAP
    if saturating and not cannot_overflow(x_type, weight, bias, accum):
        return _saturating(x, weight.data, start, shift, accum, overflow)
    # Truncation commutes with adding multiples of the LSB, but not with adding other products: only a product
    # that needs no rounding may be summed before it is shifted.
    if shift <= 0:
        bits = _least_sum_bits(x, x_type, weight)
        sums = _add(shift_left(matmul(x, weight.data, bits), -shift), start, bits - shift)
    else:
        sums = _rounding(x, weight.data, start, shift, accum.quantization)
    result = limit(sums, accum)
    if result is not sums:
        overflow.add(inside=int(np.count_nonzero(result != sums)))
    return result


def cannot_overflow(x: FixedType, weight: Tensor, bias: Tensor | None, accum: FixedType) -> bool:
    """Whether no partial sum, in any order, leaves the accumulator's range: then saturation is never needed."""
    fraction = max(x.fraction + weight.fixed().fraction, accum.fraction, bias.fixed().fraction if bias else 0)
    low, high = exact_sum_bounds(x, weight, bias, fraction, partial=True)
    shift = fraction - accum.fraction
    slack = (weight.shape[-2] + 1) << shift  # rounding adds less than one LSB a term
    return low - slack >= accum.floor << shift and high + slack <= accum.max << shift


def _sum_bits(x: IntArray, w: IntArray) -> int:
    """Magnitude bits that every partial sum of the product x @ w fits."""
    return bits_of(x) + bits_of(w) + max(int(w.shape[-2]) - 1, 0).bit_length()


def _least_sum_bits(x: IntArray, x_type: FixedType, weight: Tensor) -> int:
    """The same for any x of its type; for these very values where that is too much for float64."""
    terms = max(int(weight.shape[-2]) - 1, 0)
    bits = x_type.width + weight.bits + terms.bit_length()
    return bits if bits <= FLOAT64_BITS else _sum_bits(x, weight.data)


def matmul(x: IntArray, w: IntArray, bits: int | None = None) -> IntArray:
    """Exact integer product of x [..., B, K] and w [..., K, N]: by float64 BLAS where that cannot round, else wider.

    `bits` are magnitude bits that every partial sum fits, where they are known.
    """
    bits = _sum_bits(x, w) if bits is None else bits
    if bits <= FLOAT64_BITS:
        return blas.matmul(x.astype(np.float64), w.astype(np.float64)).astype(np.int64)
    if bits <= INT64_BITS:
        return np.asarray(x.astype(np.int64) @ w.astype(np.int64))
    return compact(np.asarray(wide(x) @ wide(w)))


def _add(sums: IntArray, start: IntArray, bits: int) -> IntArray:
    """The sums, which fit `bits` magnitude bits, and the bias."""
    if sums.dtype != object and start.dtype != object and max(bits, bits_of(start)) < INT64_BITS:
        return sums + start
    return compact(wide(sums) + wide(start))


def _operands(x: IntArray, w: IntArray, start: IntArray, shift: int) -> tuple[IntArray, IntArray, IntArray]:
    """The operands in the narrowest integers in which no product, rounded by `shift` bits, and no sum can wrap."""
    product = bits_of(x) + bits_of(w)
    sums = max(product - shift + 1, bits_of(start)) + int(w.shape[-2]).bit_length()
    bits = max(product, shift, sums) + 1  # half an LSB is added to a product before it is shifted
    if bits <= 31:
        return x.astype(np.int32), w.astype(np.int32), start.astype(np.int32)
    if bits <= INT64_BITS:  # Python integers, too, may be small ones: a part of an array that has large ones as well
        return x.astype(np.int64, copy=False), w.astype(np.int64, copy=False), start.astype(np.int64, copy=False)
    return wide(x), wide(w), wide(start)


def _repeated(start: IntArray, x: IntArray) -> IntArray:
    """A copy of start [..., 1, N] for each row of x [..., B, K]."""
    return np.repeat(start, x.shape[-2], axis=-2)


def _rounding(x: IntArray, w: IntArray, start: IntArray, shift: int, mode: Quantization) -> IntArray:
    x, w, start = _operands(x, w, start, shift)
    sums = np.repeat(np.swapaxes(start, -1, -2), x.shape[-2], axis=-1)
    for block, rows, columns in _columns_and_rows(x, w):
        part = np.ascontiguousarray(sums[..., block])
        for k in range(columns.shape[-1]):
            part += quantize(columns[..., k, np.newaxis] * rows[..., k, np.newaxis, :], shift, mode)
        sums[..., block] = part
    return compact(np.swapaxes(sums, -1, -2))


def _columns_and_rows(x: IntArray, w: IntArray) -> Iterator[tuple[slice, IntArray, IntArray]]:
    """A block of samples, their values [..., K, block] and the weights [..., N, K].

    Samples are innermost: long rows for the processor, and sums of a block that stay in its cache.
    """
    columns, rows = np.ascontiguousarray(np.swapaxes(w, -1, -2)), np.ascontiguousarray(np.swapaxes(x, -1, -2))
    step = max(_PRODUCTS // max(columns.size // max(columns.shape[-1], 1), 1), 1)
    for first in range(0, rows.shape[-1], step):
        block = slice(first, first + step)
        yield block, rows[..., block], columns


def _saturating(
    x: IntArray, w: IntArray, start: IntArray, shift: int, accum: FixedType, overflow: OverflowCount
) -> IntArray:
    extra = max(-shift, 0)
    x, w, start = _operands(shift_left(x, extra), w, start, max(shift, 0))
    x, w, start = (a if a.dtype == object else a.astype(np.int64) for a in (x, w, start))
    first = limit(start, accum)
    sums = _repeated(first, x)
    lost = _repeated(first != start, x)
    for k in range(w.shape[-2]):
        exact = sums + quantize(x[..., k, np.newaxis] * w[..., k, np.newaxis, :], max(shift, 0), accum.quantization)
        sums = limit(exact, accum)
        lost |= sums != exact
    overflow.add(inside=int(np.count_nonzero(lost)))
    return sums
