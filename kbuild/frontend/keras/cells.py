"""Recurrent cells with quantizers inside: what each step computes, one node after another.

A cell of floats is one operation (`ops/rnn.py`). One whose states and activations are quantized is not: its steps are
spelled out, so that each value has the type that the model gives it, and no engine has to know the cell.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from kbuild.fixed import FloatArray
from kbuild.frontend.keras.handler import LayerCall
from kbuild.frontend.keras.quantizers.exact import exact_tensor
from kbuild.frontend.keras.quantizers.function import line
from kbuild.ir import Node
from kbuild.ops.concatenate import Concatenate
from kbuild.ops.constant import Constant
from kbuild.ops.dense import Dense
from kbuild.ops.merge import Merge
from kbuild.ops.pad import Pad
from kbuild.ops.reshape import Reshape

Value = Node | FloatArray  # a value of the graph, or one that is known: the first state is zero
States = tuple[Value, ...]


class Elementwise(Protocol):
    """A function of single elements: a quantizer of QKeras or HGQ2."""

    def of(self, values: FloatArray) -> FloatArray:
        """What it makes of known values."""

    def add(self, call: LayerCall, source: Node) -> Node:
        """Nodes that compute it."""


@dataclass(frozen=True)
class Steps:
    """Operations on values [N] of a layer's steps; those of known values are known."""

    call: LayerCall

    def node(self, value: Value) -> Node:
        """The value as a node."""
        if isinstance(value, Node):
            return value
        op = Constant(exact_tensor(value))
        return self.call.add_node(self.call.layer.name, op, (), self.call.layer)

    def apply(self, function: Elementwise | None, value: Value) -> Value:
        """A function of every element; None is none."""
        if function is None:
            return value
        return function.add(self.call, value) if isinstance(value, Node) else function.of(value)

    def product(self, value: Value, kernel: FloatArray, bias: FloatArray | None) -> Value:
        """`value @ kernel + bias`."""
        if isinstance(value, Node):
            shift = None if bias is None else self.call.constant(bias)
            return self.call.add(Dense(self.call.constant(kernel), shift), value)
        return np.asarray(value @ kernel + (0.0 if bias is None else bias))

    def add(self, one: Value, other: Value) -> Value:
        """The sum; zeros add nothing."""
        if isinstance(one, Node) or isinstance(other, Node):
            if _zero(one) or _zero(other):
                return other if _zero(one) else one
            return self.call.add(Merge("add"), self.node(one), self.node(other))
        return one + other

    def subtract(self, one: Value, other: Value) -> Value:
        """The difference."""
        if isinstance(one, Node) or isinstance(other, Node):
            if _zero(one):
                return self.call.add(line(-1.0, 0.0)(1), self.node(other))
            return one if _zero(other) else self.call.add(Merge("subtract"), self.node(one), self.node(other))
        return one - other

    def multiply(self, one: Value, other: Value) -> Value:
        """The product; that with zeros is zero."""
        if isinstance(one, Node) or isinstance(other, Node):
            if _zero(one) or _zero(other):
                return one if _zero(one) else other
            return self.call.add(Merge("multiply"), self.node(one), self.node(other))
        return one * other

    def part(self, value: Value, start: int, stop: int) -> Value:
        """Some of the elements."""
        if not isinstance(value, Node):
            return value[start:stop]
        size = value.shape[0]
        return value if (start, stop) == (0, size) else self.call.add(Pad(((-start, stop - size),)), value)

    def row(self, sequence: Node, step: int) -> Node:
        """An element [N] of a sequence [T, N]."""
        steps, size = sequence.shape
        return self.call.add(Reshape((size,)), self.call.add(Pad(((-step, step + 1 - steps), (0, 0))), sequence))


def _zero(value: Value) -> bool:
    return not isinstance(value, Node) and not value.any()


class Cell(ABC):
    """A cell: how many states of how many units, what it makes of the inputs, and of those and the states."""

    units: int
    states: int = 1

    @abstractmethod
    def project(self, steps: Steps, sequence: Node) -> Node:
        """What the inputs [T, K] of all steps give without the states: [T, N]."""

    @abstractmethod
    def step(self, steps: Steps, inputs: Node, states: States) -> States:
        """The next states, of which the first is the output, from what `project` made of a step's inputs."""


@dataclass(frozen=True)
class Order:
    """How a layer goes through its sequence, and what it returns, as in `ops/rnn.py`."""

    go_backwards: bool
    return_sequences: bool
    flip: bool


def unrolled(call: LayerCall, cell: Cell, given: tuple[Node, ...], order: Order) -> tuple[Node, tuple[Node, ...]]:
    """The layer's value and its last states, from a sequence [T, K] and perhaps the first states [U] each."""
    steps = Steps(call)
    states: States = given[1:] or (np.zeros(cell.units),) * cell.states
    if len(states) != cell.states or any(isinstance(state, Node) and state.shape != (cell.units,) for state in states):
        raise call.error(f"its initial states are not {cell.states} of {cell.units} elements")
    made = cell.project(steps, given[0])
    length = made.shape[0]
    outputs: list[Node] = []
    for step in range(length)[:: -1 if order.go_backwards else 1]:
        states = cell.step(steps, steps.row(made, step), states)
        outputs.append(steps.node(states[0]))
    last = tuple(steps.node(state) for state in states)
    if not order.return_sequences:
        return outputs[-1], last
    rows = [call.add(Reshape((1, cell.units)), node) for node in outputs[:: -1 if order.flip else 1]]
    return call.add(Concatenate(0), *rows), last


def gated(steps: Steps, gate: Value, before: Value, new: Value) -> Value:
    """`gate * before + (1 - gate) * new`, with one product: `new + gate * (before - new)`."""
    return steps.add(new, steps.multiply(gate, steps.subtract(before, new)))
