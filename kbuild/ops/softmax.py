"""`softmax`: over the last axis, by tables for the exponential and the reciprocal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from kbuild.dataclass import dataclass
from kbuild.fixed import FixedType, FloatArray, IntArray, bits_of, compact, wide
from kbuild.ir.op import Interval, Op, OverflowCount, Shape
from kbuild.ir.tensor import Tensor
from kbuild.ops.casting import cast_into
from kbuild.ops.lookup import index_of

IMPLEMENTATIONS = ("stable", "latency", "legacy", "argmax")


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
    """

    implementation: str = "stable"
    exp_table: Tensor | None = None
    exp_offset: int = 0
    exp_shift: int = 0
    inv_table: Tensor | None = None
    inv_shift: int = 0

    kind: ClassVar[str] = "softmax"
    variables: ClassVar[tuple[str, ...]] = ("exp_table", "inv_table", "result")

    def verify(self, shapes: Sequence[Shape]) -> None:
        super().verify(shapes)
        if not shapes[0]:
            raise ValueError("softmax needs an axis")
        if self.implementation not in IMPLEMENTATIONS:
            raise ValueError(f"no softmax implementation is called {self.implementation}")

    def infer_shape(self, shapes: Sequence[Shape]) -> Shape:
        return shapes[0]

    def tables(self) -> tuple[Tensor, Tensor]:
        """The exponential and the reciprocal table, which must exist by now."""
        if self.exp_table is None or self.inv_table is None:
            raise ValueError("the tables are not made yet")
        return self.exp_table, self.inv_table

    def top(self, length: int) -> int:
        """Position of the highest bit that a sum of `length` exponentials can have."""
        exp_table, _ = self.tables()
        return max(length * max(exp_table.bounds()[1], 0), 1).bit_length() - 1

    def infer_type(self, types: Sequence[FixedType]) -> FixedType:
        if self.implementation == "argmax":
            return FixedType(1, 1, signed=False)
        exp_table, inv_table = self.tables()
        # A probability is at most one; rounding in the tables may exceed it a little, hence one more integer bit.
        fraction = exp_table.fixed().fraction + inv_table.fixed().fraction
        return FixedType(max(fraction + 1, 1), 1, signed=False)

    def eval(
        self, inputs: Sequence[IntArray], types: Sequence[FixedType], result: FixedType, overflow: OverflowCount
    ) -> IntArray:
        x = inputs[0]
        if self.implementation == "argmax":
            hot = np.zeros(x.shape, np.int64)
            np.put_along_axis(hot, x.argmax(axis=-1)[..., np.newaxis], 1, axis=-1)
            return cast_into(hot, 0, result, overflow)
        exp_table, _ = self.tables()
        size = exp_table.data.size
        if self.implementation == "legacy":
            difference = x[..., np.newaxis, :] - x[..., :, np.newaxis]
            e = exp_table.data[index_of(difference, self.exp_offset, self.exp_shift, size)]
            return self._divide(np.ones((), np.int64), 0, e.sum(axis=-1), x.shape[-1], result, overflow)
        if self.implementation == "stable":
            index = index_of(x.max(axis=-1, keepdims=True) - x, 0, self.exp_shift, size)
        else:
            index = index_of(x, self.exp_offset, self.exp_shift, size)
        e = exp_table.data[index]
        total = e.sum(axis=-1, keepdims=True)
        return self._divide(e, exp_table.fixed().fraction, total, x.shape[-1], result, overflow)

    def _divide(
        self, e: IntArray, fraction: int, total: IntArray, length: int, result: FixedType, overflow: OverflowCount
    ) -> IntArray:
        """`e * 2**-fraction / total`, cast to the result; e broadcasts to total."""
        _, inv_table = self.tables()
        top = self.top(length)
        position = np.zeros(total.shape, np.int64)
        for bit in range(1, top + 1):
            position += total >= (1 << bit)
        lift = top - position
        mantissa = np.maximum(total, 1) << lift
        inverse = inv_table.data[index_of(mantissa, 1 << top, self.inv_shift, inv_table.data.size)]
        if bits_of(e) + bits_of(inverse) + top > 60:
            e, inverse, lift = wide(e), wide(inverse), wide(lift)
        return cast_into(compact((e * inverse) << lift), fraction + inv_table.fixed().fraction, result, overflow)

    def eval_float(self, inputs: Sequence[FloatArray]) -> FloatArray:
        x = inputs[0]
        if self.implementation == "argmax":
            hot = np.zeros(x.shape)
            np.put_along_axis(hot, x.argmax(axis=-1)[..., np.newaxis], 1.0, axis=-1)
            return hot
        e = np.exp(x - x.max(axis=-1, keepdims=True))
        return np.asarray(e / e.sum(axis=-1, keepdims=True))

    def interval(self, inputs: Sequence[Interval]) -> Interval:
        return Interval(np.zeros(inputs[0].low.shape), np.ones(inputs[0].low.shape))


