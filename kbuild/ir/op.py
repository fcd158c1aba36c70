"""What every operation of the graph can do. The operations themselves are in `kbuild.ops`, one file each."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import ClassVar

from kbuild.dataclass import dataclass
from kbuild.fixed import FixedType, FloatArray, IntArray

Shape = tuple[int, ...]


@dataclass
class OverflowCount:
    """How many values of one node were wrapped or saturated, in its accumulators and states, and as its results."""

    inside: int = 0
    results: int = 0

    @property
    def values(self) -> int:
        """All of them."""
        return self.inside + self.results

    def add(self, inside: int = 0, results: int = 0) -> None:
        """Count so many more."""
        self.inside += inside
        self.results += results


Evaluation = Callable[[Sequence[IntArray], OverflowCount], IntArray]


@dataclass(frozen=True)
class Interval:
    """Bounds of every element of a value, as float64 arrays of the value's shape: low <= element <= high."""

    low: FloatArray
    high: FloatArray


@dataclass(frozen=True)
class Op(ABC):
    """An operation: typed fields, rules for shape and type, and its meaning on integers and on floats.

    Shapes are without the batch axis; arrays given to `eval` and `eval_float` have it as their first axis.
    `eval` on integers is the definition that C++ and Verilog are checked against.
    """

    own: ClassVar[bool] = True  # whether it is kbuild's own; others are `kbuild.ops.custom.CustomOp`s
    kind: ClassVar[str]  # the name in the text form, in templates and in `kbuild layers`
    arity: ClassVar[tuple[int, int | None]] = (1, 1)  # least and largest number of inputs; None: any
    variables: ClassVar[tuple[str, ...]] = ("result",)  # what `Precision` may set on a layer of this op

    settings: ClassVar[tuple[str, ...]] = ()  # what else a recipe may say of such a layer that decides how it is built

    def verify(self, shapes: Sequence[Shape]) -> None:
        """Raise ValueError with a sentence when the fields contradict each other or the input shapes."""
        low, high = self.arity
        if len(shapes) < low or (high is not None and len(shapes) > high):
            raise ValueError(f"{self.kind} takes {low if low == high else f'at least {low}'} inputs, not {len(shapes)}")

    @abstractmethod
    def infer_shape(self, shapes: Sequence[Shape]) -> Shape:
        """Shape of the result."""

    @abstractmethod
    def infer_type(self, types: Sequence[FixedType]) -> FixedType:
        """The type of the result before it is cast: it holds every possible result exactly, where that is finite."""

    def is_finite(self, types: Sequence[FixedType]) -> bool:
        """Whether results have finite binary forms, so that `infer_type` holds each; else its LSB is no finest one."""
        return True

    def changes_nothing(self, shape: Shape) -> bool:
        """Whether the result of an input of this shape is the input itself, before its cast."""
        return False

    @abstractmethod
    def eval(
        self, inputs: Sequence[IntArray], types: Sequence[FixedType], result: FixedType, overflow: OverflowCount
    ) -> IntArray:
        """Integers of the type `result` for integers of the input types."""

    def prepared(self, types: Sequence[FixedType], result: FixedType) -> Evaluation:
        """`eval` for inputs of these types: what does not depend on the inputs is computed once. For any thread."""
        return lambda inputs, overflow: self.eval(inputs, types, result, overflow)

    @abstractmethod
    def eval_float(self, inputs: Sequence[FloatArray]) -> FloatArray:
        """The real-valued operation in float64."""

    @abstractmethod
    def interval(self, inputs: Sequence[Interval]) -> Interval:
        """Sound bounds of the result for bounds of the inputs (up to float64 rounding)."""
