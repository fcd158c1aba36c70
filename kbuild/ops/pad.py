"""`pad`: zeros around a value, or less of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from kbuild.dataclass import dataclass
from kbuild.fixed import FixedType, FloatArray, IntArray
from kbuild.ir.op import Interval, Op, OverflowCount, Shape
from kbuild.ops.casting import recast_into
from kbuild.ops.windows import Array, Pairs, per_axis


@dataclass(frozen=True)
class Pad(Op):
    """`padding` (low, high) zeros before and after the elements of each axis but the batch; a negative count crops."""

    padding: Pairs

    kind: ClassVar[str] = "pad"

    def verify(self, shapes: Sequence[Shape]) -> None:
        super().verify(shapes)
        per_axis("padding", self.padding, len(shapes[0]))
        for n, (low, high) in zip(shapes[0], self.padding, strict=True):
            if n + min(low, 0) + min(high, 0) < 1:
                raise ValueError(f"the padding {self.padding} leaves nothing of shape {shapes[0]}")

    def infer_shape(self, shapes: Sequence[Shape]) -> Shape:
        return tuple(low + n + high for n, (low, high) in zip(shapes[0], self.padding, strict=True))

    def changes_nothing(self, shape: Shape) -> bool:
        return not any(map(any, self.padding))

    def infer_type(self, types: Sequence[FixedType]) -> FixedType:
        return types[0].plain()

    def _padded(self, x: Array) -> Array:
        """x [*shape] with its padding."""
        kept = x[
            tuple(slice(max(-low, 0), n - max(-high, 0)) for n, (low, high) in zip(x.shape, self.padding, strict=True))
        ]
        outside = [(max(low, 0), max(high, 0)) for low, high in self.padding]
        padded = np.full([low + n + high for n, (low, high) in zip(kept.shape, outside, strict=True)], 0, x.dtype)
        padded[tuple(slice(low, low + n) for n, (low, _) in zip(kept.shape, outside, strict=True))] = kept
        return padded

    def eval(
        self, inputs: Sequence[IntArray], types: Sequence[FixedType], result: FixedType, overflow: OverflowCount
    ) -> IntArray:
        return recast_into(self._batch(inputs[0]), types[0], result, overflow)

    def eval_float(self, inputs: Sequence[FloatArray]) -> FloatArray:
        return self._batch(inputs[0])

    def _batch(self, x: Array) -> Array:
        return Pad(((0, 0), *self.padding))._padded(x)

    def interval(self, inputs: Sequence[Interval]) -> Interval:
        return Interval(self._padded(inputs[0].low), self._padded(inputs[0].high))
