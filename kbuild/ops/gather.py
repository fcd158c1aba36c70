"""`gather`: rows of a constant by index (Embedding)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from kbuild.dataclass import dataclass
from kbuild.fixed import FixedType, FloatArray, IntArray, Overflow, Quantization, compact, quantize, type_for
from kbuild.ir.op import Interval, Op, OverflowCount, Shape
from kbuild.ir.tensor import Tensor
from kbuild.ops.casting import cast_into


@dataclass(frozen=True)
class Gather(Op):
    """`y[..., :] = weight[index(x[...]), :]`, cast to the result; weight: [N, D].

    The index is x without its fraction, rounded towards zero as Keras casts to integers, saturated to 0 .. N - 1. What
    Keras does with an index outside depends on its device (an error, zeros, the last row): here it saturates, and
    counts as an overflow.
    """

    weight: Tensor

    kind: ClassVar[str] = "gather"
    variables: ClassVar[tuple[str, ...]] = ("embeddings", "result")

    def verify(self, shapes: Sequence[Shape]) -> None:
        super().verify(shapes)
        if len(self.weight.shape) != 2 or self.weight.data.size == 0:
            raise ValueError(f"the weight is a matrix with elements, not of shape {self.weight.shape}")

    @property
    def rows(self) -> int:
        """N, the number of indices."""
        return self.weight.shape[0]

    def infer_shape(self, shapes: Sequence[Shape]) -> Shape:
        return (*shapes[0], self.weight.shape[1])

    def infer_type(self, types: Sequence[FixedType]) -> FixedType:
        return type_for(*self.weight.bounds(), self.weight.fixed().fraction)

    def eval(
        self, inputs: Sequence[IntArray], types: Sequence[FixedType], result: FixedType, overflow: OverflowCount
    ) -> IntArray:
        asked = quantize(inputs[0], types[0].fraction, Quantization.TRN_ZERO)
        index = np.minimum(np.maximum(asked, 0), self.rows - 1)
        overflow.add(int(np.count_nonzero(index != asked)))
        rows = self.weight.data[compact(index).astype(np.int64)]
        return cast_into(rows, self.weight.fixed().fraction, result, overflow)

    def eval_float(self, inputs: Sequence[FloatArray]) -> FloatArray:
        index = np.clip(np.trunc(inputs[0]), 0, self.rows - 1).astype(np.int64)
        return self.weight.floats()[index]

    def interval(self, inputs: Sequence[Interval]) -> Interval:
        weight, shape = self.weight.floats(), self.infer_shape([inputs[0].low.shape])
        return Interval(np.broadcast_to(weight.min(axis=0), shape), np.broadcast_to(weight.max(axis=0), shape))


def index_type(rows: int) -> FixedType:
    """The smallest type that holds every index; casting to it rounds towards zero and saturates, as the op does."""
    return type_for(0, rows - 1, 0).with_modes(Quantization.TRN_ZERO, Overflow.SAT)
