"""`repeat`: each element several times."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from kbuild.dataclass import dataclass
from kbuild.fixed import FixedType, FloatArray, IntArray
from kbuild.ir.op import Interval, Op, OverflowCount, Shape
from kbuild.ops.casting import recast_into
from kbuild.ops.windows import Array, at_least, per_axis


@dataclass(frozen=True)
class Repeat(Op):
    """Each element `factors[i]` times in a row along axis i, counted without the batch axis (nearest upsampling)."""

    factors: tuple[int, ...]

    kind: ClassVar[str] = "repeat"

    def verify(self, shapes: Sequence[Shape]) -> None:
        super().verify(shapes)
        per_axis("factors", self.factors, len(shapes[0]))
        at_least("factors", self.factors, 1)

    def infer_shape(self, shapes: Sequence[Shape]) -> Shape:
        return tuple(n * f for n, f in zip(shapes[0], self.factors, strict=True))

    def changes_nothing(self, shape: Shape) -> bool:
        return all(factor == 1 for factor in self.factors)

    def infer_type(self, types: Sequence[FixedType]) -> FixedType:
        return types[0].plain()

    def _repeated(self, x: Array, first: int) -> Array:
        """x with the axes from `first` on repeated."""
        for axis, factor in enumerate(self.factors, first):
            x = np.repeat(x, factor, axis=axis) if factor > 1 else x
        return x

    def eval(
        self, inputs: Sequence[IntArray], types: Sequence[FixedType], result: FixedType, overflow: OverflowCount
    ) -> IntArray:
        return self._repeated(recast_into(inputs[0], types[0], result, overflow), 1)

    def eval_float(self, inputs: Sequence[FloatArray]) -> FloatArray:
        return self._repeated(inputs[0], 1)

    def interval(self, inputs: Sequence[Interval]) -> Interval:
        return Interval(self._repeated(inputs[0].low, 0), self._repeated(inputs[0].high, 0))
