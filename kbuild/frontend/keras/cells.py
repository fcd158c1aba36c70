"""Recurrent cells with quantizers inside: a step is a graph of its own, which `ops/scan.py` repeats.

A cell of floats is one operation (`ops/rnn.py`). In one whose states and activations are quantized each value has the
type that the model gives it, so that no engine has to know the cell.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Protocol

from kbuild.dataclass import dataclass
from kbuild.fixed import FloatArray
from kbuild.frontend.keras.handler import LayerCall
from kbuild.ir import Node
from kbuild.ops.dense import Dense
from kbuild.ops.input import Input
from kbuild.ops.merge import Merge
from kbuild.ops.pad import Pad
from kbuild.ops.scan import Scan

States = tuple[Node, ...]


class Elementwise(Protocol):
    """A function of single elements: a quantizer of QKeras or HGQ2."""

    def add(self, call: LayerCall, source: Node) -> Node:
        """Nodes that compute it."""


@dataclass(frozen=True)
class Steps:
    """Operations on values [N] of a step."""

    call: LayerCall

    def apply(self, function: Elementwise | None, value: Node) -> Node:
        """A function of every element; None is none."""
        return value if function is None else function.add(self.call, value)

    def product(self, value: Node, kernel: FloatArray, bias: FloatArray | None) -> Node:
        """`value @ kernel + bias`."""
        shift = None if bias is None else self.call.constant(bias)
        return self.call.add(Dense(self.call.constant(kernel), shift), value)

    def add(self, one: Node, other: Node) -> Node:
        """The sum."""
        return self.call.add(Merge("add"), one, other)

    def subtract(self, one: Node, other: Node) -> Node:
        """The difference."""
        return self.call.add(Merge("subtract"), one, other)

    def multiply(self, one: Node, other: Node) -> Node:
        """The product."""
        return self.call.add(Merge("multiply"), one, other)

    def part(self, value: Node, start: int, stop: int) -> Node:
        """Some of the elements."""
        (size,) = value.shape
        return value if (start, stop) == (0, size) else self.call.add(Pad(((-start, stop - size),)), value)


class Cell(ABC):
    """A cell: how many states of how many units, and what it makes of an element of the sequence and of those."""

    units: int
    states: int = 1
    inputs: Elementwise | None

    @abstractmethod
    def step(self, steps: Steps, element: Node, states: States) -> States:
        """The next states, of which the first is the output."""


@dataclass(frozen=True)
class Order:
    """How a layer goes through its sequence, and what it returns, as in `ops/loop.py`."""

    go_backwards: bool
    return_sequences: bool
    flip: bool


def scan(call: LayerCall, cell: Cell, given: tuple[Node, ...], order: Order) -> tuple[Scan, tuple[Node, ...]]:
    """The layer's operation, and what it reads: a sequence [T, K], and perhaps the first states [U] each.

    The quantizer of the inputs is before it: where it alone reads an input of the model, that has its type.
    """
    sequence = Steps(call).apply(cell.inputs, given[0])

    def body() -> States:
        own = call.on()
        element, *before = (own.add(Input(shape)) for shape in (sequence.shape[1:], *((cell.units,),) * cell.states))
        return cell.step(Steps(own), element, tuple(before))

    op = Scan(body=call.graph_inside(body), go_backwards=order.go_backwards, flip=order.flip,
              return_sequences=order.return_sequences)  # fmt: skip
    return op, (sequence, *given[1:])


def gated(steps: Steps, gate: Node, before: Node, new: Node) -> Node:
    """`gate * before + (1 - gate) * new`, with one product: `new + gate * (before - new)`."""
    return steps.add(new, steps.multiply(gate, steps.subtract(before, new)))
