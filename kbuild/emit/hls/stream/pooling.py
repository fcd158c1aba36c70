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
    stored = op.is_stored(x.shape[-1])
    made = window.stored(x.shape[-1]) if stored else window.integers()
    name = f"stream_pool_{'stored_' if stored else ''}{kernel}"
    call = Call(name, Config(config_name(node.name), {**made, **integers}, types), (value_name(x.name),),
                value_name(node.name))  # fmt: skip
    return StreamKernel(f"stream/{'stored' if stored else 'pooling'}.h", call, (natural(x.shape),), natural(node.shape),
                        window.schedule(), interval=0 if stored else 1)  # fmt: skip


def _operation(node: Node, op: Pool, x: Node) -> tuple[str, dict[str, int], dict[str, str]]:
    """The name of the kernel after `stream_pool_`, and what its configuration needs beside the window."""
    if op.operation == "max":
        return "max", {}, {}
    counts = op.counts(x.shape)
    most = int(counts.max())
    total = Reduce("sum", (0,), most).infer_type([x.fixed()])
    types = {"sum_t": spell(total)}
    if int(counts.min()) == most and most & (most - 1) == 0:
        return "scaled", {}, types | {"unit_t": reciprocal(most)}
    integers, division_types = division(node, total)
    count = most if int(counts.min()) == most else 0
    return "average", {**integers, "count": count}, types | division_types
