"""Scores that a large negative constant takes out of a softmax, as `where(mask, scores, -1e9)` or a sum with -1e9 does.

Their exponentials are zero in any arithmetic: they are left out by a mask, so that no type must hold the constant.
"""

from __future__ import annotations

import numpy as np

from kbuild.dataclass import replace
from kbuild.ir import Graph, Node, Tensor
from kbuild.ops.affine import Affine
from kbuild.ops.identity import Identity
from kbuild.ops.softmax import ALLOWED, Softmax
from kbuild.passes.context import Context

OUT = -1e4  # a shift to this or below is a mask: no score beside it is as large


def run(graph: Graph, context: Context) -> Graph:
    """The graph in which softmaxes have masks instead of such constants before them."""
    masks = {node.name: found for node in graph if (found := _mask(graph, node)) is not None}
    return graph.with_nodes(_rewritten(node, masks) for node in graph) if masks else graph


def _mask(graph: Graph, node: Node) -> Tensor | None:
    """The places that a shift leaves, where nothing but softmaxes reads the shifted value; None for any other node."""
    op, users = node.op, graph.users[node.name]
    if not isinstance(op, Affine) or op.bias.type is not None or not users or node.name in graph.outputs:
        return None
    kept = op.bias.floats() > OUT
    if kept.all() or not all(isinstance(user.op, Softmax) and user.op.mask is None for user in users):
        return None
    first = next((axis for axis, n in enumerate(kept.shape) if n > 1), kept.ndim - 1)
    rows = np.broadcast_to(kept, (*kept.shape[:first], *node.shape[first:])).reshape(node.shape[first:])
    return Tensor(rows.astype(np.int64), ALLOWED) if rows.any(axis=-1).all() else None


def _rewritten(node: Node, masks: dict[str, Tensor]) -> Node:
    op = node.op
    if isinstance(op, Affine) and node.name in masks:
        return replace(node, op=_without(op))
    if isinstance(op, Softmax) and node.inputs[0] in masks:
        return replace(node, op=replace(op, mask=masks[node.inputs[0]]))
    return node


def _without(op: Affine) -> Affine | Identity:
    """The scale and the shift of what the mask leaves; what it leaves out may be anything."""
    out = op.bias.floats() <= OUT
    shape = np.broadcast_shapes(out.shape, op.scale.shape)
    scale, bias = np.where(np.broadcast_to(out, shape), 1.0, op.scale.floats()), np.where(out, 0.0, op.bias.floats())
    if (scale == 1).all() and not bias.any():
        return Identity()
    return replace(op, scale=Tensor(scale), bias=Tensor(bias))
