"""Dense layers whose inputs arrive in several packets."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kbuild.emit.hls.contractions import reuse, summation
from kbuild.emit.hls.design import Call, value_name
from kbuild.emit.hls.stream.process import Packing, Schedule, StreamKernel, natural
from kbuild.ir import Node
from kbuild.ops.dense import Dense


def dense(node: Node, op: Dense, inputs: Sequence[Node], packings: Sequence[Packing]) -> StreamKernel | None:
    """A single row in several packets, each used as it comes.

    None where a step of resource, or an adder graph, needs more than one.
    """
    x, (packing,) = inputs[0], packings
    if packing.packets == 1 or packing.elements != op.terms or op.strategy == "distributed_arithmetic":
        return None
    products = packing.width * op.outputs
    interval = -(-op.reuse_factor // packing.packets)
    integers = {"packets": packing.packets, "inputs": op.terms, "at_once": products, "interval": interval,
                **reuse(op.strategy, op.terms, op.outputs, op.reuse_factor), "multipliers": -(-products // interval)}
    if op.strategy == "resource":
        if packing.width % integers["depth"]:
            return None
        integers["steps"] = packing.width // integers["depth"] * (op.outputs // integers["lanes"])
    config, constants = summation(node, op, x.fixed(), integers)
    call = Call(f"stream_dense_{op.strategy}", config, (value_name(x.name),), value_name(node.name),
                tuple(constant.name for constant in constants))  # fmt: skip
    writes = np.zeros(packing.packets, np.int64)
    writes[-1] = 1
    schedule = Schedule(np.ones((packing.packets, 1), np.int64), writes)
    return StreamKernel("stream/dense.h", call, (packing,), natural(node.shape), schedule, constants,
                        0 if op.strategy == "resource" else interval)  # fmt: skip

