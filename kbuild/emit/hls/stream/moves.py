"""Packets put elsewhere: pad and crop, repeat, concatenate."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from kbuild.emit.hls.design import Call, Config, config_name, elements, value_name
from kbuild.emit.hls.moves import joined
from kbuild.emit.hls.stream.process import Packing, Schedule, StreamKernel, natural
from kbuild.ir import Node
from kbuild.ops.concatenate import Concatenate
from kbuild.ops.pad import Pad
from kbuild.ops.repeat import Repeat

_AXES = 3  # that packets follow each other along, in stream_pad and stream_repeat_rows
_INPUTS = 4  # of stream_concatenate


def pad(node: Node, op: Pad, inputs: Sequence[Node], packings: Sequence[Packing]) -> StreamKernel | None:
    """Zeros are written, and elements dropped, when their turn comes; None for more than three axes and channels."""
    sizes, padding = joined(inputs[0].shape[:-1], op.padding[:-1])
    missing = _AXES - len(sizes)
    if missing < 0:
        return None
    integers = {"low3": op.padding[-1][0]}
    here, kept = np.ones(1, bool), np.ones(1, bool)
    axes = zip([1] * missing + sizes, [(0, 0)] * missing + padding, strict=True)
    for i, (size, (low, high)) in enumerate(axes):
        before, total = max(low, 0), max(low, 0) + size + max(high, 0)
        first, last = max(-low, 0), total - 1 - max(-high, 0)
        integers |= {f"all{i}": total, f"size{i}": size, f"low{i}": before, f"first{i}": first, f"last{i}": last}
        place = np.arange(total)
        here = np.outer(here, (place >= before) & (place < before + size)).ravel()
        kept = np.outer(kept, (place >= first) & (place <= last)).ravel()
    busy = here | kept
    schedule = Schedule(here[busy].astype(np.int64)[:, np.newaxis], kept[busy].astype(np.int64))
    return _kernel("stream_pad", node, inputs, integers, schedule)


def repeat(node: Node, op: Repeat, inputs: Sequence[Node], packings: Sequence[Packing]) -> StreamKernel | None:
    """The last axis but one from each packet, the two before from memory; None for repeats of further axes."""
    shape, factors = inputs[0].shape, op.factors
    if any(f > 1 for f in factors[: -1 - _AXES]):
        return None
    again = [*[1] * _AXES, *factors[:-1]][-_AXES:]
    size = [elements(shape[:-_AXES]), *[*[1] * _AXES, *shape[:-1]][1 - _AXES :]]
    for i in range(_AXES - 1):  # a row is enough where planes are not repeated, a packet where rows are not
        if again[i] == 1:
            size[i], size[i + 1] = 1, size[i] * size[i + 1]
        else:
            break
    integers = {f"size{i}": n for i, n in enumerate(size)}
    integers |= {f"factor{i}": n for i, n in enumerate((*again, factors[-1]))}
    integers |= {"held": math.prod(size[1:] if again[0] > 1 else size[2:]), "row_distance": size[2] * (again[0] > 1)}
    reads = np.zeros((size[0], again[0], size[1], again[1], size[2], again[2]), np.int64)
    reads[:, 0, :, 0, :, 0] = 1
    schedule = Schedule(reads.reshape(-1, 1), np.ones(reads.size, np.int64))
    in_memory = max(again[:2]) > 1
    return _kernel("stream_repeat_rows" if in_memory else "stream_repeat", node, inputs, integers, schedule)


def concatenate(node: Node, op: Concatenate, inputs: Sequence[Node],
                packings: Sequence[Packing]) -> StreamKernel | None:
    """Blocks of packets of each input in turn; None along the last axis, and for more than four inputs."""
    if op.axis == len(node.shape) - 1 or not 2 <= len(inputs) <= _INPUTS or len({x.name for x in inputs}) < len(inputs):
        return None
    outer = elements(node.shape[: op.axis])
    blocks = [elements(x.shape[op.axis : -1]) for x in inputs]
    integers = {"outer": outer, **{f"block{i}": block for i, block in enumerate(blocks)}}
    turns = np.tile(np.repeat(np.eye(len(inputs), dtype=np.int64), blocks, axis=0), (outer, 1))
    return _kernel("stream_concatenate", node, inputs, integers, Schedule(turns, np.ones(len(turns), np.int64)))


def _kernel(name: str, node: Node, inputs: Sequence[Node], integers: dict[str, int],
            schedule: Schedule) -> StreamKernel:
    config = Config(config_name(node.name), integers, {})
    call = Call(name, config, tuple(value_name(x.name) for x in inputs), value_name(node.name))
    return StreamKernel("stream/moving.h", call, tuple(natural(x.shape) for x in inputs), natural(node.shape), schedule)
