"""Ops that have a kernel of their own in `backends/hls/stream/`, which need not hold the whole value."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from kbuild.emit.hls.stream.convolution import conv
from kbuild.emit.hls.stream.dense import dense
from kbuild.emit.hls.stream.moves import concatenate, pad, repeat
from kbuild.emit.hls.stream.pooling import pool
from kbuild.emit.hls.stream.process import Packing, StreamKernel
from kbuild.emit.hls.stream.recurrences import recurrent
from kbuild.emit.hls.stream.reductions import reduce
from kbuild.ir import Node, Op
from kbuild.ops.concatenate import Concatenate
from kbuild.ops.conv import Conv
from kbuild.ops.dense import Dense
from kbuild.ops.gru import Gru
from kbuild.ops.lstm import Lstm
from kbuild.ops.pad import Pad
from kbuild.ops.pool import Pool
from kbuild.ops.reduce import Reduce
from kbuild.ops.repeat import Repeat
from kbuild.ops.rnn import SimpleRnn
from kbuild.ops.scan import Scan


def kernel(node: Node, inputs: Sequence[Node], packings: Sequence[Packing]) -> StreamKernel | None:
    """The node's streaming kernel, its inputs being packed like that; None where it has none."""
    make: Any = KERNELS.get(type(node.op))
    found: StreamKernel | None = make(node, node.op, inputs, packings) if make else None
    return found


# By op: called with the node, its op, its inputs and their packings.
KERNELS: dict[type[Op], Callable[..., StreamKernel | None]] = {
    Conv: conv,
    Pool: pool,
    Reduce: reduce,
    Pad: pad,
    Repeat: repeat,
    Concatenate: concatenate,
    Dense: dense,
    SimpleRnn: recurrent,
    Lstm: recurrent,
    Gru: recurrent,
    Scan: recurrent,
}
