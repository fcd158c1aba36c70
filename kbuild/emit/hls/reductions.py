"""Kernel calls of pooling and reductions, and of the division of sums that makes means of them."""

from __future__ import annotations

from collections.abc import Sequence

from kbuild.emit.hls.design import (
    Array,
    Call,
    Config,
    Constant,
    Step,
    broadcast,
    config_name,
    elements,
    integer_type,
    numbered,
    spatial,
    spell,
    unit_type,
    value_name,
)
from kbuild.fixed import FixedType, type_for
from kbuild.ir import Node, Tensor
from kbuild.ops.pool import Pool
from kbuild.ops.reduce import Reduce


def pool(node: Node, op: Pool, inputs: Sequence[Node]) -> Step:
    """The largest element, or the sum, divided by one number or by that of each position."""
    x = inputs[0]
    integers = {
        "inputs": elements(x.shape[:-1]), "channels": x.shape[-1], "positions": elements(node.shape[:-1]),
        **spatial(positions=node.shape[:-1], kernel=op.size, stride=op.strides, size=x.shape[:-1],
                  low=tuple(low for low, _ in op.padding)),
    }  # fmt: skip
    config = Config(config_name(node.name), integers, {})
    if op.operation == "max":
        return Step("pool.h", (Call("pool_max", config, (value_name(x.name),), value_name(node.name)),))
    counts, of = op.counts(x.shape), x.fixed()
    most = int(counts.max())
    total = _total(node, Reduce("sum", (0,), most).infer_type([of]))
    summed = Call("pool_sum", config, (value_name(x.name),), total.name)
    if int(counts.min()) == most:
        return Step("pool.h", numbered([summed, mean(node, total, most)]), (), (total,))
    count = Constant(f"count_{node.name}", Tensor(counts, type_for(0, most, 0)), integer=True)
    divided = Call("average_each", _division(node, total, {"positions": count.size, "channels": x.shape[-1]},
                                             {"count_t": count.spell()}),
                   (total.name,), value_name(node.name), (count.name,))  # fmt: skip
    return Step("pool.h", numbered([summed, divided]), (count,), (total,))


def reduce(node: Node, op: Reduce, inputs: Sequence[Node]) -> Step:
    """Sums exact and cast once; a mean is divided after that."""
    x = inputs[0]
    kept = tuple(1 if axis in op.axes else n for axis, n in enumerate(x.shape))
    integers = {"inputs": elements(x.shape), "elements": elements(node.shape), **broadcast(x.shape, a=kept)}
    if op.operation in ("max", "min"):
        config = Config(config_name(node.name), {**integers, "largest": int(op.operation == "max")}, {})
        return Step("reduce.h", (Call("reduce_extreme", config, (value_name(x.name),), value_name(node.name)),))
    total = _total(node, Reduce("sum", op.axes, op.count).infer_type([x.fixed()]))
    config = Config(config_name(node.name), integers, {"sum_t": spell(total.type)})
    if op.operation == "sum":
        return Step("reduce.h", (Call("reduce_sum", config, (value_name(x.name),), value_name(node.name)),))
    summed = Call("reduce_sum", config, (value_name(x.name),), total.name)
    return Step("reduce.h", numbered([summed, mean(node, total, op.count)]), (), (total,))


def _total(node: Node, of: FixedType) -> Array:
    return Array(f"partial_0_{node.name}", f"partial_type_0_{node.name}", of, elements(node.shape))


def mean(node: Node, total: Array, count: int) -> Call:
    """The values of the node: exact sums over a count, rounded once."""
    if count & (count - 1) == 0:
        config = Config(config_name(node.name), {"elements": total.size}, {"unit_t": reciprocal(count)})
        return Call("scale_by", config, (total.name,), value_name(node.name))
    config = _division(node, total, {"elements": total.size, "count": count}, {})
    return Call("average", config, (total.name,), value_name(node.name))


def reciprocal(count: int) -> str:
    """The C++ type whose smallest positive value is that of a power of two."""
    return unit_type(1 - count.bit_length())


def _division(node: Node, total: Array, integers: dict[str, int], types: dict[str, str]) -> Config:
    of_division = division(node, total.type)
    return Config(config_name(node.name), {**integers, **of_division[0]}, {**of_division[1], **types})


def division(node: Node, total: FixedType) -> tuple[dict[str, int], dict[str, str]]:
    """The integers and types that `divided` of backends/hls/divide.h needs to make values of the node of sums."""
    fraction = max(total.fraction, node.fixed().fraction)
    bits = total.width + 1 + fraction - total.fraction
    types = {"numerator_t": integer_type(bits), "numerator_unit_t": unit_type(fraction),
             "quotient_t": integer_type(bits + 2), "quotient_unit_t": unit_type(-(fraction + 2))}
    return {"numerator_bits": bits}, types
