"""`softmax`: over the last axis, by tables for the exponential and the reciprocal."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import ClassVar

import numpy as np

from kbuild.dataclass import dataclass
from kbuild.fixed import INT64_BITS, FixedType, FloatArray, IntArray, bits_of, cast, compact, wide
from kbuild.ir.op import Interval, Op, OverflowCount, Shape
from kbuild.ir.tensor import Tensor
from kbuild.ops.casting import cast_into
from kbuild.ops.lookup import index_of

IMPLEMENTATIONS = ("stable", "latency", "legacy", "argmax")
ALLOWED = FixedType(1, 1, signed=False)  # the type of a mask
_COMPOSED = 1 << 18  # exponentials that are worked out beforehand at most


@dataclass(frozen=True)
class Softmax(Op):
    """Softmax over the last axis.

    stable: `e_i = exp_table[(max(x) - x_i) >> exp_shift]`; latency: `e_i = exp_table[(x_i - exp_offset) >> exp_shift]`.
    Then `s = sum(e)`, exact, and the result is `e_i / s`. legacy: `1 / sum_j exp_table[(x_j - x_i - exp_offset) >>
    exp_shift]`. argmax: one at the first largest input, zero elsewhere. Indices saturate at both ends of a table.

    The reciprocal of s: with p the position of the highest set bit of s (0 when s is 0), s is normalised to
    `m = s << (top - p)`, so that 2**top <= m < 2**(top + 1), where `top` is the position of the highest bit that any
    sum can have; then `1/s = inv_table[(m - 2**top) >> inv_shift] * 2**(top - p)`, where entry i stands for
    `2**f / (centre of the cell of m)`, with f the fraction bits of the exponentials. So a small table has the same
    relative precision for every sum. The product and the shift are exact, then cast to the result.

    refined (a stable one with `exp_low`): two small tables and a product make an exponential, a line in each cell of
    m makes a reciprocal, which gives either the precision of tables of thousands of times their size. With b the
    number of bits that index exp_low, i the index as above, saturated to the exp_table.size << b that there are,
    h = i >> b and l its low b bits:

        e = exp_table[h] - exp_table[h] * exp_low[l]       the product floored to the LSB of exp_table
        r = inv_table[k] - inv_slope[k] * rest             the product floored to the LSB of inv_table

    with k as above and rest the bits of m below those of k, without the lowest inv_drop. Entries of exp_low, which are
    below one, stand for 1 - exp(-l). The result is the exact product of e, cast to the type `numerator`, and r, cast to
    the type `inverse`, shifted and cast as above. The sum is that of the e before their cast.

    mask: ones and zeros of type ufixed<1,1>, which broadcast to the input along its first axes. Where it is zero there
    is no input: it counts for no maximum and no sum, and the result is zero. Each row has an input.

    distinct (a stable one): an input below the largest gets a result below that of the largest: where it would be
    equal, one LSB less, unless both are zero.
    """

    implementation: str = "stable"
    exp_table: Tensor | None = None
    exp_offset: int = 0
    exp_shift: int = 0
    inv_table: Tensor | None = None
    inv_shift: int = 0
    exp_low: Tensor | None = None
    inv_slope: Tensor | None = None
    inv_drop: int = 0
    numerator: FixedType | None = None
    inverse: FixedType | None = None
    distinct: bool = False
    mask: Tensor | None = None

    kind: ClassVar[str] = "softmax"
    variables: ClassVar[tuple[str, ...]] = ("exp_table", "inv_table", "result")

    def verify(self, shapes: Sequence[Shape]) -> None:
        super().verify(shapes)
        if not shapes[0]:
            raise ValueError("softmax needs an axis")
        if self.implementation not in IMPLEMENTATIONS:
            raise ValueError(f"no softmax implementation is called {self.implementation}")
        if self.implementation != "stable" and (self.distinct or self.exp_low is not None):
            raise ValueError(f"a {self.implementation} softmax is neither refined nor distinct")
        if self.exp_low is not None:
            self._verify_refinement()
        if self.mask is not None:
            self._verify_mask(self.mask, shapes[0])

    def _verify_mask(self, mask: Tensor, shape: Shape) -> None:
        if mask.type != ALLOWED or mask.shape != shape[len(shape) - len(mask.shape) :]:
            raise ValueError(f"the mask has shape {mask.shape} and type {mask.type}, not ones and zeros for {shape}")
        if not mask.data.any(axis=-1).all():
            raise ValueError("the mask leaves a row without an input")

    def _verify_refinement(self) -> None:
        low, slope, _, _ = self.refinement()
        of, size = low.fixed(), low.data.size
        if of.signed or of.integer > 0 or size & (size - 1) or low.data[0] != 0:
            raise ValueError("exp_low has a power of two of values from 0, the first, to below one")
        if slope.fixed().fraction < self.tables()[1].fixed().fraction:
            raise ValueError("the LSB of inv_slope is above that of inv_table")

    def infer_shape(self, shapes: Sequence[Shape]) -> Shape:
        return shapes[0]

    def tables(self) -> tuple[Tensor, Tensor]:
        """The exponential and the reciprocal table, which must exist by now."""
        if self.inv_table is None:
            raise ValueError("the reciprocal table is not made yet")
        return self.exponential(), self.inv_table

    def exponential(self) -> Tensor:
        """The table of exponentials, which must exist by now."""
        if self.exp_table is None:
            raise ValueError("the exponential table is not made yet")
        return self.exp_table

    def refinement(self) -> tuple[Tensor, Tensor, FixedType, FixedType]:
        """exp_low, inv_slope, and the types `numerator` and `inverse` of a refined softmax."""
        if self.exp_low is None or self.inv_slope is None or self.numerator is None or self.inverse is None:
            raise ValueError("a refined softmax has exp_low, inv_slope, and the types numerator and inverse")
        return self.exp_low, self.inv_slope, self.numerator, self.inverse

    @property
    def low_bits(self) -> int:
        """Bits of the index that exp_low is read with."""
        return self.refinement()[0].data.size.bit_length() - 1

    def top(self, length: int) -> int:
        """Position of the highest bit that a sum of `length` exponentials can have."""
        return max(length * max(self.exponential().bounds()[1], 0), 1).bit_length() - 1

    def least(self) -> int:
        """Position of the highest bit that every sum has: a sum of `stable` has the exponential of zero in it."""
        return max(int(self.exponential().data[0]), 1).bit_length() - 1 if self.implementation == "stable" else 0

    def infer_type(self, types: Sequence[FixedType]) -> FixedType:
        if self.implementation == "argmax":
            return FixedType(1, 1, signed=False)
        if self.exp_low is not None:
            _, _, numerator, inverse = self.refinement()
            fraction = numerator.fraction + inverse.fraction
        else:
            exp_table, inv_table = self.tables()
            fraction = exp_table.fixed().fraction + inv_table.fixed().fraction
        # A probability is at most one; rounding in the tables may exceed it a little, hence one more integer bit.
        return FixedType(max(fraction + 1, 1), 1, signed=False)

    def eval(
        self, inputs: Sequence[IntArray], types: Sequence[FixedType], result: FixedType, overflow: OverflowCount
    ) -> IntArray:
        x = self._masked(inputs[0])
        if self.implementation == "argmax":
            hot = np.zeros(x.shape, np.int64)
            np.put_along_axis(hot, x.argmax(axis=-1)[..., np.newaxis], 1, axis=-1)
            return cast_into(hot, 0, result, overflow)
        if self.implementation == "stable":
            return self._stable(x, result, overflow)
        exp_table, _ = self.tables()
        size, fraction = exp_table.data.size, exp_table.fixed().fraction
        if self.implementation == "legacy":
            difference = x[..., np.newaxis, :] - x[..., :, np.newaxis]
            e = exp_table.data[index_of(difference, self.exp_offset, self.exp_shift, size)]
            allowed = 1 if self.mask is None else self.mask.data[..., np.newaxis, :]
            total, e, fraction = (e * allowed).sum(axis=-1), self._allowed(np.ones(x.shape, np.int64)), 0
        else:
            e = self._allowed(exp_table.data[index_of(x, self.exp_offset, self.exp_shift, size)])
            total = e.sum(axis=-1, keepdims=True)
        inverse, lift = self._reciprocal(total, x.shape[-1])
        return self._scaled(e, fraction, inverse, lift, result, overflow)

    def _allowed(self, values: IntArray) -> IntArray:
        """The values, zeros where the mask is."""
        return values if self.mask is None else values * self.mask.data

    def _masked(self, x: IntArray) -> IntArray:
        """x, with the least input of its row, or what comes before it, where there is none."""
        if self.mask is None:
            return x
        allowed = self.mask.data != 0
        least = np.where(allowed, x, x.max(axis=-1, keepdims=True)).min(axis=-1, keepdims=True)
        return np.where(allowed, x, least - (self.implementation == "argmax"))

    def _stable(self, x: IntArray, result: FixedType, overflow: OverflowCount) -> IntArray:
        difference = self._allowed(x.max(axis=-1, keepdims=True) - x)
        e, factor, most = self._exponentials(difference)
        e, factor = self._allowed(e), self._allowed(factor)
        inverse, lift = self._reciprocal(e.sum(axis=-1, keepdims=True), x.shape[-1])
        fraction = (self.numerator or self.exponential().fixed()).fraction
        y = self._scaled(factor, fraction, inverse, lift, result, overflow)
        if not self.distinct:
            return y
        highest = self._scaled(most, fraction, inverse, lift, result, OverflowCount())
        below = highest - (highest > 0).astype(highest.dtype)
        return np.where(difference > 0, np.minimum(y, below), y)

    def _exponentials(self, difference: IntArray) -> tuple[IntArray, ...]:
        """Exponentials as they enter the sum and as they are multiplied, and the latter of the largest input."""
        table = self.exponential()
        if self.exp_low is None:
            e = table.data[index_of(difference, 0, self.exp_shift, table.data.size)]
            return e, e, table.data[:1]
        size = table.data.size << self.low_bits
        index = index_of(difference, 0, self.exp_shift, size)
        composed = (of[index] for of in self._composed) if size <= _COMPOSED else self._composition(index)
        return *composed, self._composition(np.zeros(1, np.int64))[1]

    @cached_property
    def _composed(self) -> tuple[IntArray, IntArray]:
        """`_composition` of every index."""
        return self._composition(np.arange(self.exponential().data.size << self.low_bits))

    def _composition(self, index: IntArray) -> tuple[IntArray, IntArray]:
        """Exponentials from both tables, and the same cast to the type `numerator`."""
        (low, _, of, _), table = self.refinement(), self.exponential()
        high, share = table.data[index >> self.low_bits], low.data[index & (low.data.size - 1)]
        if table.bits + low.bits > INT64_BITS:
            high, share = wide(high), wide(share)
        e = compact(high - (high * share >> low.fixed().fraction))
        return e, cast(e, table.fixed().fraction, of)

    def _reciprocal(self, total: IntArray, length: int) -> tuple[IntArray, IntArray]:
        """Reciprocals of the sums, and how far each sum was shifted up."""
        _, inv_table = self.tables()
        top = self.top(length)
        lift = np.full(total.shape, top - self.least())
        for bit in range(self.least() + 1, top + 1):
            lift -= total >= (1 << bit)
        mantissa = np.maximum(total, 1) << lift
        index = index_of(mantissa, 1 << top, self.inv_shift, inv_table.data.size)
        inverse = inv_table.data[index]
        if self.exp_low is None:
            return inverse, lift
        _, slope, _, of = self.refinement()
        rest = (mantissa - (1 << top) & ((1 << self.inv_shift) - 1)) >> self.inv_drop
        fraction = inv_table.fixed().fraction
        inverse = inverse - (slope.data[index] * rest >> (slope.fixed().fraction - fraction))
        return cast(inverse, fraction, of), lift

    def _scaled(
        self, e: IntArray, fraction: int, inverse: IntArray, lift: IntArray, result: FixedType, overflow: OverflowCount
    ) -> IntArray:
        """`e * 2**-fraction * inverse << lift`, cast to the result; e broadcasts to the inverse."""
        of = self.inverse or self.tables()[1].fixed()
        if bits_of(e) + bits_of(inverse) + int(lift.max(initial=0)) > INT64_BITS:
            e, inverse, lift = wide(e), wide(inverse), wide(lift)
        return cast_into(compact((e * inverse) << lift), fraction + of.fraction, result, overflow)

    def eval_float(self, inputs: Sequence[FloatArray]) -> FloatArray:
        x = inputs[0]
        if self.mask is not None:
            x = np.where(self.mask.data != 0, x, -np.inf)
        if self.implementation == "argmax":
            hot = np.zeros(x.shape)
            np.put_along_axis(hot, x.argmax(axis=-1)[..., np.newaxis], 1.0, axis=-1)
            return hot
        e = np.exp(x - x.max(axis=-1, keepdims=True))
        return np.asarray(e / e.sum(axis=-1, keepdims=True))

    def interval(self, inputs: Sequence[Interval]) -> Interval:
        shape = inputs[0].low.shape
        high = np.ones(shape) if self.mask is None else np.broadcast_to(self.mask.floats(), shape).copy()
        return Interval(np.zeros(shape), high)
