"""Ops that io_stream computes packet by packet: those whose result in a packet depends on one packet of each input."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from kbuild.dataclass import dataclass, replace
from kbuild.emit.hls.stream.process import Packing, natural
from kbuild.ir import Node, Op, Shape, Tensor
from kbuild.ops.affine import Affine
from kbuild.ops.concatenate import Concatenate
from kbuild.ops.dense import Dense
from kbuild.ops.einsum import Einsum
from kbuild.ops.gather import Gather
from kbuild.ops.identity import Identity
from kbuild.ops.lut import Lut
from kbuild.ops.merge import Merge
from kbuild.ops.normalize import Normalize
from kbuild.ops.quantize import Quantize
from kbuild.ops.reduce import Reduce
from kbuild.ops.relu import Relu
from kbuild.ops.reshape import Reshape
from kbuild.ops.softmax import Softmax
from kbuild.ops.step import Step


@dataclass(frozen=True)
class Plan:
    """The op that makes one packet of the result, with the shapes it sees, and how its values are packed.

    An input of a single packet, where the result has several, is used for all of them.
    """

    op: Op
    shapes: tuple[Shape, ...]
    reads: tuple[Packing, ...]
    shape: Shape
    writes: Packing


def plan(node: Node, inputs: Sequence[Node], packings: Sequence[Packing]) -> Plan | None:
    """How the node is computed packet by packet, its inputs being packed like that; None where it cannot be."""
    make: Any = PLANS.get(type(node.op))
    if not node.op.own:
        return _custom(node, inputs, packings)
    if make is None:
        return None
    found: Plan | None = make(node, node.op, inputs, packings)
    return found


def _custom(node: Node, inputs: Sequence[Node], packings: Sequence[Packing]) -> Plan | None:
    """An operation that is not kbuild's own says itself whether its elements are independent."""
    from kbuild.ops.custom import EmitsHls

    if len(inputs) != 1 or not isinstance(node.op, EmitsHls):
        return None
    kernel = node.op.hls([inputs[0].shape], [inputs[0].fixed()], node.shape)
    return _elementwise(node, node.op, inputs, packings) if kernel.elementwise else None


def _elementwise(node: Node, op: Op, inputs: Sequence[Node], packings: Sequence[Packing]) -> Plan:
    """Packets of any width."""
    shape = (packings[0].width,)
    return Plan(op, (shape,), (packings[0],), shape, packings[0])


def _reshape(node: Node, op: Reshape, inputs: Sequence[Node], packings: Sequence[Packing]) -> Plan:
    """Only the type changes; where not even that does, there is no process at all."""
    return _elementwise(node, Identity(), inputs, packings)


def _rows(packing: Packing, shape: Shape) -> bool:
    """Whether the value may be had one row of its last axis after the other without gathering it first."""
    return natural(shape).width <= packing.width


def _along(op: Op, width: int, x: Node, packings: Sequence[Packing]) -> Plan | None:
    """`op` makes rows of `width` of the rows of x."""
    if not _rows(packings[0], x.shape):
        return None
    packing = natural(x.shape)
    return Plan(op, ((packing.width,),), (packing,), (width,), Packing(packing.packets, width))


def _dense(node: Node, op: Dense, inputs: Sequence[Node], packings: Sequence[Packing]) -> Plan | None:
    return _along(op, op.outputs, inputs[0], packings)


def _einsum(node: Node, op: Einsum, inputs: Sequence[Node], packings: Sequence[Packing]) -> Plan | None:
    """The inner axes of the result of those of the value, one outer position after the other."""
    one = op.of_one_row()
    if one is None:
        return None
    outer = len(op.parts[1])
    shape, made = inputs[0].shape[outer:], node.shape[outer:]
    rows = math.prod(node.shape[:outer])
    return Plan(one, (shape,), (Packing(rows, math.prod(shape)),), made, Packing(rows, math.prod(made)))


def _softmax(node: Node, op: Softmax, inputs: Sequence[Node], packings: Sequence[Packing]) -> Plan | None:
    """A mask that is not the same for every row is not that of every packet."""
    if op.mask is not None:
        rows = op.mask.data.reshape(-1, node.shape[-1])
        if (rows != rows[0]).any():
            return None
        op = replace(op, mask=Tensor(rows[0], op.mask.type))
    return _along(op, node.shape[-1], inputs[0], packings)


def _reduce(node: Node, op: Reduce, inputs: Sequence[Node], packings: Sequence[Packing]) -> Plan | None:
    rank = len(inputs[0].shape)
    return _along(replace(op, axes=(0,)), 1, inputs[0], packings) if op.axes == (rank - 1,) else None


def _normalize(node: Node, op: Normalize, inputs: Sequence[Node], packings: Sequence[Packing]) -> Plan | None:
    x = inputs[0]
    scale, bias = (None if tensor is None else _of_channels(tensor) for tensor in (op.scale, op.bias))
    kept = (scale is None) == (op.scale is None) and (bias is None) == (op.bias is None)
    if op.axes != (len(x.shape) - 1,) or not kept:
        return None
    return _along(replace(op, axes=(0,), group_axis=0, scale=scale, bias=bias), x.shape[-1], x, packings)


