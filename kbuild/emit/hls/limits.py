"""How much distributed arithmetic is written: known from the weights, before any time is spent on it."""

from __future__ import annotations

from kbuild.config.backends import load_backend
from kbuild.errors import UnsupportedModel
from kbuild.ir import Graph, Node
from kbuild.ops.logic import Logic
from kbuild.ops.multipliers import Multiplying


def digits(node: Node) -> int:
    """Non-zero digits of the weights that become adders: adders before anything is shared."""
    op = node.op
    if isinstance(op, Logic):
        return len(op.steps)
    if not isinstance(op, Multiplying) or op.strategy != "distributed_arithmetic":
        return 0
    if op.inside() is not None:  # whose nodes are counted
        return 0
    from kbuild.emit.adders import signed_digits

    return sum(signed_digits.count(weight.data) for weight in op.constants)


def check(graph: Graph, backend: str) -> None:
    """Raise UnsupportedModel when the adders are beyond the backend's limit, naming the largest layers."""
    most = load_backend(backend).limits["adders"]
    nodes = {node.name: node for node in graph.everywhere()}
    sizes = {name: digits(node) for name, node in nodes.items()}
    total = sum(sizes.values())
    if total <= most:
        return
    largest = sorted(sizes, key=lambda name: -sizes[name])[:3]
    layers = ", ".join(f"{nodes[name].layer.name} {sizes[name]:,}" for name in largest if sizes[name])
    raise UnsupportedModel(
        f"distributed arithmetic of this model has {total:,} terms to add, more than the {most:,} that kbuild writes "
        f"(largest layers: {layers}). Give the weights fewer bits or prune them, or these layers Strategy: Resource"
    )
