"""Pooling of streams of pixels."""

from __future__ import annotations

from collections.abc import Sequence

from kbuild.emit.hls.design import SPATIAL_AXES, Call, Config, config_name, spell, value_name
from kbuild.emit.hls.reductions import division, reciprocal
from kbuild.emit.hls.stream.process import Packing, StreamKernel, natural
from kbuild.emit.hls.stream.windows import Axis, Window, three
from kbuild.ir import Node
from kbuild.ops.pool import Pool
from kbuild.ops.reduce import Reduce


def pool(node: Node, op: Pool, inputs: Sequence[Node], packings: Sequence[Packing]) -> StreamKernel | None:
    """Up to three spatial axes; None for more."""
    x = inputs[0]
    rank = len(op.size)
    if rank > SPATIAL_AXES:
        return None
    axes = [Axis(x.shape[i], node.shape[i], op.size[i], op.strides[i], low=op.padding[i][0]) for i in range(rank)]
    window = Window(three(axes), x.shape[-1])
    kernel, integers, types = _operation(node, op, x)
    config = Config(config_name(node.name), {**window.integers(), **integers}, types)
    call = Call(kernel, config, (value_name(x.name),), value_name(node.name))
    return StreamKernel("stream/pooling.h", call, (natural(x.shape),), natural(node.shape), window.schedule())


def _operation(node: Node, op: Pool, x: Node) -> tuple[str, dict[str, int], dict[str, str]]:
    """The kernel, and what its configuration needs beside the window."""
    if op.operation == "max":
        return "stream_pool_max", {}, {}
    counts = op.counts(x.shape)
    most = int(counts.max())
    total = Reduce("sum", (0,), most).infer_type([x.fixed()])
    types = {"sum_t": spell(total)}
    if int(counts.min()) == most and most & (most - 1) == 0:
        return "stream_pool_scaled", {}, types | {"unit_t": reciprocal(most)}
    integers, division_types = division(node, total)
    count = most if int(counts.min()) == most else 0
    return "stream_pool_average", {**integers, "count": count}, types | division_types
