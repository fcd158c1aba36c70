"""`dense`: the contraction of the last axis with a constant matrix, plus a bias."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from kbuild.dataclass import dataclass
from kbuild.fixed import FixedType, FloatArray, IntArray
from kbuild.ir.op import Evaluation, Interval, OverflowCount, Shape
from kbuild.ir.tensor import Tensor
from kbuild.ops.accumulate import over_rows
from kbuild.ops.compiled import Compiled, Sums
from kbuild.ops.contraction import Contraction
from kbuild.ops.floatsums import Accumulation, contraction
from kbuild.ops.multipliers import Matrix

if TYPE_CHECKING:
    from kbuild.ops.native.kernels import Kernels


@dataclass(frozen=True)
class Dense(Contraction, Compiled):
    """`y[..., n] = sum_k x[..., k] * weight[k, n] + bias[n]`; weight: [K, N]."""

    kind: ClassVar[str] = "dense"

    def verify(self, shapes: Sequence[Shape]) -> None:
        if len(self.weight.shape) != 2:
            raise ValueError(f"the weight is a matrix, not of shape {self.weight.shape}")
        super().verify(shapes)
        if not shapes[0] or shapes[0][-1] != self.terms:
            raise ValueError(f"the weight has {self.terms} rows, the input has shape {shapes[0]}")

    def infer_shape(self, shapes: Sequence[Shape]) -> Shape:
        return (*shapes[0][:-1], self.outputs)

    def matrices(self, shapes: Sequence[Shape], io_type: str) -> tuple[Matrix, ...]:
        rows = math.prod(shapes[0][:-1]) if io_type == "io_parallel" else 1  # of a stream one after the other
        return (Matrix(*self.matrix_shape, copies=rows),)

    def summed(self) -> tuple[Tensor, ...]:
        return (self.weight,)

    def eval(
        self, inputs: Sequence[IntArray], types: Sequence[FixedType], result: FixedType, overflow: OverflowCount
    ) -> IntArray:
        return self.prepared(types, result)(inputs, overflow)

    def prepared(self, types: Sequence[FixedType], result: FixedType) -> Evaluation:
        return self._over_last_axis(contraction(types[0], self.weight, self.bias, self.infer_type(types), result))

    def compiled(
        self, shapes: Sequence[Shape], types: Sequence[FixedType], result: FixedType, kernels: Kernels
    ) -> Evaluation | None:
        contract = kernels.dense(Sums(types[0], self.weight, self.bias, self.infer_type(types), result))
        return None if contract is None else self._over_last_axis(contract)

    def products(self, shapes: Sequence[Shape]) -> int:
        return math.prod(self.infer_shape(shapes)) * self.terms

    def _over_last_axis(self, contract: Accumulation) -> Evaluation:
        def evaluate(inputs: Sequence[IntArray], overflow: OverflowCount) -> IntArray:
            y = contract(inputs[0].reshape(-1, inputs[0].shape[-1]), overflow)
            return y.reshape(*inputs[0].shape[:-1], self.outputs)

        return evaluate

    def eval_float(self, inputs: Sequence[FloatArray]) -> FloatArray:
        y = inputs[0] @ self.weight.floats()
        return y if self.bias is None else y + self.bias.floats()

    def interval(self, inputs: Sequence[Interval]) -> Interval:
        middle, reach = (inputs[0].low + inputs[0].high) / 2, (inputs[0].high - inputs[0].low) / 2

        def summands(rows: slice) -> tuple[FloatArray, FloatArray]:
            weight = Tensor(self.weight.data[rows], self.weight.type).floats()
            return middle[..., rows] @ weight, reach[..., rows] @ np.abs(weight)

        center, radius = over_rows(summands, self.weight.shape)
        if self.bias is not None:
            center = center + self.bias.floats()
        return Interval(center - radius, center + radius)
