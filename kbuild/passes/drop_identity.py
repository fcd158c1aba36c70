"""Drop nodes that change nothing: training-only layers, linear activations, reshapes to the same shape.

A layer whose result type the user gave stays: it is a cast.
"""

from __future__ import annotations

from kbuild.ir import Graph, Node
from kbuild.passes.context import Context


def run(graph: Graph, context: Context) -> Graph:
    """The graph without them."""
    for name in [node.name for node in graph]:
        node = graph[name]
        if _changes_nothing(graph, node) and context.type_of(node, "result") is None:
            graph = graph.bypass(node)
    return graph


def _changes_nothing(graph: Graph, node: Node) -> bool:
    if node.op.kind == "reshape":
        return graph[node.inputs[0]].shape == node.shape
    return node.op.kind == "identity"
