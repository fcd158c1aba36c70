"""`affine`: scale and shift by constants, as an unfolded BatchNormalization."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from kbuild.dataclass import dataclass
from kbuild.fixed import INT64_BITS, FixedType, FloatArray, IntArray, bits_of, compact, shift_left, type_for, wide
from kbuild.ir.op import Interval, Op, OverflowCount, Shape
from kbuild.ir.tensor import Tensor
from kbuild.ops.casting import cast_into


@dataclass(frozen=True)
class Affine(Op):
    """`y = x * scale + bias`, exact, then cast once to the result.

    scale and bias have the rank of the input, with 1 where they are broadcast.
    """

    scale: Tensor
    bias: Tensor

    kind: ClassVar[str] = "affine"
    variables: ClassVar[tuple[str, ...]] = ("scale", "bias", "result")

    def verify(self, shapes: Sequence[Shape]) -> None:
        super().verify(shapes)
        for name, tensor in (("scale", self.scale), ("bias", self.bias)):
            fits = len(tensor.shape) == len(shapes[0]) and all(
                t in (1, n) for t, n in zip(tensor.shape, shapes[0], strict=True)
            )
            if not fits:
                raise ValueError(f"the {name} of shape {tensor.shape} does not broadcast to {shapes[0]}")

    def infer_shape(self, shapes: Sequence[Shape]) -> Shape:
        return shapes[0]

    def infer_type(self, types: Sequence[FixedType]) -> FixedType:
        x = types[0]
        fraction = max(x.fraction + self.scale.fixed().fraction, self.bias.fixed().fraction)
        scale, bias = self._aligned(x, fraction)
        scale, bias = np.broadcast_arrays(wide(scale), wide(bias))
        ends = np.stack([scale * x.min + bias, scale * x.max + bias])
        return type_for(min(0, int(ends.min())), max(0, int(ends.max())), fraction)

    def _aligned(self, x: FixedType, fraction: int) -> tuple[IntArray, IntArray]:
        """Scale and bias as integers such that x * scale + bias has `fraction` fraction bits."""
        scale = shift_left(self.scale.data, fraction - x.fraction - self.scale.fixed().fraction)
        return scale, shift_left(self.bias.data, fraction - self.bias.fixed().fraction)

    def eval(
        self, inputs: Sequence[IntArray], types: Sequence[FixedType], result: FixedType, overflow: OverflowCount
    ) -> IntArray:
        fraction = max(types[0].fraction + self.scale.fixed().fraction, self.bias.fixed().fraction)
        scale, bias = self._aligned(types[0], fraction)
        x = inputs[0]
        if max(bits_of(x) + bits_of(scale), bits_of(bias)) >= INT64_BITS:
            x, scale, bias = wide(x), wide(scale), wide(bias)
        return cast_into(compact(x * scale + bias), fraction, result, overflow)

    def eval_float(self, inputs: Sequence[FloatArray]) -> FloatArray:
        return np.asarray(inputs[0] * self.scale.floats() + self.bias.floats())

    def interval(self, inputs: Sequence[Interval]) -> Interval:
        ends = [bound * self.scale.floats() for bound in (inputs[0].low, inputs[0].high)]
        bias = self.bias.floats()
        return Interval(np.minimum(*ends) + bias, np.maximum(*ends) + bias)
