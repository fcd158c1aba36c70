"""What an operation says to the compiled kernels: its sums of products. The kernels are not imported for it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING

from kbuild.dataclass import dataclass
from kbuild.fixed import FixedType
from kbuild.ir.op import Evaluation, Shape
from kbuild.ir.tensor import Tensor

if TYPE_CHECKING:
    from kbuild.ops.native.kernels import Kernels


@dataclass(frozen=True)
class Sums:
    """Sums with weights [K, N] and what becomes of them, as `ops/accumulate.py` and a cast to the result have it.

    The outputs are `groups` equal parts, which have inputs of their own.
    """

    x: FixedType
    weight: Tensor
    bias: Tensor | None
    accum: FixedType
    result: FixedType
    groups: int = 1


class Compiled(ABC):
    """An operation whose sums of products the kernels may compute."""

    @abstractmethod
    def compiled(
        self, shapes: Sequence[Shape], types: Sequence[FixedType], result: FixedType, kernels: Kernels
    ) -> Evaluation | None:
        """`Op.prepared` for inputs of these shapes, by the kernels; None where they cannot compute it."""

    @abstractmethod
    def products(self, shapes: Sequence[Shape]) -> int:
        """How many products a sample takes."""
