"""`concatenate`: the inputs one after the other along an axis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from kbuild.dataclass import dataclass
from kbuild.fixed import FixedType, FloatArray, IntArray, union_type
from kbuild.ir.op import Interval, Op, OverflowCount, Shape
from kbuild.ops.casting import cast_into


@dataclass(frozen=True)
class Concatenate(Op):
    """Inputs joined along `axis` (counted without the batch axis), each cast to the result."""

    axis: int

    kind: ClassVar[str] = "concatenate"
    arity: ClassVar[tuple[int, int | None]] = (1, None)

    def verify(self, shapes: Sequence[Shape]) -> None:
        super().verify(shapes)
        if not 0 <= self.axis < len(shapes[0]):
            raise ValueError(f"axis {self.axis} is not an axis of shape {shapes[0]}")
        rests = {(*s[: self.axis], *s[self.axis + 1 :]) for s in shapes}
        if len(rests) > 1:
            raise ValueError(f"shapes {', '.join(map(str, shapes))} differ beside axis {self.axis}")

    def infer_shape(self, shapes: Sequence[Shape]) -> Shape:
        first = list(shapes[0])
        first[self.axis] = sum(s[self.axis] for s in shapes)
        return tuple(first)

    def infer_type(self, types: Sequence[FixedType]) -> FixedType:
        return union_type(*types)

    def eval(
        self, inputs: Sequence[IntArray], types: Sequence[FixedType], result: FixedType, overflow: OverflowCount
    ) -> IntArray:
        parts = [cast_into(x, t.fraction, result, overflow) for x, t in zip(inputs, types, strict=True)]
        return np.concatenate(parts, axis=self.axis + 1)

    def eval_float(self, inputs: Sequence[FloatArray]) -> FloatArray:
        return np.concatenate(inputs, axis=self.axis + 1)

    def interval(self, inputs: Sequence[Interval]) -> Interval:
        low = np.concatenate([x.low for x in inputs], axis=self.axis)
        return Interval(low, np.concatenate([x.high for x in inputs], axis=self.axis))
