"""`input`: one of the model's inputs, already cast to its type."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from kbuild.dataclass import dataclass
from kbuild.fixed import FixedType, FloatArray, IntArray
from kbuild.ir.op import Interval, Op, OverflowCount, Shape


@dataclass(frozen=True)
class Input(Op):
    """A model input. Its value is given, never computed. natural: the type that a model declares for its integers."""

    shape: Shape
    natural: FixedType | None = None

    kind: ClassVar[str] = "input"
    arity: ClassVar[tuple[int, int | None]] = (0, 0)

    def infer_shape(self, shapes: Sequence[Shape]) -> Shape:
        return self.shape

    def infer_type(self, types: Sequence[FixedType]) -> FixedType:
        raise ValueError("the type of an input is chosen, not inferred")

    def eval(
        self, inputs: Sequence[IntArray], types: Sequence[FixedType], result: FixedType, overflow: OverflowCount
    ) -> IntArray:
        raise ValueError("an input is given, not computed")

    def eval_float(self, inputs: Sequence[FloatArray]) -> FloatArray:
        raise ValueError("an input is given, not computed")

    def interval(self, inputs: Sequence[Interval]) -> Interval:
        raise ValueError("the interval of an input is given, not computed")
