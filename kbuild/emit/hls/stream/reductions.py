"""Reductions of streams: of packets that follow each other."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kbuild.emit.hls.design import Call, Config, config_name, elements, spell, value_name
from kbuild.emit.hls.reductions import division, reciprocal
from kbuild.emit.hls.stream.process import Packing, Schedule, StreamKernel, natural
from kbuild.ir import Node
from kbuild.ops.reduce import Reduce


def reduce(node: Node, op: Reduce, inputs: Sequence[Node], packings: Sequence[Packing]) -> StreamKernel | None:
    """Axes up to the last but one, as in global pooling; None for others."""
    x = inputs[0]
    rank = len(x.shape)
    first = op.axes[0]
    if op.axes != tuple(range(first, rank - 1)):
        return None
    outer = elements(x.shape[:first])
    kernel, integers, types = _operation(node, op, x)
    integers = {"outer": outer, "count": op.count, "channels": x.shape[-1], **integers}
    call = Call(kernel, Config(config_name(node.name), integers, types), (value_name(x.name),), value_name(node.name))
    writes = np.zeros((outer, op.count), np.int64)
    writes[:, -1] = 1
    schedule = Schedule(np.ones((outer * op.count, 1), np.int64), writes.ravel())
    return StreamKernel("stream/reduction.h", call, (natural(x.shape),), natural(node.shape), schedule)


def _operation(node: Node, op: Reduce, x: Node) -> tuple[str, dict[str, int], dict[str, str]]:
    """The kernel, and what its configuration needs beside the loops."""
    if op.operation in ("max", "min"):
        return "stream_reduce_extreme", {"largest": int(op.operation == "max")}, {}
    total = Reduce("sum", op.axes, op.count).infer_type([x.fixed()])
    types = {"sum_t": spell(total)}
    if op.operation == "sum":
        return "stream_reduce_sum", {}, types
    if op.count & (op.count - 1) == 0:
        return "stream_reduce_scaled", {}, types | {"unit_t": reciprocal(op.count)}
    integers, division_types = division(node, total)
    return "stream_reduce_mean", integers, types | division_types