def _of_channels(tensor: Tensor) -> Tensor | None:
    """A constant that varies along the last axis at most, as a vector."""
    if any(n != 1 for n in tensor.shape[:-1]):
        return None
    return Tensor(tensor.data.reshape(-1), tensor.type)


def _affine(node: Node, op: Affine, inputs: Sequence[Node], packings: Sequence[Packing]) -> Plan | None:
    scale, bias = _of_channels(op.scale), _of_channels(op.bias)
    if scale is None or bias is None:
        return None
    return _with_constants(replace(op, scale=scale, bias=bias), (scale, bias), inputs[0], packings)


def _relu(node: Node, op: Relu, inputs: Sequence[Node], packings: Sequence[Packing]) -> Plan | None:
    if op.slope is None:
        return _elementwise(node, op, inputs, packings)
    slope = _of_channels(op.slope)
    if slope is None:
        return None
    return _with_constants(replace(op, slope=slope), (slope,), inputs[0], packings)


def _with_constants(op: Op, constants: Sequence[Tensor], x: Node, packings: Sequence[Packing]) -> Plan | None:
    """Packets of any width where the constants are scalars, else rows."""
    if all(tensor.data.size == 1 for tensor in constants):
        packing = packings[0]
        return Plan(op, ((packing.width,),), (packing,), (packing.width,), packing)
    return _along(op, x.shape[-1], x, packings)


def _quantize(node: Node, op: Quantize, inputs: Sequence[Node], packings: Sequence[Packing]) -> Plan | None:
    if op.which is None:
        return _elementwise(node, op, inputs, packings)
    which = _of_channels(op.which)
    if which is None:
        return None
    return _with_constants(replace(op, which=which), (which,), inputs[0], packings)


def _step(node: Node, op: Step, inputs: Sequence[Node], packings: Sequence[Packing]) -> Plan | None:
    *outer, each = op.thresholds.shape
    if any(n != 1 for n in outer[:-1]):
        return None
    rows = op.thresholds.data.reshape(outer[-1] if outer else 1, each)
    values = op.values
    if len(values.shape) > 1:
        values = Tensor(values.data.reshape(len(rows), each + 1), values.type)
    made = replace(op, thresholds=Tensor(rows, op.thresholds.type), values=values)
    if len(rows) == 1:
        return _elementwise(node, made, inputs, packings)
    return _along(made, inputs[0].shape[-1], inputs[0], packings)


def _merge(node: Node, op: Merge, inputs: Sequence[Node], packings: Sequence[Packing]) -> Plan | None:
    """Equal shapes in packets of any width, the narrowest that comes; else rows, with inputs broadcast to each."""
    if all(x.shape == node.shape for x in inputs):
        packing = min(packings, key=lambda p: p.width)
        shape = (packing.width,)
        return Plan(op, (shape,) * len(inputs), (packing,) * len(inputs), shape, packing)
    writes = natural(node.shape)
    rows = node.shape[:-1]
    for x, packing in zip(inputs, packings, strict=True):
        aligned = (1,) * (len(node.shape) - len(x.shape)) + x.shape
        if not _rows(packing, x.shape) or (aligned[:-1] != rows and any(n != 1 for n in aligned[:-1])):
            return None
    reads = tuple(natural(x.shape) for x in inputs)
    return Plan(op, tuple((packing.width,) for packing in reads), reads, (writes.width,), writes)


def _concatenate(node: Node, op: Concatenate, inputs: Sequence[Node], packings: Sequence[Packing]) -> Plan | None:
    along = op.axis == len(node.shape) - 1
    if not along or not all(_rows(packing, x.shape) for x, packing in zip(inputs, packings, strict=True)):
        return None
    reads, writes = tuple(natural(x.shape) for x in inputs), natural(node.shape)
    return Plan(Concatenate(0), tuple((packing.width,) for packing in reads), reads, (writes.width,), writes)


def _gather(node: Node, op: Gather, inputs: Sequence[Node], packings: Sequence[Packing]) -> Plan:
    """One index after the other."""
    writes = natural(node.shape)
    return Plan(op, ((1,),), (Packing(writes.packets, 1),), (1, writes.width), writes)


PLANS: dict[type[Op], Callable[..., Plan | None]] = {
    Dense: _dense,
    Einsum: _einsum,
    Affine: _affine,
    Relu: _relu,
    Lut: _elementwise,
    Softmax: _softmax,
    Normalize: _normalize,
    Reduce: _reduce,
    Merge: _merge,
    Concatenate: _concatenate,
    Gather: _gather,
    Quantize: _quantize,
    Step: _step,
    Identity: _elementwise,
    Reshape: _reshape,
}
