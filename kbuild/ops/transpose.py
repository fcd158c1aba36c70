"""`transpose`: the axes in another order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from kbuild.dataclass import dataclass
from kbuild.fixed import FixedType, FloatArray, IntArray
from kbuild.ir.op import Interval, Op, OverflowCount, Shape
from kbuild.ops.casting import recast_into


@dataclass(frozen=True)
class Transpose(Op):
    """Axis i of the output is axis `axes[i]` of the input, both counted without the batch axis (Permute)."""

    axes: tuple[int, ...]

    kind: ClassVar[str] = "transpose"

    def verify(self, shapes: Sequence[Shape]) -> None:
        super().verify(shapes)
        if sorted(self.axes) != list(range(len(shapes[0]))):
            raise ValueError(f"{self.axes} is not an order of the axes of shape {shapes[0]}")

    def infer_shape(self, shapes: Sequence[Shape]) -> Shape:
        return tuple(shapes[0][axis] for axis in self.axes)

    def changes_nothing(self, shape: Shape) -> bool:
        return self.axes == tuple(range(len(self.axes)))

    def infer_type(self, types: Sequence[FixedType]) -> FixedType:
        return types[0].plain()

    @property
    def _batched_axes(self) -> tuple[int, ...]:
        return (0, *(axis + 1 for axis in self.axes))

    def eval(
        self, inputs: Sequence[IntArray], types: Sequence[FixedType], result: FixedType, overflow: OverflowCount
    ) -> IntArray:
        return recast_into(inputs[0].transpose(self._batched_axes), types[0], result, overflow)

    def eval_float(self, inputs: Sequence[FloatArray]) -> FloatArray:
        return inputs[0].transpose(self._batched_axes)

    def interval(self, inputs: Sequence[Interval]) -> Interval:
        return Interval(inputs[0].low.transpose(self.axes), inputs[0].high.transpose(self.axes))
