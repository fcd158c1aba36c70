"""Kernel calls one after the other, each reading what the one before made: for ops that are more than one kernel."""

from __future__ import annotations

from collections.abc import Sequence

from kbuild.dataclass import replace
from kbuild.emit.hls.design import (
    Array,
    Call,
    Config,
    Constant,
    Step,
    broadcast,
    config_name,
    elements,
    numbered,
    value_name,
)
from kbuild.emit.hls.moves import in_order, transposed, transposing
from kbuild.fixed import FixedType
from kbuild.ir import Node, Shape


class Chain:
    """The calls of a node in the making. Each call's output is an intermediate array, the last one's the node's."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.calls: list[Call] = []
        self.constants: list[Constant] = []
        self.temporaries: list[Array] = []

    def call(self, kernel: str, config: tuple[dict[str, int], dict[str, str]], inputs: Sequence[str], shape: Shape,
             of: FixedType, constants: Sequence[Constant] = ()) -> str:
        """One more call, with a result of the shape and the type; the name of the result."""
        return self.add(kernel, Config("", *config), inputs, shape, of, constants)

    def add(self, kernel: str, config: Config, inputs: Sequence[str], shape: Shape, of: FixedType,
            constants: Sequence[Constant] = ()) -> str:  # fmt: skip
        """The same with a configuration that is made already, but for its name."""
        index, name = len(self.temporaries), self.node.name
        result = Array(f"partial_{index}_{name}", f"partial_type_{index}_{name}", of, elements(shape))
        self.temporaries.append(result)
        self.constants += constants
        self.calls.append(Call(kernel, replace(config, name=config_name(name)), tuple(inputs), result.name,
                               tuple(constant.name for constant in constants)))
        return result.name

    def transpose(self, value: str, shape: Sequence[int], axes: Sequence[int], of: FixedType) -> str:
        """The value with its axes in another order; itself where that changes nothing."""
        if in_order(shape, axes):
            return value
        size = elements(shape)
        integers = {"inputs": size, "elements": size, **transposed(shape, axes)}
        return self.call(transposing(size), (integers, {}), [value], tuple(shape[axis] for axis in axes), of)

    def offset(self, value: str, bias: Constant, of: FixedType) -> str:
        """The value, of the node's shape, plus a constant that broadcasts to it."""
        shape = self.node.shape
        integers = {"elements": elements(shape), "bias_elements": bias.size, **broadcast(shape, b=bias.tensor.shape)}
        return self.call("offset", (integers, {"bias_t": bias.spell()}), [value], shape, of, [bias])

    def step(self, header: str, side: int = 1) -> Step:
        """All calls; the last one writes the node's own array, in the node's type."""
        last = self.calls[-1]
        calls = [*self.calls[:-1], Call(last.kernel, last.config, last.inputs, value_name(self.node.name),
                                        last.constants)]  # fmt: skip
        return Step(header, numbered(calls), tuple(self.constants), tuple(self.temporaries[:-1]), side=side)
