"""`constant`: a value that does not depend on the inputs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from kbuild.dataclass import dataclass
from kbuild.fixed import FixedType, FloatArray, IntArray, type_for
from kbuild.ir.op import Interval, Op, OverflowCount, Shape
from kbuild.ir.tensor import Tensor
from kbuild.ops.casting import cast_into


@dataclass(frozen=True)
class Constant(Op):
    """The tensor `value`. `eval` returns it with a batch axis of one, which broadcasts."""

    value: Tensor

    kind: ClassVar[str] = "constant"
    arity: ClassVar[tuple[int, int | None]] = (0, 0)
    variables: ClassVar[tuple[str, ...]] = ("weight", "result")

    def infer_shape(self, shapes: Sequence[Shape]) -> Shape:
        return self.value.shape

    def infer_type(self, types: Sequence[FixedType]) -> FixedType:
        return type_for(*self.value.bounds(), self.value.fixed().fraction)

    def eval(
        self, inputs: Sequence[IntArray], types: Sequence[FixedType], result: FixedType, overflow: OverflowCount
    ) -> IntArray:
        return cast_into(self.value.data[None], self.value.fixed().fraction, result, overflow)

    def eval_float(self, inputs: Sequence[FloatArray]) -> FloatArray:
        return self.value.floats()[None]

    def interval(self, inputs: Sequence[Interval]) -> Interval:
        return Interval(self.value.floats(), self.value.floats())
