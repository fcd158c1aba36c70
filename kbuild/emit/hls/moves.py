"""Kernel calls of the ops that put elements elsewhere: transpose, repeat, pad, gather; and of interpolation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from kbuild.emit.hls.design import (
    Array,
    Call,
    Config,
    Constant,
    Step,
    config_name,
    elements,
    integer_type,
    moved,
    numbered,
    row_major,
    spell,
    value_name,
)
from kbuild.emit.hls.reductions import mean
from kbuild.fixed import FixedType, type_for
from kbuild.ir import Node

if TYPE_CHECKING:
    from kbuild.ops.gather import Gather
    from kbuild.ops.interpolate import Interpolate
    from kbuild.ops.pad import Pad
    from kbuild.ops.repeat import Repeat
    from kbuild.ops.transpose import Transpose
    from kbuild.ops.windows import Pairs

UNROLLED = 4096  # elements of a loop that the tools unroll


def transpose(node: Node, op: Transpose, inputs: Sequence[Node]) -> Step:
    """One call."""
    return _move(transposing(elements(node.shape)), node, inputs[0], transposed(inputs[0].shape, op.axes))


def transposing(size: int) -> str:
    """The kernel for so many elements: more than the tools unroll, as a stream may bring, move one after the other."""
    return "transpose" if size <= UNROLLED else "transpose_in_turn"


def transposed(shape: Sequence[int], axes: Sequence[int]) -> dict[str, int]:
    """The loops of a transpose of an array of the shape. Axes that stay neighbours are one axis of the loops.

    Raises UnsupportedModel when more than four remain.
    """
    strides = row_major(shape)
    sizes: list[int] = []
    distances: list[int] = []
    for axis in axes:
        size, distance = shape[axis], strides[axis]
        if sizes and distances[-1] == size * distance:
            sizes[-1], distances[-1] = sizes[-1] * size, distance
        elif size > 1:
            sizes.append(size)
            distances.append(distance)
    return moved(size=sizes, a=distances)


def in_order(shape: Sequence[int], axes: Sequence[int]) -> bool:
    """Whether a transpose of an array of the shape leaves every element where it is."""
    kept = [axis for axis in axes if shape[axis] > 1]
    return kept == sorted(kept)


def repeat(node: Node, op: Repeat, inputs: Sequence[Node]) -> Step:
    """Neighbouring axes that are not repeated are one axis of the loops."""
    sizes: list[int] = []
    factors: list[int] = []
    for size, factor in zip(inputs[0].shape, op.factors, strict=True):
        if sizes and factor == factors[-1] == 1:
            sizes[-1] *= size
        else:
            sizes.append(size)
            factors.append(factor)
    made = [size * factor for size, factor in zip(sizes, factors, strict=True)]
    return _move("repeat", node, inputs[0], moved(size=made, a=row_major(sizes), factor=factors))


def pad(node: Node, op: Pad, inputs: Sequence[Node]) -> Step:
    """`low` is negative where elements are cropped."""
    sizes, padding = joined(inputs[0].shape, op.padding)
    made = [size + low + high for size, (low, high) in zip(sizes, padding, strict=True)]
    low = [low for low, _ in padding]
    return _move("pad", node, inputs[0], {**moved(size=made, low=low), **moved(**{"from": sizes})})


def joined(shape: Sequence[int], padding: Pairs) -> tuple[list[int], list[tuple[int, int]]]:
    """The same padding of fewer axes: one that has none is joined to the axis before it."""
    sizes: list[int] = []
    pairs: list[tuple[int, int]] = []
    for size, (low, high) in zip(shape, padding, strict=True):
        if sizes and not (low or high):
            sizes[-1] *= size
            pairs[-1] = pairs[-1][0] * size, pairs[-1][1] * size
        else:
            sizes.append(size)
            pairs.append((low, high))
    return sizes, pairs


def _move(kernel: str, node: Node, x: Node, loops: dict[str, int]) -> Step:
    integers = {"inputs": elements(x.shape), "elements": elements(node.shape), **loops}
    call = Call(kernel, Config(config_name(node.name), integers, {}), (value_name(x.name),), value_name(node.name))
    return Step("move.h", (call,))


def interpolate(node: Node, op: Interpolate, inputs: Sequence[Node]) -> Step:
    """Axis by axis, exact; then the product of the denominators is divided out."""
    from kbuild.ops.interpolate import denominator

    values, shape, of = value_name(inputs[0].name), list(inputs[0].shape), inputs[0].fixed()
    total = Array(values, "", of, elements(shape))
    calls, temporaries = [], []
    for axis, factor in enumerate(op.factors):
        if factor == 1:
            continue
        divisor = denominator(factor)
        of = type_for(of.min * divisor, of.max * divisor, of.fraction)
        integers = {"outer": elements(shape[:axis]), "size": shape[axis], "factor": factor, "divisor": divisor,
                    "inner": elements(shape[axis + 1 :])}
        shape[axis] *= factor
        total = Array(f"partial_{axis}_{node.name}", f"partial_type_{axis}_{node.name}", of, elements(shape))
        types = {"weight_t": integer_type(divisor.bit_length(), signed=False)}
        calls.append(Call("interpolate", Config(config_name(node.name), integers, types), (values,), total.name))
        temporaries.append(total)
        values = total.name
    calls.append(mean(node, total, op.divisor))
    return Step("interpolate.h", numbered(calls), (), tuple(temporaries))


def gather(node: Node, op: Gather, inputs: Sequence[Node]) -> Step:
    """Rows of a constant, one after the other."""
    x = inputs[0]
    weight = Constant(f"weight_{node.name}", op.weight)
    integers = {"positions": elements(x.shape), "rows": op.rows, "columns": op.weight.shape[1]}
    bits = max(x.fixed().integer, 1) + 1
    types = {"whole_t": spell(FixedType(bits, bits)), "weight_t": weight.spell()}
    call = Call("gather", Config(config_name(node.name), integers, types), (value_name(x.name),),
                value_name(node.name), (weight.name,))
    return Step("gather.h", (call,), (weight,))
