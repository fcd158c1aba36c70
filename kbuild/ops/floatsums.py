"""Sums of products with constant weights in float64: exact where its 53 bits hold them, and then by far the fastest.

Weights and bias are scaled by a power of two, so that the sums come in LSBs of the type that they are rounded to. What
the rounding mode adds before it takes the nearest integer is part of the bias. So nothing rounds but the last step.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from kbuild.dataclass import dataclass
from kbuild.fixed import (
    FixedType,
    FloatArray,
    IntArray,
    Overflow,
    Quantization,
    limit,
    quantize,
    scale,
    type_for,
)
from kbuild.ir.op import OverflowCount
from kbuild.ir.tensor import Tensor
from kbuild.ops import blas
from kbuild.ops.accumulate import FLOAT64_BITS, accumulate, exact_sum_bounds
from kbuild.ops.casting import cast_into

_NEAREST_BITS = 51
# The sum of this and a number of at most `_NEAREST_BITS` magnitude bits has an LSB of one. The bits of a float64 in
# [2**52, 2**53) are those of 2**52 plus its distance from there: an integer.
_ANCHOR = 1.5 * 2.0**52
_ANCHOR_BITS = int(np.array(_ANCHOR).view(np.int64))
_LARGEST_SCALE = 900  # a power of two that leaves 53 bits of any product normal numbers
_ROW = 1 << 10  # values that are worth a loop of their own


@dataclass(frozen=True)
class FloatSums:
    """How the sums `x @ weight + offset` become integers of the result.

    weight [..., K, N], offset [..., N]. `accum` is the accumulator's type where a sum might leave it: then sums are
    integers of that type first.
    """

    weight: FloatArray
    offset: FloatArray
    accum: FixedType | None
    result: FixedType

    def finish(self, sums: FloatArray, overflow: OverflowCount) -> IntArray:
        """Integers of the result [..., M, N] for `x @ weight`, in the memory of the sums where they are contiguous."""
        return self._settled(nearest(_plus_rows(sums, self.offset)), overflow)

    def finish_columns(self, sums: FloatArray, overflow: OverflowCount) -> IntArray:
        """The same, [..., N, M] for `weight.T @ x.T`."""
        sums += self.offset[..., np.newaxis]
        return self._settled(nearest(sums), overflow)

    def _settled(self, q: IntArray, overflow: OverflowCount) -> IntArray:
        to = self.result if self.accum is None else self.accum
        inside = limit(q, to)
        if inside is not q:
            overflow.add(int(np.count_nonzero(inside != q)))
        return inside if self.accum is None else cast_into(inside, self.accum.fraction, self.result, overflow)


def float_sums(
    x: FixedType, weight: Tensor, bias: Tensor | None, accum: FixedType, result: FixedType
) -> FloatSums | None:
    """For any x of its type; None where float64 is not exact, or products are rounded or saturated one by one.

    weight [..., K, N] and bias [..., N] as `accumulate` takes them.
    """
    up = accum.fraction - x.fraction - weight.fixed().fraction
    if up < 0 or x.width > FLOAT64_BITS or weight.bits > FLOAT64_BITS:
        return None
    start = np.zeros((*weight.shape[:-2], weight.shape[-1]), np.int64)
    if bias is not None:
        start = quantize(bias.data, bias.fixed().fraction - accum.fraction, accum.quantization)
    first = Tensor(start, type_for(int(start.min()), int(start.max()), accum.fraction))
    low, high = exact_sum_bounds(x, weight, first, accum.fraction, partial=True)
    fits = accum.min <= low and high <= accum.max
    if not fits and accum.overflow is Overflow.WRAP:
        total = exact_sum_bounds(x, weight, first, accum.fraction)
        fits = accum.min <= total[0] and total[1] <= accum.max
    elif not fits or accum.floor > low:
        return None
    down = accum.fraction - result.fraction if fits else 0
    added = rounding_offset(result.quantization, down) if down > 0 else 0.0
    if added is None:
        fits, down, added = False, 0, 0.0
    largest = max(-low, high)
    exact = (2 * (largest + (1 << down)) if down > 0 else largest).bit_length() <= FLOAT64_BITS
    near = (largest >> down if down > 0 else largest << -down).bit_length() < _NEAREST_BITS
    if not (exact and near) or abs(up) + abs(down) > _LARGEST_SCALE:
        return None
    scaled = scale(weight.data.astype(np.float64), up - down)
    offset = scale(start.astype(np.float64), -down) + added
    return FloatSums(scaled, offset, None if fits else accum, result)


def rounding_offset(mode: Quantization, bits: int) -> float | None:
    """What to add to a multiple of `2**-bits` so that the nearest integer, the even one of two, is what the mode says.

    bits >= 1. It keeps the sum a multiple of half of that; None where it would depend on the sign.
    """
    little = 2.0 ** -(bits + 1)
    return {
        Quantization.TRN: little - 0.5,
        Quantization.RND: little,
        Quantization.RND_MIN_INF: -little,
        Quantization.RND_CONV: 0.0,
    }.get(mode)


def nearest(x: FloatArray) -> IntArray:
    """The nearest integers, the even one of two, in the memory of x, whose magnitudes have at most 51 bits."""
    x += _ANCHOR
    q: IntArray = x.view(np.int64)
    q -= _ANCHOR_BITS
    return q


def _plus_rows(x: FloatArray, offset: FloatArray) -> FloatArray:
    """x [..., M, N] += offset [..., N], many rows at a time."""
    rows, columns = x.shape[-2:]
    together = next((n for n in range(min(max(_ROW // max(columns, 1), 1), rows), 1, -1) if rows % n == 0), 1)
    shape = (*x.shape[:-2], max(rows, 1) // together, together * columns)
    flat = x.reshape(shape)
    flat += np.tile(offset, together)[..., np.newaxis, :]
    return flat.reshape(x.shape)


Accumulation = Callable[[IntArray, OverflowCount], IntArray]


def contraction(x: FixedType, weight: Tensor, bias: Tensor | None, accum: FixedType, result: FixedType) -> Accumulation:
    """The fastest way to `accumulate` and to cast to the result, for integers [..., M, K] of the type x."""
    floats = float_sums(x, weight, bias, accum, result)
    if floats is not None:
        return lambda q, overflow: floats.finish(blas.matmul(q.astype(np.float64), floats.weight), overflow)

    def general(q: IntArray, overflow: OverflowCount) -> IntArray:
        return cast_into(accumulate(q, x, weight, bias, accum, overflow), accum.fraction, result, overflow)

    return general


def contraction_of_columns(x: FixedType, weight: Tensor, bias: Tensor | None, accum: FixedType) -> Accumulation:
    """`accumulate` for a matrix weight [K, N] and integers [..., K, M], a sample in each column: [..., N, M]."""
    floats = float_sums(x, weight, bias, accum, accum)
    if floats is not None:
        columns = np.ascontiguousarray(floats.weight.T)
        return lambda q, overflow: floats.finish_columns(blas.matmul(columns, q.astype(np.float64)), overflow)

    def general(q: IntArray, overflow: OverflowCount) -> IntArray:
        rows = np.moveaxis(q, -2, -1)
        sums = accumulate(rows.reshape(-1, rows.shape[-1]), x, weight, bias, accum, overflow)
        return np.ascontiguousarray(np.moveaxis(sums.reshape(*rows.shape[:-1], -1), -1, -2))

    return general
