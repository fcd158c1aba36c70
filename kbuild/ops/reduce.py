"""`reduce`: sum, mean, maximum or minimum over whole axes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from kbuild.dataclass import dataclass
from kbuild.fixed import FixedType, FloatArray, IntArray, compact, type_for
from kbuild.ir.op import Interval, Op, OverflowCount, Shape
from kbuild.ops.casting import divide_into, is_power_of_two, mean_type, summable
from kbuild.ops.windows import Array

KINDS = ("sum", "mean", "max", "min")


@dataclass(frozen=True)
class Reduce(Op):
    """One value for all elements along `axes` (counted without the batch axis), exact, cast once to the result.

    count: the number of those elements; keepdims: whether the axes stay, with length 1.
    """

    operation: str
    axes: tuple[int, ...]
    count: int
    keepdims: bool = False

    kind: ClassVar[str] = "reduce"

    def verify(self, shapes: Sequence[Shape]) -> None:
        super().verify(shapes)
        if self.operation not in KINDS:
            raise ValueError(f"no reduction is called {self.operation}")
        if list(self.axes) != sorted(set(self.axes)) or not self.axes:
            raise ValueError(f"the axes {self.axes} are not in order, each once")
        if not all(0 <= axis < len(shapes[0]) for axis in self.axes):
            raise ValueError(f"the axes {self.axes} are not all axes of shape {shapes[0]}")
        if self.count != math.prod(shapes[0][axis] for axis in self.axes):
            raise ValueError(f"the axes {self.axes} of shape {shapes[0]} do not have {self.count} elements")

    def infer_shape(self, shapes: Sequence[Shape]) -> Shape:
        if self.keepdims:
            return tuple(1 if axis in self.axes else n for axis, n in enumerate(shapes[0]))
        return tuple(n for axis, n in enumerate(shapes[0]) if axis not in self.axes)

    def infer_type(self, types: Sequence[FixedType]) -> FixedType:
        x = types[0]
        if self.operation == "sum":
            return type_for(x.min * self.count, x.max * self.count, x.fraction)
        return mean_type(x, self.count) if self.operation == "mean" else x.plain()

    def is_finite(self, types: Sequence[FixedType]) -> bool:
        return self.operation != "mean" or is_power_of_two(self.count)

    def _combined(self, x: Array) -> Array:
        """x [B, *shape] with the axes combined; a mean is only summed."""
        combine = {"max": np.maximum, "min": np.minimum}.get(self.operation, np.add)
        combined = np.asarray(combine.reduce(x, axis=tuple(axis + 1 for axis in self.axes)))
        return combined.reshape(len(x), *self.infer_shape([x.shape[1:]]))

    def eval(
        self, inputs: Sequence[IntArray], types: Sequence[FixedType], result: FixedType, overflow: OverflowCount
    ) -> IntArray:
        combined = compact(self._combined(summable(inputs[0], self.count)))
        return divide_into(combined, self._divisor, types[0].fraction, result, overflow)

    @property
    def _divisor(self) -> int:
        return self.count if self.operation == "mean" else 1

    def eval_float(self, inputs: Sequence[FloatArray]) -> FloatArray:
        return self._combined(inputs[0]) / self._divisor

    def interval(self, inputs: Sequence[Interval]) -> Interval:
        low, high = (self.eval_float([bound[np.newaxis]])[0] for bound in (inputs[0].low, inputs[0].high))
        return Interval(low, high)
