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
    recurrent: it multiplies a state, or what is made of it, and its reuse factor is RecurrentReuseFactor.
    """

    terms: int
    outputs: int
    copies: int = 1
    window: int = 0
    places: int = 1
    constant: bool = True
    recurrent: bool = False

    def at_once(self, strategy: str, reuse: int) -> int:
        """Products and registers in unrolled loops; a reuse factor shortens loops with `resource` only."""
        if strategy == "distributed_arithmetic":  # additions without a loop
            return self.places * self.window
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


@dataclass(frozen=True)
class StoredWindow(Matrix):
    """A matrix that windows of a stream are multiplied by which lie in memory, and not in registers.

    A step of `resource` reads one word of the memory, which is made for that: `word` elements of one pixel, whose
    channels are `groups` equal groups of `group_channels`. So a word must divide the pixel.
    """

    groups: int = 1
    group_channels: int = 1

    def word(self, reuse: int) -> int:
        """Elements that a step reads; 0 where they are no word: of several pixels, or of parts of groups."""
        lanes, depth = resource_step(self.terms, self.outputs, reuse)
        if depth > 1:  # of all outputs
            return 0 if self.group_channels % depth else depth * self.groups
        each = self.outputs // self.groups
        if lanes % each == 0:
            return lanes // each
        return int(each % lanes == 0)

    def at_once(self, strategy: str, reuse: int) -> int:
        """The pixel that comes is in registers, and the sums."""
        if strategy != "resource":
            return super().at_once(strategy, reuse)
        return max(self.terms * self.outputs // reuse, self.outputs, self.groups * self.group_channels)

    def legal(self, strategy: str) -> list[int]:
        found = super().legal(strategy)
        return [reuse for reuse in found if self.word(reuse)] if strategy == "resource" else found


class Multiplying(Op):
    """An operation whose multipliers may be used several times for one result: what `ReuseFactor` says.

    Strategy and reuse factor never change the result.
    """

    settings: ClassVar[tuple[str, ...]] = ("Strategy", "ReuseFactor")

    @property
    @abstractmethod
    def strategy(self) -> str:
        """One of `strategies`."""

    @property
    @abstractmethod
    def reuse_factor(self) -> int:
        """Of the first matrix."""

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


def resource_step(inputs: int, outputs: int, reuse_factor: int) -> tuple[int, int]:
    """Outputs and inputs of one step of the resource strategy.

    Raises ValueError when the reuse factor is neither a divisor of `inputs` nor `inputs` times a divisor of `outputs`.
    """
    if inputs % reuse_factor == 0:
        return outputs, inputs // reuse_factor
    if reuse_factor % inputs == 0 and outputs % (reuse_factor // inputs) == 0:
        return outputs // (reuse_factor // inputs), 1
    raise ValueError(f"reuse factor {reuse_factor} does not split {inputs} x {outputs} products into equal steps")
