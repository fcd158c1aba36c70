"""Drop nodes that change nothing: training-only layers, linear activations, reshapes to the same shape,
padding by nothing, repetition once.

A layer whose result type the user gave stays: it is a cast.
"""

from __future__ import annotations

from kbuild.ir import Graph, Node
from kbuild.ops.interpolate import Interpolate
from kbuild.ops.pad import Pad
from kbuild.ops.pool import Pool
from kbuild.ops.repeat import Repeat
from kbuild.ops.transpose import Transpose
from kbuild.passes.context import Context


def run(graph: Graph, context: Context) -> Graph:
    """The graph without them."""
    for name in [node.name for node in graph]:
        node = graph[name]
        if _changes_nothing(graph, node) and context.type_of(node, "result") is None:
            graph = graph.bypass(node)
    return graph


def _changes_nothing(graph: Graph, node: Node) -> bool:
    op = node.op
    if isinstance(op, Transpose):
        return op.axes == tuple(range(len(op.axes)))
    if isinstance(op, Pad):
        return not any(map(any, op.padding))
    if isinstance(op, Repeat | Interpolate):
        return all(factor == 1 for factor in op.factors)
    if isinstance(op, Pool):
        return all(n == 1 for n in (*op.size, *op.strides))
    if op.kind == "reshape":
        return graph[node.inputs[0]].shape == node.shape
    return op.kind == "identity"
