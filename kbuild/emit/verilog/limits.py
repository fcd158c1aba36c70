"""How large a design may be: known from its constants, before anything is spent on it."""

from __future__ import annotations

import math

import numpy as np

from kbuild.config.backends import load_backend
from kbuild.emit.adders import signed_digits
from kbuild.errors import UnsupportedModel
from kbuild.fixed import Overflow
from kbuild.ir import Graph, Node
from kbuild.ops.affine import Affine
from kbuild.ops.dense import Dense
from kbuild.ops.logic import Logic
from kbuild.ops.softmax import Softmax


def terms(graph: Graph, node: Node) -> int:
    """Terms to be added in hardware for one node: non-zero digits of its constants, before anything is shared."""
    elements = math.prod(node.shape)
    if isinstance(node.op, Dense):
        rows = elements // max(node.shape[-1], 1)
        weight, x = node.op.weight, graph[node.inputs[0]].fixed()
        accum = node.op.infer_type([x])
        rounded = x.fraction + weight.fixed().fraction > accum.fraction
        alone = rounded or accum.overflow is not Overflow.WRAP  # each product is a value of its own
        return rows * (signed_digits.count(weight.data) + alone * int(np.count_nonzero(weight.data)))
    if isinstance(node.op, Logic):
        return len(node.op.steps)
    if isinstance(node.op, Affine):
        scale = np.broadcast_to(node.op.scale.data, node.shape)
        return signed_digits.count(scale) + elements
    if isinstance(node.op, Softmax):
        length = node.shape[-1]
        each = 4 if node.op.exp_low is not None else 2
        return elements * (length if node.op.implementation in ("legacy", "argmax") else each)
    return elements * max(len(node.inputs), 1)


def check(graph: Graph, backend: str) -> None:
    """Raise UnsupportedModel when the design is beyond the backend's limit, naming its largest layers."""
    most = load_backend(backend).limits["terms"]
    sizes = {node.name: terms(graph, node) for node in graph if node.op.kind not in ("input", "constant")}
    total = sum(sizes.values())
    if total <= most:
        return
    largest = sorted(sizes, key=lambda name: -sizes[name])[:3]
    layers = ", ".join(f"{graph[name].layer.name} {sizes[name]:,}" for name in largest)
    raise UnsupportedModel(
        f"in fully parallel Verilog this model adds {total:,} terms in every cycle, more than the {most:,} that "
        f"kbuild writes (largest layers: {layers}). Give the weights fewer bits or prune them, or use Backend: Vitis "
        "with Strategy: Resource and a ReuseFactor"
    )
