"""`normalize`: division by the standard deviation or the root mean square, by a table of reciprocal square roots."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from kbuild.dataclass import dataclass
from kbuild.fixed import INT64_BITS, FixedType, FloatArray, IntArray, bits_of, compact, pow2, type_for, wide
from kbuild.ir.op import Interval, Op, OverflowCount, Shape
from kbuild.ir.tensor import Tensor
from kbuild.ops import exact
from kbuild.ops.casting import cast_inside, cast_into
from kbuild.ops.lookup import look_up

STATISTICS = ("variance", "mean_square", "sum_square")


@dataclass(frozen=True, kw_only=True)
class Normalize(Op):
    """`y = (x - mean) / sqrt(variance + epsilon) * scale + bias` over the n elements that the axes span.

    statistic: `variance` as above; `mean_square`: `x / sqrt(mean(x**2) + epsilon)`; `sum_square`:
    `x / sqrt(max(sum(x**2), epsilon))`. groups: the axis `group_axis`, one of `axes`, counts as that many consecutive
    parts, each with statistics of its own. scale, bias: None, or of the input's rank, with 1 where they are broadcast.

    On integers x with f fraction bits, S = sum(x) and Q = sum(x * x) exact, and

        variance:     d = n * x - S;  v = (n * Q - S * S) << guard;  w = v + e,  e = epsilon * n**2 * 2**(2 * f + guard)
        mean_square:  d = n * x;      v = (n * Q) << guard;          w = v + e,  with the same e
        sum_square:   d = x;          v = Q << guard;                w = max(v, e),  e = epsilon * 2**(2 * f + guard)

    where e is rounded to the nearest integer and guard is even. So y = d * 2**(guard / 2) / sqrt(w). With p the
    position of the highest set bit of w (a w of 0 counts as 1) made even by clearing its lowest bit, and `top` the same
    of the largest w that the input's type allows, w is normalised to m = w << (top - p), 2**top <= m < 4 * 2**top; then
    1 / sqrt(w) = table[(m - 2**top) >> table_shift] * 2**-(p / 2), where an entry is 1 / sqrt of the middle of its cell
    of m * 2**-top. The product z = (d * entry) << (top - p) / 2 is exact and cast to the type `accum`; z * scale + bias
    is exact and cast to the result.
    """

    axes: tuple[int, ...]
    statistic: str = "variance"
    epsilon: float = 1e-3
    groups: int = 1
    group_axis: int = 0
    scale: Tensor | None = None
    bias: Tensor | None = None
    guard: int = 0
    table: Tensor | None = None
    table_shift: int = 0
    accum: FixedType | None = None

    kind: ClassVar[str] = "normalize"
    variables: ClassVar[tuple[str, ...]] = ("scale", "bias", "table", "accum", "result")

    def verify(self, shapes: Sequence[Shape]) -> None:
        super().verify(shapes)
        rank = len(shapes[0])
        if not self.axes or list(self.axes) != sorted(set(self.axes)) or not 0 <= self.axes[0] <= self.axes[-1] < rank:
            raise ValueError(f"the axes {self.axes} are not axes of {shapes[0]} in order")
        if self.statistic not in STATISTICS:
            raise ValueError(f"no statistic is called {self.statistic}")
        if not self.epsilon >= 0:
            raise ValueError(f"epsilon is {self.epsilon}, which is negative")
        if self.guard < 0 or self.guard % 2:
            raise ValueError(f"guard is {self.guard}, not an even number of bits")
        if self.groups < 1 or (self.groups > 1 and self.group_axis not in self.axes):
            raise ValueError(f"{self.groups} groups along the axis {self.group_axis}, which is not normalized over")
        if self.groups > 1 and shapes[0][self.group_axis] % self.groups:
            raise ValueError(f"{shapes[0][self.group_axis]} elements are not {self.groups} equal groups")
        for name, tensor in (("scale", self.scale), ("bias", self.bias)):
            if tensor is not None and (
                len(tensor.shape) != rank or np.broadcast_shapes(tensor.shape, shapes[0]) != shapes[0]
            ):
                raise ValueError(f"the {name} of shape {tensor.shape} does not broadcast to {shapes[0]}")

    def infer_shape(self, shapes: Sequence[Shape]) -> Shape:
        return shapes[0]

    def count(self, shape: Shape) -> int:
        """n, the number of elements that share a statistic."""
        return math.prod(shape[axis] for axis in self.axes) // self.groups

    def offset(self, x: FixedType, count: int) -> int:
        """e, what stands for epsilon among the integers."""
        elements = 1 if self.statistic == "sum_square" else count * count
        return round(Fraction(self.epsilon) * elements * pow2(2 * x.fraction + self.guard))

    def top(self, x: FixedType, count: int) -> int:
        """Position of the highest bit that w can have, made even."""
        square = max(x.max, -x.min) ** 2
        largest = count * square if self.statistic == "sum_square" else count * count * square
        return max((largest << self.guard) + self.offset(x, count), 1).bit_length() - 1 & ~1

    def root_bound(self, count: int) -> float:
        """The largest magnitude that the quotient can have, or one where that is less."""
        bounds = {"variance": math.sqrt(count - 1), "mean_square": math.sqrt(count), "sum_square": 1.0}
        return max(bounds[self.statistic], 1.0)

    def made(self) -> tuple[Tensor, FixedType]:
        """The table and the type of the quotient, which must exist by now."""
        if self.table is None or self.accum is None:
            raise ValueError("the table and the type accum are not made yet")
        return self.table, self.accum

    def infer_type(self, types: Sequence[FixedType]) -> FixedType:
        _, accum = self.made()
        scale, fraction = np.ones((1,), dtype=object), accum.fraction
        if self.scale is not None:
            scale, fraction = wide(self.scale.data), fraction + self.scale.fixed().fraction
        ends, at = [scale * accum.min, scale * accum.max], fraction
        if self.bias is not None:
            added = [exact.add(end, fraction, self.bias.data, self.bias.fixed().fraction) for end in ends]
            ends, at = [total for total, _ in added], added[0][1]
        low, high = min(int(end.min()) for end in ends), max(int(end.max()) for end in ends)
        return type_for(min(low, 0), max(high, 0), at)

    def _grouped(self, x: NDArray[Any]) -> tuple[NDArray[Any], tuple[int, ...]]:
        """x [B, ...] with the groups as an axis of their own, and the axes to sum over."""
        if self.groups == 1:
            return x, tuple(axis + 1 for axis in self.axes)
        at = self.group_axis + 1
        split = x.reshape(*x.shape[:at], self.groups, x.shape[at] // self.groups, *x.shape[at + 1 :])
        return split, tuple(axis + 1 + (axis >= self.group_axis) for axis in self.axes)

    def eval(
        self, inputs: Sequence[IntArray], types: Sequence[FixedType], result: FixedType, overflow: OverflowCount
    ) -> IntArray:
        table, accum = self.made()
        x, of = inputs[0], types[0]
        count = self.count(x.shape[1:])
        top = self.top(of, count)
        d, w = self._centred(x, of, count)
        w = np.maximum(w, 1)
        lift = top - np.vectorize(lambda v: v.bit_length() - 1 & ~1, otypes=[np.int64])(w)
        m = w << wide(lift)
        entry = look_up(table.data, m, 1 << top, self.table_shift)
        z = exact.multiply(d, entry)
        if bits_of(z) + top // 2 > INT64_BITS:
            z, lift = wide(z), wide(lift)
        z = compact(z << (lift >> 1)).reshape(x.shape)
        z = cast_inside(z, table.fixed().fraction + (top - self.guard) // 2, accum, overflow)
        fraction = accum.fraction
        if self.scale is not None:
            z, fraction = exact.multiply(z, self.scale.data), fraction + self.scale.fixed().fraction
        if self.bias is not None:
            z, fraction = exact.add(z, fraction, self.bias.data, self.bias.fixed().fraction)
        return cast_into(z, fraction, result, overflow)

    def _centred(self, x: IntArray, of: FixedType, count: int) -> tuple[IntArray, IntArray]:
        """d for every element and w for every group of them, with axes of length 1."""
        x, axes = self._grouped(x)
        if 2 * (bits_of(x) + count.bit_length()) + self.guard >= INT64_BITS:
            x = wide(x)
        square = (x * x).sum(axis=axes, keepdims=True)
        e = self.offset(of, count)
        if self.statistic == "sum_square":
            return x, np.maximum(wide(square) << self.guard, e)
        d, v = count * x, count * square
        if self.statistic == "variance":
            total = x.sum(axis=axes, keepdims=True)
            d, v = d - total, v - total * total
        return d, (wide(v) << self.guard) + e

    def eval_float(self, inputs: Sequence[FloatArray]) -> FloatArray:
        x, axes = self._grouped(inputs[0])
        if self.statistic == "sum_square":
            y = x / np.sqrt(np.maximum((x * x).sum(axis=axes, keepdims=True), max(self.epsilon, 1e-300)))
        else:
            d = x - x.mean(axis=axes, keepdims=True) if self.statistic == "variance" else x
            y = d / np.sqrt(np.maximum((d * d).mean(axis=axes, keepdims=True) + self.epsilon, 1e-300))
        y = y.reshape(inputs[0].shape)
        y = y if self.scale is None else y * self.scale.floats()
        return y if self.bias is None else y + self.bias.floats()

    def interval(self, inputs: Sequence[Interval]) -> Interval:
        """Of the real layer; once there is a type `accum`, those of that type, which hold the table's errors too."""
        shape = inputs[0].low.shape
        bound = self.root_bound(self.count(shape))
        low, high = (-bound, bound) if self.accum is None else (float(end) for end in self.accum.range)
        scale = np.ones((1,) * len(shape)) if self.scale is None else self.scale.floats()
        bias = 0.0 if self.bias is None else self.bias.floats()
        ends = low * scale, high * scale
        return Interval(
            np.broadcast_to(np.minimum(*ends) + bias, shape).copy(),
            np.broadcast_to(np.maximum(*ends) + bias, shape).copy(),
        )
