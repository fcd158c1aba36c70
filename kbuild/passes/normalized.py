"""The range of an input that the model itself normalizes: what nobody has said of it, the model's own constants say."""

from __future__ import annotations

import numpy as np

from kbuild.fixed import FixedType, FloatArray
from kbuild.ir import Graph, Node
from kbuild.ops.affine import Affine

SPREAD = 16.0  # standard deviations: rare values are far out, and a bit less of resolution costs little
UNIT = 2.0  # of a scale that somebody has chosen to bring values to about 1
_KEEP_ORDER = ("identity", "reshape")

Bounds = tuple[FloatArray, FloatArray]


def normalized_bounds(graph: Graph, node: Node) -> Bounds | None:
    """What each element of an input is taken to lie within, arrays of its shape, where all that reads it scales and
    shifts it first: what BatchNormalization and Normalization bring to ±SPREAD, and others to ±UNIT. Else None.
    """
    found = _readers(graph, node)
    if not found:
        return None
    ends = [end.reshape(node.shape) for reader in found for end in _ends(reader)]
    return np.min(ends, axis=0), np.max(ends, axis=0)


def bounds_within(graph: Graph, node: Node, of: FixedType) -> Bounds:
    """The same within the range of the input's type; that range, where the model says nothing or what is outside."""
    low, high = (np.full(node.shape, float(end)) for end in of.range)
    found = normalized_bounds(graph, node)
    if found is None:
        return low, high
    least, most = (np.clip(end, low, high) for end in found)
    return (least, most) if (least < most).all() else (low, high)


def _readers(graph: Graph, node: Node) -> list[Node]:
    """The scalings that read a value; none where anything else does."""
    found: list[Node] = []
    for user in graph.users[node.name]:
        if isinstance(user.op, Affine):
            found.append(user)
            continue
        further = _readers(graph, user) if user.op.kind in _KEEP_ORDER else []
        if not further:
            return []
        found += further
    return [] if node.name in graph.outputs else found


def _ends(node: Node) -> tuple[FloatArray, FloatArray]:
    assert isinstance(node.op, Affine)
    scale, bias = (np.broadcast_to(tensor.floats(), node.shape) for tensor in (node.op.scale, node.op.bias))
    reach = SPREAD if node.layer.class_name.endswith("Normalization") else UNIT
    used = scale != 0  # an element that counts for nothing may be anything
    first, second = (
        np.divide(end - bias, scale, out=np.full(node.shape, end), where=used) for end in (-reach, reach)
    )
    return first, second
