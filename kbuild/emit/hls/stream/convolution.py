"""Convolutions of streams of pixels."""

from __future__ import annotations

from collections.abc import Sequence

from kbuild.emit.hls.contractions import reuse, summation
from kbuild.emit.hls.design import Call, value_name
from kbuild.emit.hls.distributed import with_adders
from kbuild.emit.hls.stream.process import Packing, StreamKernel, natural
from kbuild.emit.hls.stream.windows import Axis, Window, two
from kbuild.ir import Node
from kbuild.ops.conv import Conv


def conv(node: Node, op: Conv, inputs: Sequence[Node], packings: Sequence[Packing]) -> StreamKernel | None:
    """One or two spatial axes; None for more."""
    x = inputs[0]
    rank = len(op.kernel)
    if rank > 2:
        return None
    window = Window(two([Axis(x.shape[i], node.shape[i], op.kernel[i], op.strides[i], op.dilation[i],
                              op.input_dilation[i], op.padding[i][0]) for i in range(rank)]), x.shape[-1])  # fmt: skip
    channels = op.weight.shape[-2]
    integers = {**window.integers(), "terms": op.terms, "groups": op.groups, "group_channels": channels,
                **reuse(op.strategy, op.terms, op.outputs, op.reuse_factor),
                "multipliers": -(-window.taps * channels * op.outputs // op.reuse_factor)}
    config, constants = summation(node, op, x.fixed(), integers)
    if op.strategy == "distributed_arithmetic":
        config = with_adders(config, op.matrix, op.bias, x.fixed(), op.infer_type([x.fixed()]), op.groups)
    call = Call(f"stream_conv_{op.strategy}", config, (value_name(x.name),), value_name(node.name),
                tuple(constant.name for constant in constants))  # fmt: skip
    return StreamKernel("stream/convolution.h", call, (natural(x.shape),), natural(node.shape), window.schedule(),
                        constants, 0 if op.strategy == "resource" else op.reuse_factor)  # fmt: skip
