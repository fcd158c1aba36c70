"""Remove nodes that no output depends on. Inputs stay: they are the interface."""

from __future__ import annotations

from kbuild.ir import Graph
from kbuild.passes.context import Context


def run(graph: Graph, context: Context) -> Graph:
    """The graph without them."""
    needed = set(graph.outputs)
    for node in reversed(graph.nodes):
        if node.name in needed:
            needed.update(node.inputs)
    return graph.with_nodes(node for node in graph if node.name in needed or node.op.kind == "input")
