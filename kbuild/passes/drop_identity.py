"""Drop nodes that change nothing: training-only layers, linear activations, reshapes to the same shape,
padding by nothing, repetition once. And a softmax that the recipe says to skip.

A layer whose result type the user gave stays: it is a cast.
"""

from __future__ import annotations

from kbuild.ir import Graph
from kbuild.passes.context import Context


def run(graph: Graph, context: Context) -> Graph:
    """The graph without them."""
    for name in [node.name for node in graph]:
        node = graph[name]
        shape = graph[node.inputs[0]].shape if node.inputs else ()
        settings = context.settings_of(node)
        skipped = node.op.kind == "softmax" and settings is not None and settings.skip.value
        if skipped or (node.op.changes_nothing(shape) and context.type_of(node, "result") is None):
            graph = graph.bypass(node)
    return graph
