"""Spell out the steps of a `scan`, one after the other, for a backend that prints one pipeline."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from kbuild.config.backends import load_backend
from kbuild.dataclass import replace
from kbuild.ir import Graph, Node, Op, Tensor
from kbuild.ops.concatenate import Concatenate
from kbuild.ops.constant import Constant
from kbuild.ops.identity import Identity
from kbuild.ops.reshape import Reshape
from kbuild.passes.context import Context

if TYPE_CHECKING:
    from kbuild.ops.scan import Scan


def run(graph: Graph, context: Context) -> Graph:
    """The graph itself, or the one with every step where a pipeline takes a new sample in every cycle: no cell, as
    nothing else, is used twice for a sample."""
    if not any(node.op.kind == "scan" for node in graph):
        return graph
    return spelled_out(graph) if load_backend(context.backend).reuse_factor == "1" else graph


def spelled_out(graph: Graph) -> Graph:
    """The graph in which every step has nodes of its own; new nodes have no types."""
    from kbuild.ops.scan import Scan

    taken = {node.name.lower() for node in graph.everywhere()}
    made: dict[tuple[Op, tuple[str, ...]], _Repeated] = {}
    nodes: list[Node] = []
    for node in graph:
        if isinstance(node.op, Scan):
            one = replace(node.op, output=0, return_sequences=False, flip=False), node.inputs
            if one not in made:
                made[one] = _Repeated(node, node.op, graph.inputs_of(node), nodes, taken)
            node = made[one].result(node, node.op)
        nodes.append(node)
    return graph.with_nodes(nodes)


class _Repeated:
    """The steps of one computation, whose nodes are added to those before it."""

    def __init__(self, node: Node, op: Scan, inputs: tuple[Node, ...], nodes: list[Node], taken: set[str]) -> None:
        from kbuild.ops.pad import Pad

        self.nodes, self.taken = nodes, taken
        sequence, *starts = inputs
        steps, size = sequence.shape
        self.states: list[tuple[Node, ...]] = []

        def step(t: int, states: tuple[Node, ...]) -> tuple[Node, ...]:
            row = self._add(node, Pad(((-t, t + 1 - steps), (0, 0))), sequence)
            given = (self._add(node, Reshape((size,)), row), *states)
            values = {inner.name: value for inner, value in zip(op.body.inputs, given, strict=True)}
            for inner in op.body:
                if inner.op.kind != "input":
                    values[inner.name] = self._add(inner, inner.op, *(values[name] for name in inner.inputs))
            self.states.append(tuple(values[name] for name in op.body.outputs))
            return self.states[-1]

        zeros = (Constant(Tensor(np.zeros(count))) for count in op.state_sizes())
        op.kept(steps, tuple(starts) or tuple(self._add(node, zero) for zero in zeros), step)

    def result(self, node: Node, op: Scan) -> Node:
        """The node of a value of the computation; its name is that of the scan."""
        kept = [states[op.output] for states in self.states]
        if not op.return_sequences:
            return replace(node, op=Identity(), inputs=(kept[-1].name,))
        rows = [self._add(node, Reshape((1, *value.shape)), value) for value in kept[:: -1 if op.flip else 1]]
        return replace(node, op=Concatenate(0), inputs=tuple(row.name for row in rows))

    def _add(self, like: Node, op: Op, *inputs: Node) -> Node:
        name, number = like.name, 2
        while name.lower() in self.taken:
            name, number = f"{like.name}_{number}", number + 1
        self.taken.add(name.lower())
        shape = op.infer_shape([source.shape for source in inputs])
        self.nodes.append(Node(name, op, tuple(source.name for source in inputs), shape, like.layer))
        return self.nodes[-1]
