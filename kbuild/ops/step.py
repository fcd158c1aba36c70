"""`step`: a function that is constant between thresholds: signs, ternary and power-of-two quantizers."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from kbuild.dataclass import dataclass, replace
from kbuild.fixed import FixedType, FloatArray, IntArray, compact, pow2, shift_left, type_for, wide
from kbuild.ir.op import Interval, Op, OverflowCount, Shape
from kbuild.ir.tensor import Tensor
from kbuild.ops.casting import broadcasts, cast_into

MOST_THRESHOLDS = 1024


@dataclass(frozen=True)
class Step(Op):
    """`y = values[number of thresholds t with x >= t]`, exact, then cast to the result.

    thresholds: [..., L], rising along the last axis; the others broadcast to the input. values: [L + 1], in any order,
    or [..., L + 1] with the other axes of the thresholds.
    """

    thresholds: Tensor
    values: Tensor

    kind: ClassVar[str] = "step"

    def verify(self, shapes: Sequence[Shape]) -> None:
        super().verify(shapes)
        if not self.values.shape or not self.thresholds.shape:
            raise ValueError("a step function has values and thresholds along the last axis")
        count, outer = self.values.shape[-1], self.thresholds.shape[:-1]
        if count != self.thresholds.shape[-1] + 1 or count > MOST_THRESHOLDS:
            raise ValueError(f"{self.thresholds.shape[-1]} thresholds do not separate {count} values")
        if self.values.shape[:-1] not in ((), outer):
            raise ValueError(f"values of shape {self.values.shape} are not beside thresholds of {outer}")
        if not broadcasts(outer, shapes[0]):
            raise ValueError(f"thresholds of shape {outer} do not broadcast to {shapes[0]}")
        if (np.diff(self.thresholds.data, axis=-1) < 0).any():
            raise ValueError("the thresholds do not rise")

    def infer_shape(self, shapes: Sequence[Shape]) -> Shape:
        return shapes[0]

    def infer_type(self, types: Sequence[FixedType]) -> FixedType:
        return type_for(*self.values.bounds(), self.values.fixed().fraction)

    def on(self, x: FixedType) -> Step:
        """The same function of inputs of type x, its thresholds integers at their LSB: x >= t where q >= ceil(t)."""
        if self.thresholds.type is not None:
            return self
        scale = pow2(x.fraction)
        whole = [-((-Fraction(t) * scale).__floor__()) for t in self.thresholds.data.ravel().tolist()]
        # A threshold that no input reaches is as good one step beyond the range.
        kept = [min(max(t, x.min), x.max + 1) for t in whole]
        of = type_for(min(0, *kept), max(0, *kept), x.fraction)
        data = np.array(kept, dtype=object).reshape(self.thresholds.shape)
        return replace(self, thresholds=Tensor(data, of))

    def eval(
        self, inputs: Sequence[IntArray], types: Sequence[FixedType], result: FixedType, overflow: OverflowCount
    ) -> IntArray:
        op = self.on(types[0])
        fraction = max(types[0].fraction, op.thresholds.fixed().fraction)
        x = shift_left(inputs[0], fraction - types[0].fraction)
        bounds = shift_left(op.thresholds.data, fraction - op.thresholds.fixed().fraction)
        x, bounds = (wide(x), wide(bounds)) if object in (x.dtype, bounds.dtype) else (x, bounds)
        index = np.zeros(x.shape, np.int64)
        for k in range(bounds.shape[-1]):
            index += x >= bounds[..., k]
        return cast_into(compact(self._values(self.values.data, index)), self.values.fixed().fraction, result, overflow)

    def _values(self, values: NDArray[Any], index: IntArray) -> NDArray[Any]:
        """The values with these indices."""
        if values.ndim == 1:
            return np.asarray(values[index])
        full = np.broadcast_to(values, (*index.shape, values.shape[-1]))
        return np.take_along_axis(full, index[..., np.newaxis], axis=-1)[..., 0]

    def _passed(self, x: FloatArray) -> IntArray:
        """The number of thresholds that each value has reached."""
        bounds = self.thresholds.floats()
        index = np.zeros(x.shape, np.int64)
        for k in range(bounds.shape[-1]):
            index += x >= bounds[..., k]
        return index

    def eval_float(self, inputs: Sequence[FloatArray]) -> FloatArray:
        return self._values(self.values.floats(), self._passed(inputs[0]))

    def interval(self, inputs: Sequence[Interval]) -> Interval:
        """The extremes of the values between what the ends of the input reach."""
        first, last, values = self._passed(inputs[0].low), self._passed(inputs[0].high), self.values.floats()
        low, high = np.full(first.shape, np.inf), np.full(first.shape, -np.inf)
        for k in range(values.shape[-1]):
            there, value = (first <= k) & (k <= last), values[..., k]
            low = np.where(there, np.minimum(low, value), low)
            high = np.where(there, np.maximum(high, value), high)
        return Interval(low, high)
