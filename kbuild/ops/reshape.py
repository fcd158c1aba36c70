"""`reshape`: the same elements in row-major order under another shape."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar

from kbuild.dataclass import dataclass
from kbuild.fixed import FixedType, FloatArray, IntArray
from kbuild.ir.op import Interval, Op, OverflowCount, Shape
from kbuild.ops.casting import recast_into


@dataclass(frozen=True)
class Reshape(Op):
    """Row-major reshape to `shape`, without the batch axis (Flatten and Reshape)."""

    shape: Shape

    kind: ClassVar[str] = "reshape"

    def verify(self, shapes: Sequence[Shape]) -> None:
        super().verify(shapes)
        if math.prod(shapes[0]) != math.prod(self.shape):
            raise ValueError(f"{shapes[0]} has another number of elements than {self.shape}")

    def infer_shape(self, shapes: Sequence[Shape]) -> Shape:
        return self.shape

    def changes_nothing(self, shape: Shape) -> bool:
        return shape == self.shape

    def infer_type(self, types: Sequence[FixedType]) -> FixedType:
        return types[0].plain()

    def eval(
        self, inputs: Sequence[IntArray], types: Sequence[FixedType], result: FixedType, overflow: OverflowCount
    ) -> IntArray:
        x = inputs[0]
        return recast_into(x.reshape(x.shape[0], *self.shape), types[0], result, overflow)

    def eval_float(self, inputs: Sequence[FloatArray]) -> FloatArray:
        return inputs[0].reshape(inputs[0].shape[0], *self.shape)

    def interval(self, inputs: Sequence[Interval]) -> Interval:
        return Interval(inputs[0].low.reshape(self.shape), inputs[0].high.reshape(self.shape))
