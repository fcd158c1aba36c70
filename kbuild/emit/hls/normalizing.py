"""Kernel calls of `normalize`: rows of the elements that share a statistic, then scale and bias."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kbuild.emit.hls.chain import Chain
from kbuild.emit.hls.contractions import ZERO
from kbuild.emit.hls.design import Constant, Step, broadcast, elements, integer_type, unit_type, value_name
from kbuild.fixed import FixedType
from kbuild.ir import Node, Tensor
from kbuild.ops.normalize import STATISTICS, Normalize

WORD = FixedType(32, 32, signed=False)  # of what stands for epsilon


def normalize(node: Node, op: Normalize, inputs: Sequence[Node]) -> Step:
    """The axes that are normalized over become the last ones, and go back after the division."""
    chain, x = Chain(node), inputs[0]
    split, axes = _split(op, x.shape)
    order = [axis for axis in range(len(split)) if axis not in axes] + list(axes)
    moved = tuple(split[axis] for axis in order)
    _, accum = op.made()
    rows = chain.transpose(value_name(x.name), split, order, x.fixed())
    length = op.count(x.shape)
    integers, types, constants = _kernel(node, op, x.fixed(), length)
    integers |= {"rows": elements(x.shape) // length, "length": length}
    z = chain.call("normalize", (integers, types), [rows], moved, accum, constants)
    z = chain.transpose(z, moved, [order.index(axis) for axis in range(len(split))], accum)
    if op.scale is not None:
        scale = Constant(f"scale_{node.name}", op.scale)
        bias = Constant(f"bias_{node.name}", op.bias or Tensor(np.zeros((1,) * len(x.shape), np.int64), ZERO))
        loops = broadcast(x.shape, a=scale.tensor.shape, b=bias.tensor.shape)
        integers = {"elements": elements(x.shape), "scale_elements": scale.size, "bias_elements": bias.size, **loops}
        types = {"scale_t": scale.spell(), "bias_t": bias.spell()}
        chain.call("affine", (integers, types), [z], x.shape, node.fixed(), [scale, bias])
    elif op.bias is not None:
        chain.offset(z, Constant(f"bias_{node.name}", op.bias), node.fixed())
    elif chain.calls[-1].kernel == "normalize":
        chain.call("identity", ({"elements": elements(x.shape)}, {}), [z], x.shape, node.fixed())
    return chain.step("normalize.h")


def _split(op: Normalize, shape: Sequence[int]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The shape with the groups as an axis of their own, and the axes that are normalized over."""
    if op.groups == 1:
        return tuple(shape), op.axes
    at = op.group_axis
    split = (*shape[:at], op.groups, shape[at] // op.groups, *shape[at + 1 :])
    return split, tuple(axis + (axis >= at) for axis in op.axes)


def _kernel(node: Node, op: Normalize, x: FixedType, length: int) -> tuple[
    dict[str, int], dict[str, str], list[Constant]]:  # fmt: skip
    made, _ = op.made()
    of = made.fixed()
    top, e = op.top(x, length), op.offset(x, length)
    count = -(-max(e.bit_length(), 1) // 32)
    words = Tensor(np.array([e >> (32 * i) & 0xFFFFFFFF for i in reversed(range(count))], np.int64), WORD)
    table = Constant(f"table_{node.name}", Tensor(made.data, FixedType(of.width, of.width, of.signed)), integer=True)
    epsilon = Constant(f"epsilon_{node.name}", words, integer=True)
    centred = x.width + length.bit_length() + 3
    square = top + 4  # bits that hold w, m and every sum that makes them
    integers = {"statistic": STATISTICS.index(op.statistic), "guard": op.guard, "top": top, "words": count,
                "entries": table.size, "table_shift": min(op.table_shift, square - 1)}
    types = {
        "integer_t": integer_type(x.width + 1), "unit_t": unit_type(x.fraction),
        "centred_t": integer_type(centred), "square_t": integer_type(square),
        "count_t": integer_type(length.bit_length(), signed=False), "word_t": epsilon.spell(),
        "table_t": table.spell(), "value_t": integer_type(centred + of.width + 1 + top // 2),
        "value_unit_t": unit_type(-(of.fraction + (top - op.guard) // 2)),
    }  # fmt: skip
    return integers, types, [table, epsilon]
