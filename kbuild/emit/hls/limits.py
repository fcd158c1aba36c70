"""How much distributed arithmetic is written: known from the weights, before any time is spent on it."""

from __future__ import annotations

from kbuild.config.backends import load_backend
from kbuild.errors import UnsupportedModel
from kbuild.ir import Graph, Node
from kbuild.ops.contraction import Contraction
from kbuild.ops.logic import Logic
from kbuild.ops.rnn import Recurrent


def digits(node: Node) -> int:
    """Non-zero digits of the weights that become adders: adders before anything is shared."""
    op = node.op
    if isinstance(op, Logic):
        return len(op.steps)
    if not isinstance(op, Contraction | Recurrent) or op.strategy != "distributed_arithmetic":
        return 0
    from kbuild.emit.adders import signed_digits

    further = signed_digits.count(op.recurrent_weight.data) if isinstance(op, Recurrent) else 0
    return signed_digits.count(op.weight.data) + further


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
