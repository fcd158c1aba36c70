"""Compute what does not depend on the model's inputs."""

from __future__ import annotations

from kbuild.dataclass import replace
from kbuild.ir import Graph, Node, Tensor
from kbuild.ops.constant import Constant
from kbuild.passes.context import Context


def run(graph: Graph, context: Context) -> Graph:
    """The graph in which a node with only constant inputs is a constant."""
    known: dict[str, Node] = {}
    for node in graph:
        arguments = [known[name].op for name in node.inputs]
        values = [op.value.floats()[None] for op in arguments if isinstance(op, Constant)]
        if node.inputs and len(values) == len(node.inputs) and context.type_of(node, "result") is None:
            node = replace(node, op=Constant(Tensor(node.op.eval_float(values)[0])), inputs=())
        known[node.name] = node
    return graph.with_nodes(known.values())
