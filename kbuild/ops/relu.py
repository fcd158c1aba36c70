"""`relu`: the piecewise-linear family: ReLU, leaky and parametric ReLU, ReLU with a maximum or a threshold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from kbuild.dataclass import dataclass
from kbuild.fixed import INT64_BITS, FixedType, FloatArray, IntArray, compact, shift_left, type_for, wide
from kbuild.ir.op import Interval, Op, OverflowCount, Shape
from kbuild.ir.tensor import Tensor
from kbuild.ops.casting import cast_into, recast_into


@dataclass(frozen=True)
class Relu(Op):
    """`x` where x > threshold, else `slope * (x - threshold)`; then at most `max_value`; exact, cast once.

    slope: None (0) or a constant of the input's rank that broadcasts to it; threshold, max_value: None (0, unlimited)
    or scalars of shape (). As Keras defines `ReLU`, `max_value` acts before the slope: it never lowers a value that is
    below the threshold. At the threshold itself Keras' documentation says `x`, its code computes 0; so does this.
    """

    slope: Tensor | None = None
    threshold: Tensor | None = None
    max_value: Tensor | None = None

    kind: ClassVar[str] = "relu"
    variables: ClassVar[tuple[str, ...]] = ("slope", "threshold", "result")

    def verify(self, shapes: Sequence[Shape]) -> None:
        super().verify(shapes)
        for name, tensor in (("threshold", self.threshold), ("max_value", self.max_value)):
            if tensor is not None and tensor.shape != ():
                raise ValueError(f"the {name} is one number, not of shape {tensor.shape}")
        if self.slope is not None and np.broadcast_shapes(self.slope.shape, shapes[0]) != shapes[0]:
            raise ValueError(f"the slope of shape {self.slope.shape} does not broadcast to {shapes[0]}")

    def infer_shape(self, shapes: Sequence[Shape]) -> Shape:
        return shapes[0]

    def _fraction(self, x: FixedType) -> int:
        fraction = x.fraction
        if self.slope is not None:
            threshold = self.threshold.fixed().fraction if self.threshold is not None else x.fraction
            fraction = max(x.fraction, threshold) + max(self.slope.fixed().fraction, 0)
        return max(fraction, self.max_value.fixed().fraction if self.max_value is not None else fraction)

    def infer_type(self, types: Sequence[FixedType]) -> FixedType:
        x = types[0]
        if self.slope is None and self.max_value is None:
            return x.plain()
        fraction = self._fraction(x)
        rank = max(len(self.slope.shape), 1) if self.slope is not None else 1  # NumPy unboxes objects of rank 0
        ends = [np.full((1,) * rank, v, dtype=object) for v in self._corners(x)]
        values = [self._exact(v, x, fraction) for v in ends]
        low, high = min(int(v.min()) for v in values), max(int(v.max()) for v in values)
        return type_for(min(low, 0), max(high, 0), fraction)

    def _corners(self, x: FixedType) -> list[int]:
        """Inputs between which the function is linear."""
        corners = [x.min, x.max, 0]
        for bend in (self.threshold, self.max_value):
            if bend is not None:
                at = int(bend.floats() * 2.0**x.fraction) if x.fraction < 1000 else 0
                corners += [at - 1, at, at + 1]
        return [min(max(c, x.min), x.max) for c in corners]

    def _exact(self, q: IntArray, x: FixedType, fraction: int) -> IntArray:
        """The function at q, as integers with `fraction` fraction bits."""
        types = [x, *(t.fixed() for t in (self.threshold, self.max_value) if t is not None)]
        finest = max(fraction, *(t.fraction for t in types))
        needed = max(t.width + finest - t.fraction for t in types) + (self.slope.fixed().width if self.slope else 0)
        q = wide(q) if needed + 2 > INT64_BITS else q
        value = shift_left(q, fraction - x.fraction)
        if self.max_value is not None:
            top = int(shift_left(self.max_value.data, fraction - self.max_value.fixed().fraction))
            value = np.minimum(value, top)
        below, beneath = self._below(q, x, fraction)
        return np.where(below, beneath, value)

    def _below(self, q: IntArray, x: FixedType, fraction: int) -> tuple[IntArray, IntArray | int]:
        """Where x <= threshold, and the value there."""
        if self.threshold is None:
            below, shifted, at = q <= 0, q, x.fraction
        else:
            of = self.threshold.fixed()
            at = max(x.fraction, of.fraction)
            limit = int(shift_left(self.threshold.data, at - of.fraction))
            shifted = shift_left(q, at - x.fraction) - limit
            below = shifted <= 0
        if self.slope is None:
            return below, 0
        return below, shift_left(shifted * self.slope.data, fraction - at - self.slope.fixed().fraction)

    def eval(
        self, inputs: Sequence[IntArray], types: Sequence[FixedType], result: FixedType, overflow: OverflowCount
    ) -> IntArray:
        if self.slope is None and self.threshold is None and self.max_value is None:
            return recast_into(np.clip(inputs[0], 0, types[0].max), types[0], result, overflow)
        fraction = self._fraction(types[0])
        return cast_into(compact(self._exact(inputs[0], types[0], fraction)), fraction, result, overflow)

    def eval_float(self, inputs: Sequence[FloatArray]) -> FloatArray:
        x = inputs[0]
        threshold = 0.0 if self.threshold is None else float(self.threshold.floats())
        slope = 0.0 if self.slope is None else self.slope.floats()
        top = np.inf if self.max_value is None else float(self.max_value.floats())
        return np.where(x <= threshold, slope * (x - threshold), np.minimum(x, top))

    def interval(self, inputs: Sequence[Interval]) -> Interval:
        x = inputs[0]
        points = [x.low, x.high]
        for bend in (0.0, *(float(t.floats()) for t in (self.threshold, self.max_value) if t is not None)):
            around = (np.nextafter(bend, -np.inf), bend, np.nextafter(bend, np.inf))
            points += [np.clip(v, x.low, x.high) for v in around]
        values = np.stack([self.eval_float([p]) for p in points])
        return Interval(values.min(axis=0), values.max(axis=0))
