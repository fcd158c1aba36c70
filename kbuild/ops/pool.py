"""`pool`: the largest element or the mean of sliding windows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from kbuild.dataclass import dataclass
from kbuild.fixed import INT64_BITS, FixedType, FloatArray, IntArray, compact
from kbuild.ir.op import Interval, Op, OverflowCount, Shape
from kbuild.ops.casting import divide_into, is_power_of_two, mean_type, recast_into, summable
from kbuild.ops.windows import REGISTERS, Array, Pairs, at_least, per_axis, positions, spread

KINDS = ("max", "average")


@dataclass(frozen=True)
class Pool(Op):
    """Maximum or mean of windows of `size` over the spatial axes of channels-last values, each channel by itself.

    input [*spatial, C]; output [*positions, C]; `padding` (low, high) per spatial axis is smaller than the window. It
    is no part of a maximum or of a mean, which divides by the number of elements that are there: exact, rounded once.
    """

    operation: str
    size: tuple[int, ...]
    strides: tuple[int, ...]
    padding: Pairs

    kind: ClassVar[str] = "pool"

    def verify(self, shapes: Sequence[Shape]) -> None:
        super().verify(shapes)
        if self.operation not in KINDS:
            raise ValueError(f"no pooling is called {self.operation}")
        rank = len(self.size)
        per_axis("strides", self.strides, rank)
        per_axis("padding", self.padding, rank)
        at_least("size", self.size, 1)
        at_least("strides", self.strides, 1)
        at_least("padding", [n for pair in self.padding for n in pair], 0)
        if rank < 1 or len(shapes[0]) != rank + 1:
            raise ValueError(f"the input has shape {shapes[0]}, not {rank} spatial axes and channels")
        if any(max(pair) >= n for pair, n in zip(self.padding, self.size, strict=True)):
            raise ValueError(f"the padding {self.padding} is not smaller than the window {self.size}")
        if min(self.infer_shape(shapes)) < 1:
            raise ValueError(f"the window {self.size} is larger than the input {shapes[0][:-1]} with its padding")

    def infer_shape(self, shapes: Sequence[Shape]) -> Shape:
        axes = zip(shapes[0][:-1], self.size, self.strides, self.padding, strict=True)
        return (*(positions(*axis) for axis in axes), shapes[0][-1])

    def at_once(self, channels: int, io_type: str) -> int:
        """Elements of a window that are compared or added at once; of a streamed one in memory those of one pixel."""
        return channels if io_type == "io_stream" and self.is_stored(channels) else math.prod(self.size) * channels

    def is_stored(self, channels: int) -> bool:
        """Whether a streamed window lies in memory."""
        return math.prod(self.size) * channels > REGISTERS

    def changes_nothing(self, shape: Shape) -> bool:
        return all(n == 1 for n in (*self.size, *self.strides))

    def infer_type(self, types: Sequence[FixedType]) -> FixedType:
        return types[0].plain() if self.operation == "max" else mean_type(types[0], math.prod(self.size))

    def is_finite(self, types: Sequence[FixedType]) -> bool:
        if self.operation == "max":
            return True
        cut = any(n > 2 and any(pair) for n, pair in zip(self.size, self.padding, strict=True))
        return is_power_of_two(math.prod(self.size)) and not cut

    def counts(self, shape: Shape) -> IntArray:
        """How many elements of an input of this shape are in the window of each position, [*positions]."""
        ones = np.ones((1, *shape[:-1], 1), np.int64)
        return self._reduced(ones, 0, np.add)[0, ..., 0]

    def _reduced(self, x: Array, fill: int | float, combine: np.ufunc) -> Array:
        """[B, *spatial, C] to [B, *positions, C], along one axis after the other, with `fill` for the padding."""
        found = spread(x, self.padding, (1,) * len(self.size), fill)
        for axis, (size, step) in enumerate(zip(self.size, self.strides, strict=True), start=1):
            before = (slice(None),) * axis
            reach = (positions(found.shape[axis], size, step, (0, 0)) - 1) * step + 1
            places = [(*before, slice(k, k + reach, step)) for k in range(size)]
            reduced = found[places[0]].copy()
            for place in places[1:]:
                combine(reduced, found[place], out=reduced)
            found = reduced
        return found

    def eval(
        self, inputs: Sequence[IntArray], types: Sequence[FixedType], result: FixedType, overflow: OverflowCount
    ) -> IntArray:
        x, of = inputs[0], types[0]
        if self.operation == "max":
            least = max(of.min, -(1 << INT64_BITS)) if x.dtype != object else of.min  # no window is nothing but padding
            return recast_into(self._reduced(x, least, np.maximum), of, result, overflow)
        sums = self._reduced(summable(x, math.prod(self.size)), 0, np.add)
        counts = self.counts(x.shape[1:])[..., np.newaxis]
        divisor = int(counts.flat[0]) if (counts == counts.flat[0]).all() else counts
        return divide_into(compact(sums), divisor, of.fraction, result, overflow)

    def eval_float(self, inputs: Sequence[FloatArray]) -> FloatArray:
        x = inputs[0]
        if self.operation == "max":
            return self._reduced(x, -np.inf, np.maximum)
        return self._reduced(x, 0.0, np.add) / self.counts(x.shape[1:])[..., np.newaxis]

    def interval(self, inputs: Sequence[Interval]) -> Interval:
        low, high = (self.eval_float([bound[np.newaxis]])[0] for bound in (inputs[0].low, inputs[0].high))
        return Interval(low, high)
