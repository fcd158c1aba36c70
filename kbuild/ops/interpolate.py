"""`interpolate`: upsampling by linear interpolation, exact."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from kbuild.dataclass import dataclass
from kbuild.fixed import FixedType, FloatArray, IntArray, compact
from kbuild.ir.op import Interval, Op, OverflowCount, Shape
from kbuild.ops.casting import divide_into, is_power_of_two, mean_type, summable
from kbuild.ops.windows import Array, at_least, per_axis


@dataclass(frozen=True)
class Interpolate(Op):
    """Linear interpolation to `factors[i]` times the elements along axis i, counted without the batch axis.

    Elements are centres of cells (TensorFlow's `half_pixel_centers`): output i along an axis is the input at
    (i + 1/2) / f - 1/2, between its two neighbours, and the first or last element beyond them. The weights of the
    neighbours are multiples of 1 / (2 f) for an even factor f and of 1 / f for an odd one: sums of integer multiples
    are exact, and divided by the product of these denominators with one rounding.
    """

    factors: tuple[int, ...]

    kind: ClassVar[str] = "interpolate"

    def verify(self, shapes: Sequence[Shape]) -> None:
        super().verify(shapes)
        per_axis("factors", self.factors, len(shapes[0]))
        at_least("factors", self.factors, 1)

    def infer_shape(self, shapes: Sequence[Shape]) -> Shape:
        return tuple(n * f for n, f in zip(shapes[0], self.factors, strict=True))

    @property
    def divisor(self) -> int:
        """The product of the denominators of all axes."""
        return math.prod(denominator(f) for f in self.factors)

    def changes_nothing(self, shape: Shape) -> bool:
        return all(factor == 1 for factor in self.factors)

    def infer_type(self, types: Sequence[FixedType]) -> FixedType:
        return mean_type(types[0], self.divisor)

    def is_finite(self, types: Sequence[FixedType]) -> bool:
        return is_power_of_two(self.divisor)

    def _scaled(self, x: Array) -> Array:
        """The interpolation of x [B, *shape], times the divisor."""
        for axis, factor in enumerate(self.factors, 1):
            if factor > 1:
                before, after, weight = neighbours(x.shape[axis], factor)
                weight = weight.reshape(-1, *(1,) * (x.ndim - axis - 1))
                x = x.take(before, axis) * (denominator(factor) - weight) + x.take(after, axis) * weight
        return x

    def eval(
        self, inputs: Sequence[IntArray], types: Sequence[FixedType], result: FixedType, overflow: OverflowCount
    ) -> IntArray:
        sums = compact(self._scaled(summable(inputs[0], self.divisor)))
        return divide_into(sums, self.divisor, types[0].fraction, result, overflow)

    def eval_float(self, inputs: Sequence[FloatArray]) -> FloatArray:
        return self._scaled(inputs[0]) / self.divisor

    def interval(self, inputs: Sequence[Interval]) -> Interval:
        low, high = (self.eval_float([bound[np.newaxis]])[0] for bound in (inputs[0].low, inputs[0].high))
        return Interval(low, high)


def denominator(factor: int) -> int:
    """The common denominator of the weights along an axis."""
    return factor if factor % 2 else 2 * factor


def neighbours(length: int, factor: int) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any], IntArray]:
    """For each output along an axis: the inputs before and after it, and the weight of the latter as a numerator."""
    twice = 2 * np.arange(length * factor) + 1 - factor  # 2 f times the position
    before = twice // (2 * factor)
    weight = (twice - before * 2 * factor) * denominator(factor) // (2 * factor)
    return np.clip(before, 0, length - 1), np.clip(before + 1, 0, length - 1), weight
