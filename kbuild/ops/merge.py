"""`merge`: element by element over two or more inputs, with broadcasting and any mix of fixed-point types."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import ClassVar

import numpy as np

from kbuild.dataclass import dataclass
from kbuild.fixed import INT64_BITS, FixedType, FloatArray, IntArray, compact, product_type, type_for, wide
from kbuild.fixed import union_type as union
from kbuild.ir.op import Interval, Op, OverflowCount, Shape
from kbuild.ops.casting import divide_into, is_power_of_two

KINDS = ("add", "subtract", "multiply", "average", "maximum", "minimum")


@dataclass(frozen=True)
class Merge(Op):
    """Sum, difference (of two), product, mean, maximum or minimum of the inputs: exact, with one cast to the result.

    Inputs of lower rank are broadcast as NumPy broadcasts shapes without the batch axis.
    """

    operation: str

    kind: ClassVar[str] = "merge"
    arity: ClassVar[tuple[int, int | None]] = (2, None)

    def verify(self, shapes: Sequence[Shape]) -> None:
        super().verify(shapes)
        if self.operation not in KINDS:
            raise ValueError(f"no merge operation is called {self.operation}")
        if self.operation == "subtract" and len(shapes) != 2:
            raise ValueError("a difference has two inputs")
        self.infer_shape(shapes)

    def infer_shape(self, shapes: Sequence[Shape]) -> Shape:
        return tuple(int(n) for n in np.broadcast_shapes(*shapes))

    def infer_type(self, types: Sequence[FixedType]) -> FixedType:
        if self.operation == "multiply":
            return reduce(product_type, types)
        if self.operation in ("maximum", "minimum"):
            return union(*types)
        fraction = max(t.fraction for t in types)
        lows = [t.min << (fraction - t.fraction) for t in types]
        highs = [t.max << (fraction - t.fraction) for t in types]
        if self.operation == "subtract":
            return type_for(lows[0] - highs[1], highs[0] - lows[1], fraction)
        if self.operation == "add":
            return type_for(sum(lows), sum(highs), fraction)
        # A mean of 2**k values has k more fraction bits. Any other has no finite form: it gets those of the next power.
        count, extra = len(types), (len(types) - 1).bit_length()
        return type_for((sum(lows) << extra) // count, -(-(sum(highs) << extra) // count), fraction + extra)

    def is_finite(self, types: Sequence[FixedType]) -> bool:
        return self.operation != "average" or is_power_of_two(len(types))

    def eval(
        self, inputs: Sequence[IntArray], types: Sequence[FixedType], result: FixedType, overflow: OverflowCount
    ) -> IntArray:
        rank = max(x.ndim for x in inputs)
        inputs = [x.reshape(x.shape[0], *(1,) * (rank - x.ndim), *x.shape[1:]) for x in inputs]
        if self.operation == "multiply":
            if sum(t.width for t in types) > INT64_BITS:
                inputs = [wide(x) for x in inputs]
            value, fraction = reduce(np.multiply, inputs), sum(t.fraction for t in types)
        else:
            fraction = max(t.fraction for t in types)
            if max(t.width + fraction - t.fraction for t in types) + len(types).bit_length() > INT64_BITS:
                inputs = [wide(x) for x in inputs]
            shifts = [fraction - t.fraction for t in types]
            value = self._combine([x << up if up else x for x, up in zip(inputs, shifts, strict=True)])
        divisor = len(types) if self.operation == "average" else 1
        return divide_into(compact(value), divisor, fraction, result, overflow)

    def _combine(self, aligned: Sequence[IntArray]) -> IntArray:
        if self.operation == "subtract":
            return aligned[0] - aligned[1]
        combine = {"maximum": np.maximum, "minimum": np.minimum}.get(self.operation, np.add)
        return reduce(combine, aligned)

    def eval_float(self, inputs: Sequence[FloatArray]) -> FloatArray:
        rank = max(x.ndim for x in inputs)
        inputs = [x.reshape(x.shape[0], *(1,) * (rank - x.ndim), *x.shape[1:]) for x in inputs]
        if self.operation == "multiply":
            return reduce(np.multiply, inputs)
        total = self._combine_floats(inputs)
        return total / len(inputs) if self.operation == "average" else total

    def _combine_floats(self, inputs: Sequence[FloatArray]) -> FloatArray:
        if self.operation == "subtract":
            return inputs[0] - inputs[1]
        combine = {"maximum": np.maximum, "minimum": np.minimum}.get(self.operation, np.add)
        return reduce(combine, inputs)

    def interval(self, inputs: Sequence[Interval]) -> Interval:
        if self.operation == "subtract":
            return Interval(inputs[0].low - inputs[1].high, inputs[0].high - inputs[1].low)
        if self.operation == "multiply":
            return reduce(_product_interval, inputs)
        low, high = self._combine_floats([x.low for x in inputs]), self._combine_floats([x.high for x in inputs])
        count = len(inputs) if self.operation == "average" else 1
        return Interval(low / count, high / count)


def _product_interval(a: Interval, b: Interval) -> Interval:
    corners = np.stack([x * y for x in (a.low, a.high) for y in (b.low, b.high)])
    return Interval(corners.min(axis=0), corners.max(axis=0))
