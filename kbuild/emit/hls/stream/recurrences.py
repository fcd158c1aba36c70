"""Recurrent layers over streams of steps."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kbuild.emit.hls.design import Call, value_name
from kbuild.emit.hls.loops import over_streams
from kbuild.emit.hls.recurrent import body_of
from kbuild.emit.hls.stream.process import Packing, Schedule, StreamKernel, natural
from kbuild.ir import Node
from kbuild.ops.loop import Loop


def recurrent(node: Node, op: Loop, inputs: Sequence[Node], packings: Sequence[Packing]) -> StreamKernel | None:
    """Step by step as they come; None for sequences that are read or returned backwards."""
    x, starts = inputs[0], inputs[1:]
    if op.go_backwards or (op.flip and op.return_sequences) or len({start.name for start in inputs}) < len(inputs):
        return None
    body = body_of(node, op, x)
    call = Call(None, over_streams(node, op, body, inputs), tuple(value_name(given.name) for given in inputs),
                value_name(node.name), tuple(constant.name for constant in body.constants))  # fmt: skip
    return StreamKernel("stream/recurrent.h", call, tuple(natural(given.shape) for given in inputs),
                        natural(node.shape), _schedule(x.shape[0], len(starts), op.return_sequences), body.constants,
                        interval=0, inside=body.steps)  # fmt: skip


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
