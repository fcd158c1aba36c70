"""`identity`: the value itself, cast to the result type (a linear activation with a precision of its own)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from kbuild.dataclass import dataclass
from kbuild.fixed import FixedType, FloatArray, IntArray
from kbuild.ir.op import Interval, Op, OverflowCount, Shape
from kbuild.ops.casting import recast_into


@dataclass(frozen=True)
class Identity(Op):
    """Changes nothing but, perhaps, the type. Training-only layers become this and are dropped by a pass."""

    kind: ClassVar[str] = "identity"

    def infer_shape(self, shapes: Sequence[Shape]) -> Shape:
        return shapes[0]

    def changes_nothing(self, shape: Shape) -> bool:
        return True

    def infer_type(self, types: Sequence[FixedType]) -> FixedType:
        return types[0].plain()

    def eval(
        self, inputs: Sequence[IntArray], types: Sequence[FixedType], result: FixedType, overflow: OverflowCount
    ) -> IntArray:
        return recast_into(inputs[0], types[0], result, overflow)

    def eval_float(self, inputs: Sequence[FloatArray]) -> FloatArray:
        return inputs[0]

    def interval(self, inputs: Sequence[Interval]) -> Interval:
        return inputs[0]
