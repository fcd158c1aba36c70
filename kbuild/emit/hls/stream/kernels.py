"""Ops that have a kernel of their own in `backends/hls/stream/`, which need not hold the whole value."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from kbuild.emit.hls.stream.process import Packing, StreamKernel
from kbuild.ir import Node, Op


def kernel(node: Node, inputs: Sequence[Node], packings: Sequence[Packing]) -> StreamKernel | None:
    """The node's streaming kernel, its inputs being packed like that; None where it has none."""
    make: Any = KERNELS.get(type(node.op))
    found: StreamKernel | None = make(node, node.op, inputs, packings) if make else None
    return found


# By op: called with the node, its op, its inputs and their packings.
KERNELS: dict[type[Op], Callable[..., StreamKernel | None]] = {}
