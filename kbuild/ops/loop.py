"""What goes through a sequence step by step: the recurrent cells, and `scan`."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import TypeVar

from kbuild.dataclass import dataclass
from kbuild.fixed import FixedType
from kbuild.ir.op import Op, Shape

S = TypeVar("S")


@dataclass(frozen=True, kw_only=True)
class Loop(Op):
    """A step from states to states, for each element of x [T, K], from states of zeros or from further inputs.

    The value is the state number `output` (0: what the layer returns) after the last step, or after each with
    `return_sequences`; it is cast to the result.

    go_backwards: steps begin with the last element of x. flip: the sequence is returned in the opposite order of its
    computation. Two nodes that differ in nothing but `output`, `return_sequences` and `flip` are one computation.
    """

    output: int = 0
    return_sequences: bool = False
    go_backwards: bool = False
    flip: bool = False

    @abstractmethod
    def state_sizes(self) -> tuple[int, ...]:
        """The number of elements of each state."""

    @abstractmethod
    def state_types(self) -> tuple[FixedType, ...]:
        """Types of the states, which must exist by now."""

    def verify(self, shapes: Sequence[Shape]) -> None:
        sizes = self.state_sizes()
        if len(shapes) not in (1, 1 + len(sizes)):
            raise ValueError(f"{self.kind} takes one input and perhaps {len(sizes)} states, not {len(shapes)} inputs")
        if len(shapes[0]) != 2 or shapes[0][0] < 1:
            raise ValueError(f"the input has shape {shapes[0]}, not (steps, features)")
        for shape, size in zip(shapes[1:], sizes, strict=False):
            if shape != (size,):
                raise ValueError(f"an initial state has shape {shape}, not ({size},)")
        if not 0 <= self.output < len(sizes):
            raise ValueError(f"{self.kind} has no state number {self.output}")

    def infer_shape(self, shapes: Sequence[Shape]) -> Shape:
        size = self.state_sizes()[self.output]
        return (shapes[0][0], size) if self.return_sequences else (size,)

    def infer_type(self, types: Sequence[FixedType]) -> FixedType:
        return self.state_types()[self.output].plain()

    def kept(self, steps: int, state: tuple[S, ...], step: Callable[[int, tuple[S, ...]], tuple[S, ...]]) -> list[S]:
        """What is returned of so many steps from a state, in order. `step`: an element's number and states → states."""
        found = []
        for t in range(steps)[:: -1 if self.go_backwards else 1]:
            state = step(t, state)
            found.append(state[self.output])
        return found[:: -1 if self.flip else 1] if self.return_sequences else found[-1:]
