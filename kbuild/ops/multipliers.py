"""Operations with multipliers that can be reused, and what a design computes at once with them.

Which settings of a layer mean something to an operation is a fact of the operation: those that share their multipliers
are `Multiplying`, and no other operation reads `Strategy` or `ReuseFactor`.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar

from kbuild.dataclass import dataclass
from kbuild.ir.op import Op, Shape
from kbuild.ir.tensor import Tensor

STRATEGIES = ("latency", "resource", "unrolled", "distributed_arithmetic")
OF_VALUES = ("latency", "resource")  # of products without constants
_LARGEST = 1 << 14  # reuse factor of products that are unrolled: more than tools unroll of them


@dataclass(frozen=True)
class Matrix:
    """A matrix [terms, outputs] that vectors of so many terms are multiplied by.

    copies: vectors that are multiplied at once, which `resource` takes in turn; places: positions of a convolution that
    are at once with any strategy; window: registers that each of those needs. A matrix that is not constant is a value.
    """

    terms: int
    outputs: int
    copies: int = 1
    window: int = 0
    places: int = 1
    constant: bool = True

    def at_once(self, strategy: str, reuse: int) -> int:
        """Products and registers in unrolled loops; a reuse factor shortens loops with `resource` only."""
        if strategy == "distributed_arithmetic":  # additions without a loop
            return 0
        products = self.terms * self.outputs
        if strategy == "resource":
            sums = self.outputs if self.constant else 0  # else of as many sums as are at once
            return self.places * max(products // reuse, sums, self.window)
        return self.places * self.copies * products

    def legal(self, strategy: str) -> list[int]:
        """Its legal reuse factors.

        With a value in its place nothing has to be cut into equal parts for `latency`, and steps may have any shape.
        """
        if self.constant:
            return legal_reuse_factors(strategy, self.terms, self.outputs)
        if strategy == "resource":
            return legal_reuse_factors("latency", self.terms, self.outputs)
        return list(range(1, min(self.copies * self.terms * self.outputs, _LARGEST) + 1))

    def fitting(self, most: int) -> list[int]:
        """The reuse factors of `resource` with which no more than `most` is at once."""
        return [reuse for reuse in self.legal("resource") if self.at_once("resource", reuse) <= most]


class Multiplying(Op):
    """An operation whose multipliers may be used several times for one result: what `ReuseFactor` says.

    Strategy and reuse factor never change the result.
    """

    settings: ClassVar[tuple[str, ...]] = ("Strategy", "ReuseFactor")

    strategy: str
    reuse_factor: int

    @property
    def reuse_factors(self) -> tuple[int, ...]:
        """By matrix."""
        return (self.reuse_factor,)

    @property
    def strategies(self) -> tuple[str, ...]:
        """The strategies that mean something to this operation; the others are about constants that it has not."""
        return STRATEGIES

    @property
    @abstractmethod
    def constants(self) -> tuple[Tensor, ...]:
        """The matrices that are constant."""

    @abstractmethod
    def reusing(self, strategy: str, *reuse: int) -> Multiplying:
        """The operation with another strategy and other reuse factors, by matrix."""

    @abstractmethod
    def matrices(self, shapes: Sequence[Shape], io_type: str) -> tuple[Matrix, ...]:
        """What it multiplies by, for inputs of these shapes."""


def legal_reuse_factors(strategy: str, inputs: int, outputs: int) -> list[int]:
    """The legal reuse factors of an inputs x outputs product.

    Latency and unrolled: any divisor of inputs * outputs. Resource: those divisors with which the blocks of
    `inputs * outputs / reuse` multipliers end where a row of weights ends (reuse < inputs must divide inputs; a larger
    one must be a multiple of inputs). Distributed arithmetic has no multipliers to reuse.
    """
    total = inputs * outputs
    divisors = [d for d in range(1, int(total**0.5) + 1) if total % d == 0]
    divisors = sorted({*divisors, *(total // d for d in divisors)})
    if strategy == "distributed_arithmetic":
        return [1]
    if strategy == "resource":
        return [d for d in divisors if (d % inputs == 0 if d >= inputs else inputs % d == 0)]
    return divisors
