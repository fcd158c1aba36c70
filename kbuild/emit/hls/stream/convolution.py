"""Convolutions of streams of pixels."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from kbuild.dataclass import replace
from kbuild.emit.hls.contractions import reuse, summation
from kbuild.emit.hls.design import SPATIAL_AXES, Call, Config, Constant, value_name
from kbuild.emit.hls.distributed import with_adders
from kbuild.emit.hls.stream.process import Packing, StreamKernel, natural
from kbuild.emit.hls.stream.windows import Axis, Window, three
from kbuild.fixed import FixedType
from kbuild.ir import Node, Tensor
from kbuild.ops.conv import Conv
from kbuild.ops.multipliers import StoredWindow

LEAST = 2  # packets that a FIFO of a window has room for


def conv(node: Node, op: Conv, inputs: Sequence[Node], packings: Sequence[Packing]) -> StreamKernel | None:
    """Up to three spatial axes; None for more.

    A step computes up to `parallelization_factor` positions. Each FIFO carries a packet a cycle, so it takes as many
    cycles as the packets that it reads or writes, or more if multipliers are reused more often.
    """
    x = inputs[0]
    rank = len(op.kernel)
    if rank > SPATIAL_AXES:
        return None
    axes = [Axis(x.shape[i], node.shape[i], op.kernel[i], op.strides[i], op.dilation[i], op.input_dilation[i],
                 op.padding[i][0]) for i in range(rank)]  # fmt: skip
    window = Window(three(axes), x.shape[-1])
    (matrix,) = op.matrices([x.shape], "io_stream")
    if op.strategy == "resource" and isinstance(matrix, StoredWindow):
        return _stored(node, op, x, window, matrix.word(op.reuse_factor))
    at_once, channels = op.parallelization_factor, op.weight.shape[-2]
    schedule = window.schedule(at_once)
    interval = max(op.reuse_factor, int(schedule.reads.max()), int(schedule.writes.max()))
    integers = {**window.steps(at_once), "terms": op.terms, "groups": op.groups, "group_channels": channels,
                **reuse(op.strategy, op.terms, op.outputs, op.reuse_factor), "interval": interval,
                "multipliers": -(-at_once * window.taps * channels * op.outputs // interval)}
    config, constants = summation(node, op, x.fixed(), integers if op.encoded else {**window.integers(), **integers})
    if op.strategy == "distributed_arithmetic":
        config = with_adders(config, op.matrix, op.bias, x.fixed(), op.infer_type([x.fixed()]), op.groups)
    words: tuple[Constant, ...] = ()
    if op.encoded:
        config, words = _encoded(node, config, window)
    name = f"stream_{'encoded' if op.encoded else 'conv'}_{op.strategy}"
    call = Call(name, config, (value_name(x.name),), value_name(node.name),
                tuple(constant.name for constant in (*constants, *words)))  # fmt: skip
    return StreamKernel(f"stream/{'encoded' if op.encoded else 'convolution'}.h", call, (natural(x.shape),),
                        natural(node.shape), schedule, (*constants, *words),
                        0 if op.strategy == "resource" else interval)  # fmt: skip


def _stored(node: Node, op: Conv, x: Node, window: Window, word: int) -> StreamKernel:
    """Resource, with the window in memory. Raises ValueError for a reuse factor whose steps read no words."""
    if not word:
        raise ValueError(f"the reuse factor {op.reuse_factor} of {node.name} does not read its window in equal words")
    integers = {**window.stored(word, op.groups), "terms": op.terms,
                **reuse(op.strategy, op.terms, op.outputs, op.reuse_factor)}  # fmt: skip
    config, constants = summation(node, op, x.fixed(), integers)
    call = Call("stream_conv_stored", config, (value_name(x.name),), value_name(node.name),
                tuple(constant.name for constant in constants))  # fmt: skip
    return StreamKernel("stream/stored.h", call, (natural(x.shape),), natural(node.shape), window.schedule(),
                        constants, interval=0)  # fmt: skip


def _encoded(node: Node, config: Config, window: Window) -> tuple[Config, tuple[Constant, ...]]:
    """The configuration with what encoded windows need, and their instructions by plane, by row and by column."""
    words = []
    for name, axis in zip(("planes", "rows", "columns"), window.axes, strict=True):
        bits = 2 * axis.kernel + 2
        data = np.array(axis.words(), dtype=np.int64 if bits < 64 else object)
        words.append(Constant(f"{name}_{node.name}", Tensor(data, FixedType(bits, bits, signed=False)), integer=True))
    integers = {"fifos": math.prod(axis.kernel for axis in window.axes), "fifo_depth": max(window.waiting(), LEAST)}
    for i, (axis, word) in enumerate(zip(window.axes, words, strict=True)):
        integers |= {f"kernel{i}": axis.kernel, f"corners{i}": word.size}
    types = dict(zip(("plane_t", "row_t", "column_t"), (word.spell() for word in words), strict=True))
    made = replace(config, integers={**config.integers, **integers}, types={**config.types, **types})
    return made, tuple(words)
