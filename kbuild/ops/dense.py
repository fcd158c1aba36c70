"""`dense`: the contraction of the last axis with a constant matrix, plus a bias."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from kbuild.fixed import FixedType, FloatArray, IntArray, type_for
from kbuild.ir.op import Interval, Op, OverflowCount, Shape
from kbuild.ir.tensor import Tensor
from kbuild.ops.accumulate import accumulate, exact_sum_bounds
from kbuild.ops.casting import cast_into

STRATEGIES = ("latency", "resource", "unrolled", "distributed_arithmetic")


@dataclass(frozen=True)
class Dense(Op):
    """`y[..., n] = sum_k x[..., k] * weight[k, n] + bias[n]`, summed in the type `accum`, then cast to the result.

    weight: [K, N]; bias: [N] or None. `accum` is None until precisions are resolved. Strategy and reuse factor never
    change the result.
    """

    weight: Tensor
    bias: Tensor | None = None
    accum: FixedType | None = None
    strategy: str = "latency"
    reuse_factor: int = 1

    kind: ClassVar[str] = "dense"
    variables: ClassVar[tuple[str, ...]] = ("weight", "bias", "accum", "result")

    def verify(self, shapes: Sequence[Shape]) -> None:
        super().verify(shapes)
        if len(self.weight.shape) != 2:
            raise ValueError(f"the weight is a matrix, not of shape {self.weight.shape}")
        k, n = self.weight.shape
        if not shapes[0] or shapes[0][-1] != k:
            raise ValueError(f"the weight has {k} rows, the input has shape {shapes[0]}")
        if self.bias is not None and self.bias.shape != (n,):
            raise ValueError(f"the bias has shape {self.bias.shape}, the weight has {n} columns")
        if self.strategy not in STRATEGIES:
            raise ValueError(f"no strategy is called {self.strategy}")

    def infer_shape(self, shapes: Sequence[Shape]) -> Shape:
        return (*shapes[0][:-1], self.weight.shape[1])

    def sum_type(self, x: FixedType) -> FixedType:
        """The exact type of the sum for these weights and any input of type `x`: what `auto` accum is."""
        bias_type = None if self.bias is None else self.bias.fixed()
        fraction = x.fraction + self.weight.fixed().fraction
        if bias_type is not None:
            fraction = max(fraction, bias_type.fraction)
        low, high = exact_sum_bounds(x, self.weight, self.bias, fraction)
        return type_for(low, high, fraction)

    def infer_type(self, types: Sequence[FixedType]) -> FixedType:
        return self.accum if self.accum is not None else self.sum_type(types[0])

    def eval(
        self, inputs: Sequence[IntArray], types: Sequence[FixedType], result: FixedType, overflow: OverflowCount
    ) -> IntArray:
        accum = self.infer_type(types)
        x = inputs[0].reshape(-1, inputs[0].shape[-1])
        sums = accumulate(x, types[0], self.weight, self.bias, accum, overflow)
        y = cast_into(sums, accum.fraction, result, overflow)
        return y.reshape(*inputs[0].shape[:-1], self.weight.shape[1])

    def eval_float(self, inputs: Sequence[FloatArray]) -> FloatArray:
        y = inputs[0] @ self.weight.floats()
        return y if self.bias is None else y + self.bias.floats()

    def interval(self, inputs: Sequence[Interval]) -> Interval:
        weight = self.weight.floats()
        positive, negative = np.maximum(weight, 0), np.minimum(weight, 0)
        low = inputs[0].low @ positive + inputs[0].high @ negative
        high = inputs[0].high @ positive + inputs[0].low @ negative
        bias = 0.0 if self.bias is None else self.bias.floats()
        return Interval(low + bias, high + bias)
