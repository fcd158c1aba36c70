"""Recurrent layers over streams of steps."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kbuild.emit.hls.design import Call, value_name
from kbuild.emit.hls.recurrent import cell, kernel
from kbuild.emit.hls.scan import LoopCode, over_streams
from kbuild.emit.hls.stream.process import Packing, Schedule, StreamKernel, natural
from kbuild.ir import Node
from kbuild.ops.loop import Loop
from kbuild.ops.rnn import Recurrent
from kbuild.ops.scan import Scan


def recurrent(node: Node, op: Loop, inputs: Sequence[Node], packings: Sequence[Packing]) -> StreamKernel | None:
    """Step by step as they come; None for sequences that are read or returned backwards."""
    x, starts = inputs[0], inputs[1:]
    if op.go_backwards or (op.flip and op.return_sequences) or len({start.name for start in inputs}) < len(inputs):
        return None
    steps = x.shape[0]
    integers = {"return_sequences": int(op.return_sequences), "output": op.output}
    header, name, code = _code(node, op, inputs, integers)
    call = Call(name, code.config, tuple(value_name(given.name) for given in inputs),
                value_name(node.name), tuple(constant.name for constant in code.constants))  # fmt: skip
    return StreamKernel(header, call, tuple(natural(given.shape) for given in inputs), natural(node.shape),
                        _schedule(steps, len(starts), op.return_sequences), code.constants, interval=0,
                        inside=code.inside)  # fmt: skip


def _code(node: Node, op: Loop, inputs: Sequence[Node], integers: dict[str, int]) -> tuple[str, str | None, LoopCode]:
    """The header and the name of the kernel, if it is one, and its configuration."""
    if isinstance(op, Scan):
        return "stream/recurrent.h", None, over_streams(node, op, inputs, integers)
    assert isinstance(op, Recurrent)
    config, constants = cell(node, op, inputs[0], integers)
    return f"stream/{op.kind}.h", f"stream_{kernel(op)}", LoopCode(config, tuple(constants), ())


def _schedule(steps: int, starts: int, sequence: bool) -> Schedule:
    """The given states first, then a step after the other."""
    reads = np.zeros((steps, 1 + starts), np.int64)
    reads[:, 0] = 1
    writes = np.full(steps, int(sequence), np.int64)
    writes[-1] = 1
    if starts:
        first = np.array([[0] + [1] * starts])
        reads, writes = np.concatenate([first, reads]), np.concatenate([[0], writes])
    return Schedule(reads, writes)
