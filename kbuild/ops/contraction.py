"""What the operations have in common that sum products with constant weights: dense layers and convolutions."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar

from kbuild.dataclass import dataclass, replace
from kbuild.fixed import FixedType, type_for
from kbuild.ir.tensor import Tensor
from kbuild.ops.accumulate import exact_sum_bounds
from kbuild.ops.multipliers import STRATEGIES, Multiplying


@dataclass(frozen=True)
class Contraction(Multiplying):
    """Sums of products of inputs and weights, plus a bias, in the type `accum`, then cast to the result.

    weight: any shape whose last axis, of length N, is that of the output; bias: [N] or None. `accum` is None until
    precisions are resolved. Strategy and reuse factor never change the result.
    """

    weight: Tensor
    bias: Tensor | None = None
    accum: FixedType | None = None
    strategy: str = "latency"
    reuse_factor: int = 1

    variables: ClassVar[tuple[str, ...]] = ("weight", "bias", "accum", "result")

    def reusing(self, strategy: str, *reuse: int) -> Contraction:
        return replace(self, strategy=strategy, reuse_factor=reuse[0])

    @property
    def constants(self) -> tuple[Tensor, ...]:
        return (self.weight,)

    @property
    def outputs(self) -> int:
        """N, the length of the last axis of the output."""
        return self.weight.shape[-1]

    @property
    def terms(self) -> int:
        """K, the number of products in each sum."""
        return self.weight.data.size // max(self.outputs, 1)

    @property
    def matrix_shape(self) -> tuple[int, int]:
        """K and N."""
        return self.terms, self.outputs

    @property
    def matrix(self) -> Tensor:
        """The weights as [K, N], the terms of each sum in the order of accumulation."""
        return Tensor(self.weight.data.reshape(self.terms, self.outputs), self.weight.type)

    @abstractmethod
    def summed(self) -> tuple[Tensor, ...]:
        """The parts [k, N] of the matrix whose terms meet in one sum; the others are products with zeros there."""

    def verify(self, shapes: Sequence[tuple[int, ...]]) -> None:
        super().verify(shapes)
        if self.weight.data.size == 0:
            raise ValueError(f"the weight of shape {self.weight.shape} has no elements")
        if self.bias is not None and self.bias.shape != (self.outputs,):
            raise ValueError(f"the bias has shape {self.bias.shape}, the weight has {self.outputs} columns")
        if self.strategy not in STRATEGIES:
            raise ValueError(f"no strategy is called {self.strategy}")

    def sum_type(self, x: FixedType) -> FixedType:
        """The exact type of the sum for these weights and any input of type `x`: what `auto` accum is."""
        bias_type = None if self.bias is None else self.bias.fixed()
        fraction = x.fraction + self.weight.fixed().fraction
        if bias_type is not None:
            fraction = max(fraction, bias_type.fraction)
        bounds = [exact_sum_bounds(x, part, self.bias, fraction) for part in self.summed()]
        return type_for(min(low for low, _ in bounds), max(high for _, high in bounds), fraction)

    def infer_type(self, types: Sequence[FixedType]) -> FixedType:
        return self.accum if self.accum is not None else self.sum_type(types[0])
