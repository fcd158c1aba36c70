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
    Quantization,
    limit,
    quantize,
    scale,
)
from kbuild.ir.op import OverflowCount
from kbuild.ir.tensor import Tensor
from kbuild.ops import blas
from kbuild.ops.accumulate import FLOAT64_BITS, accumulate, reach
from kbuild.ops.casting import cast_into, recast_into
from kbuild.ops.remainders import Remainders, remainders

_NEAREST_BITS = 51
# The sum of this and a number of at most `_NEAREST_BITS` magnitude bits has an LSB of one. The bits of a float64 in
# [2**52, 2**53) are those of 2**52 plus its distance from there: an integer.
_ANCHOR = 1.5 * 2.0**52
_ANCHOR_BITS = int(np.array(_ANCHOR).view(np.int64))
_LARGEST_SCALE = 900  # a power of two that leaves 53 bits of any product normal numbers
_ROW = 1 << 10  # values that are worth a loop of their own


@dataclass(frozen=True)
class FloatSums:
    """How the sums `x @ weight - lost + offset` become integers of the result.

    weight [K, N], offset [N]. `lost` is what the products lose that are rounded one by one, if they are: `remainders`,
    times `lost_scale`. `accum` is the accumulator's type where a sum might leave it: then sums are integers of that
    type first.
    """

    weight: FloatArray
    offset: FloatArray
    remainders: Remainders | None
    lost_scale: float
    accum: FixedType | None
    result: FixedType

    def finish(self, sums: FloatArray, overflow: OverflowCount) -> IntArray:
        """Integers of the result [..., M, N] for `x @ weight - lost`, in the memory of contiguous sums."""
        return self._settled(nearest(_plus_rows(sums, self.offset)), overflow)

    def finish_columns(self, sums: FloatArray, overflow: OverflowCount) -> IntArray:
        """The same, [..., N, M] for `weight.T @ x.T - lost`."""
        sums += self.offset[..., np.newaxis]
        return self._settled(nearest(sums), overflow)

    def _settled(self, q: IntArray, overflow: OverflowCount) -> IntArray:
        to = self.result if self.accum is None else self.accum
        inside = limit(q, to)
        if inside is not q:
            lost = int(np.count_nonzero(inside != q))
            overflow.add(results=lost) if self.accum is None else overflow.add(inside=lost)
        return inside if self.accum is None else recast_into(inside, self.accum, self.result, overflow)


def float_sums(
    x: FixedType, weight: Tensor, bias: Tensor | None, accum: FixedType, result: FixedType, groups: int = 1
) -> FloatSums | None:
    """For any x of its type; None where float64 is not exact, or where sums may have to be saturated one by one.

    weight [K, N] and bias [N] as `accumulate` takes them; the outputs are `groups` equal parts, which have inputs of
    their own: so do their remainders, whose weights are [groups, N / groups, K] then.
    """
    drop = x.fraction + weight.fixed().fraction - accum.fraction  # bits of each product
    lost = max(drop, 0)
    if max(x.width, weight.bits) > FLOAT64_BITS:
        return None
    grouped = np.moveaxis(weight.data.reshape(len(weight.data), groups, -1), 1, 0)
    apart = remainders(grouped if groups > 1 else weight.data, lost, accum.quantization) if lost else None
    if lost and apart is None:
        return None
    start = np.zeros(weight.shape[-1], np.int64)
    if bias is not None:
        start = quantize(bias.data, bias.fixed().fraction - accum.fraction, accum.quantization)
    found = reach(x, weight, start, accum, lost)
    if found is None:
        return None
    largest, fits = found
    down = accum.fraction - result.fraction if fits else 0
    added = rounding_offset(result.quantization, down) if down > 0 else 0.0
    if added is None:
        fits, down, added = False, 0, 0.0
    whole = largest + (1 << max(down, 0))
    finest = max(lost, 1 if down > 0 else 0)  # bits below the accumulator's LSB, which an offset's may be half of
    exact = whole.bit_length() + finest <= FLOAT64_BITS
    near = (whole >> down if down > 0 else whole << -down).bit_length() < _NEAREST_BITS
    if not (exact and near) or abs(drop) + abs(down) > _LARGEST_SCALE:
        return None
    offset = start + (len(weight.data) * apart.added * 2.0**-lost if apart else 0.0)
    return FloatSums(
        scale(weight.data.astype(np.float64), -drop - down),
        scale(offset.astype(np.float64), -down) + added,
        apart,
        2.0 ** -(lost + down),
        None if fits else accum,
        result,
    )


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
    if x.size == 0:
        return x
    rows, columns = x.shape[-2:]
    together = next((n for n in range(min(max(_ROW // columns, 1), rows), 1, -1) if rows % n == 0), 1)
    flat = x.reshape(*x.shape[:-2], rows // together, together * columns)
    flat += np.tile(offset, together)[..., np.newaxis, :]
    return flat.reshape(x.shape)


Accumulation = Callable[[IntArray, OverflowCount], IntArray]


def contraction(x: FixedType, weight: Tensor, bias: Tensor | None, accum: FixedType, result: FixedType) -> Accumulation:
    """The fastest way to `accumulate` with weights [K, N] and to cast to the result, for integers [M, K] of type x."""
    floats = float_sums(x, weight, bias, accum, result)

    def general(q: IntArray, overflow: OverflowCount) -> IntArray:
        return cast_into(accumulate(q, x, weight, bias, accum, overflow), accum.fraction, result, overflow)

    if floats is None:
        return general

    def in_floats(q: IntArray, overflow: OverflowCount) -> IntArray:
        sums = blas.matmul(q.astype(np.float64), floats.weight)
        if floats.remainders is not None:
            sums -= floats.remainders.sums(q.T, floats.lost_scale).T
        return floats.finish(sums, overflow)

    return in_floats


def contraction_of_columns(x: FixedType, weight: Tensor, bias: Tensor | None, accum: FixedType) -> Accumulation:
    """`accumulate` with weights [K, N] for integers [..., K, M], a sample in each column: [..., N, M]."""
    floats = float_sums(x, weight, bias, accum, accum)

    def general(q: IntArray, overflow: OverflowCount) -> IntArray:
        rows = np.moveaxis(q, -2, -1)
        sums = accumulate(rows.reshape(-1, rows.shape[-1]), x, weight, bias, accum, overflow)
        return np.ascontiguousarray(np.moveaxis(sums.reshape(*rows.shape[:-1], -1), -1, -2))

    if floats is None:
        return general
    columns = np.ascontiguousarray(floats.weight.T)

    def in_floats(q: IntArray, overflow: OverflowCount) -> IntArray:
        sums = blas.matmul(columns, q.astype(np.float64))
        if floats.remainders is not None:
            sums -= floats.remainders.sums(q, floats.lost_scale)
        return floats.finish_columns(sums, overflow)

    return in_floats
