"""Fold a scale-and-shift (BatchNormalization) into the dense layer or convolution before it.

Only where every type of both layers is automatic: with explicit types each layer rounds once, and two roundings are not
one.
"""

from __future__ import annotations

import numpy as np

from kbuild.dataclass import replace
from kbuild.ir import Graph, Node, Tensor
from kbuild.ops.affine import Affine
from kbuild.ops.contraction import Contraction
from kbuild.passes.context import Context


def run(graph: Graph, context: Context) -> Graph:
    """The graph with one node, under the name of the normalisation, in place of each pair."""
    for name in [node.name for node in graph]:
        node = graph[name]
        source = _foldable(graph, node, context)
        if source is not None:
            graph = _folded(graph, source, node)
    return graph


def _foldable(graph: Graph, node: Node, context: Context) -> Node | None:
    """The contraction that the affine node can be folded into."""
    if not isinstance(node.op, Affine):
        return None
    source = graph[node.inputs[0]]
    alone = len(graph.users[source.name]) == 1 and source.name not in graph.outputs
    last_axis_only = all(n == 1 for t in (node.op.scale, node.op.bias) for n in t.shape[:-1])
    automatic = all(context.type_of(n, variable) is None for n in (source, node) for variable in n.op.variables)
    if not (isinstance(source.op, Contraction) and alone and last_axis_only and automatic):
        return None
    return source if source.op.weight.type is None else None  # weights of a quantized model are what they are


def _folded(graph: Graph, source: Node, node: Node) -> Graph:
    assert isinstance(source.op, Contraction) and isinstance(node.op, Affine)
    scale, shift = node.op.scale.floats().reshape(-1), node.op.bias.floats().reshape(-1)
    bias = source.op.bias.floats() if source.op.bias is not None else 0.0
    merged = replace(
        source.op,
        weight=Tensor(source.op.weight.floats() * scale),
        bias=Tensor(np.broadcast_to(bias * scale + shift, source.shape[-1:])),
    )
    result = replace(node, op=merged, inputs=source.inputs)
    return graph.with_nodes(result if n.name == node.name else n for n in graph if n.name != source.name)
