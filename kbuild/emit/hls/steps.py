"""One function for each op: the kernel calls that compute it. Nothing is decided here; the ops hold all choices."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from kbuild.emit.hls.design import (
    Array,
    Call,
    Config,
    Constant,
    Step,
    as_product,
    broadcast,
    config_name,
    elements,
    integer_type,
    scalar,
    spell,
    unit_type,
    value_name,
)
from kbuild.fixed import FixedType, Overflow
from kbuild.ir import Graph, Node, Op, Tensor
from kbuild.ops.affine import Affine
from kbuild.ops.concatenate import Concatenate
from kbuild.ops.constant import Constant as ConstantOp
from kbuild.ops.dense import Dense
from kbuild.ops.identity import Identity
from kbuild.ops.lut import Lut
from kbuild.ops.merge import Merge
from kbuild.ops.relu import Relu
from kbuild.ops.reshape import Reshape
from kbuild.ops.softmax import Softmax

ZERO = FixedType(1, 1, signed=False)


def steps(graph: Graph) -> list[tuple[Node, Step]]:
    """Every node that is computed with its kernel calls, in order."""
    return [(node, step(node, graph.inputs_of(node))) for node in graph if node.op.kind != "input"]


def step(node: Node, inputs: Sequence[Node]) -> Step:
    """The kernel calls of one node, whose type and whose inputs' types are resolved."""
    make: Any = STEPS[type(node.op)]
    made: Step = make(node, node.op, inputs)
    return made


def _dense(node: Node, op: Dense, inputs: Sequence[Node]) -> Step:
    x = inputs[0].fixed()
    accum = op.infer_type([x])
    k, n = op.weight.shape
    rows = elements(node.shape[:-1])
    weight = Constant(f"weight_{node.name}", op.weight)
    bias = Constant(f"bias_{node.name}", op.bias or Tensor(np.zeros(n, np.int64), ZERO))
    integers = {"rows": rows, "inputs": k, "outputs": n, "reuse_factor": op.reuse_factor}
    if op.strategy == "resource":
        lanes, depth = resource_step(k, n, op.reuse_factor)
        integers |= {"lanes": lanes, "depth": depth, "products": lanes * depth}
    else:
        integers["multipliers"] = -(-rows * k * n // op.reuse_factor)
    types = {"accum_t": spell(accum), "term_t": spell(term_type(x, op.weight.fixed(), accum)),
             "weight_t": weight.spell(), "bias_t": bias.spell()}
    kernel = f"dense_{op.strategy}" if op.strategy in ("resource", "unrolled") else "dense_latency"
    call = Call(kernel, Config(config_name(node.name), integers, types), (value_name(inputs[0].name),),
                value_name(node.name), (weight.name, bias.name))
    return Step("dense.h", (call,), (weight, bias))


def term_type(x: FixedType, weight: FixedType, accum: FixedType) -> FixedType:
    """What each product is cast to before it is added: the accumulator's LSB, no overflow that addition would not do.

    A product that needs no rounding stays as it is; a wrapping accumulator may wrap each term as well, since that is
    modular; for a saturating one the term keeps all integer bits, and one more for rounding up.
    """
    product = as_product(x, weight)
    if product.fraction <= accum.fraction:
        return product
    if accum.overflow is Overflow.WRAP:
        return accum
    integer = max(product.integer + 1, 2 - accum.fraction)
    return FixedType(integer + accum.fraction, integer, product.signed, accum.quantization)


def resource_step(inputs: int, outputs: int, reuse_factor: int) -> tuple[int, int]:
    """Outputs and inputs of one step of the resource strategy.

    Raises ValueError when the reuse factor is neither a divisor of `inputs` nor `inputs` times a divisor of `outputs`.
    """
    if inputs % reuse_factor == 0:
        return outputs, inputs // reuse_factor
    if reuse_factor % inputs == 0 and outputs % (reuse_factor // inputs) == 0:
        return outputs // (reuse_factor // inputs), 1
    raise ValueError(f"reuse factor {reuse_factor} does not split {inputs} x {outputs} products into equal steps")


def _affine(node: Node, op: Affine, inputs: Sequence[Node]) -> Step:
    scale, bias = Constant(f"scale_{node.name}", op.scale), Constant(f"bias_{node.name}", op.bias)
    integers = {"elements": elements(node.shape), "scale_elements": scale.size, "bias_elements": bias.size,
                **broadcast(node.shape, a=op.scale.shape, b=op.bias.shape)}
    config = Config(config_name(node.name), integers, {"scale_t": scale.spell(), "bias_t": bias.spell()})
    call = Call("affine", config, (value_name(inputs[0].name),), value_name(node.name), (scale.name, bias.name))
    return Step("affine.h", (call,), (scale, bias))


def _relu(node: Node, op: Relu, inputs: Sequence[Node]) -> Step:
    integers = {"elements": elements(node.shape)}
    source, result = (value_name(inputs[0].name),), value_name(node.name)
    if op.slope is None and op.threshold is None and op.max_value is None:
        return Step("relu.h", (Call("relu", Config(config_name(node.name), integers, {}), source, result),))
    zero = Tensor(np.zeros((), np.int64), ZERO)
    slope = Constant(f"slope_{node.name}", op.slope or zero)
    threshold = Constant(f"threshold_{node.name}", op.threshold or zero)
    top = Constant(f"max_value_{node.name}", op.max_value or zero)
    integers |= {"slope_elements": slope.size, "limited": int(op.max_value is not None),
                 **broadcast(node.shape, a=slope.tensor.shape)}
    types = {"slope_t": slope.spell(), "threshold_t": threshold.spell(), "max_value_t": top.spell()}
    call = Call("relu_general", Config(config_name(node.name), integers, types), source, result,
                (slope.name, threshold.name, top.name))
    return Step("relu.h", (call,), (slope, threshold, top))


def _lut(node: Node, op: Lut, inputs: Sequence[Node]) -> Step:
    x = inputs[0].fixed()
    table = Constant(f"table_{node.name}", op.made())
    offset = Constant(f"offset_{node.name}", scalar(op.offset), integer=True)
    difference = max(x.width + 1, offset.type.width) + 1
    integers = {"elements": elements(node.shape), "entries": table.size, "shift": min(op.shift, difference - 1)}
    types = {**_integer_types(x, difference), "table_t": table.spell(), "offset_t": offset.spell()}
    call = Call("lut", Config(config_name(node.name), integers, types), (value_name(inputs[0].name),),
                value_name(node.name), (table.name, offset.name))
    return Step("lut.h", (call,), (table, offset))


def _integer_types(x: FixedType, difference: int) -> dict[str, str]:
    """The integer behind x, the factor that makes it, and differences of such integers of `difference` bits."""
    return {"integer_t": integer_type(x.width + 1), "unit_t": unit_type(x.fraction),
            "difference_t": integer_type(difference)}


def _softmax(node: Node, op: Softmax, inputs: Sequence[Node]) -> Step:
    x = inputs[0].fixed()
    length = node.shape[-1]
    integers = {"rows": elements(node.shape[:-1]), "length": length}
    source, result = (value_name(inputs[0].name),), value_name(node.name)
    if op.implementation == "argmax":
        config = Config(config_name(node.name), integers, {})
        return Step("softmax.h", (Call("softmax_argmax", config, source, result),))
    exp_table, inv_table = op.tables()
    if exp_table.bounds()[0] < 0:
        raise ValueError(f"{node.name}: an exponential in a softmax table is negative")
    exp, inv = (_integers(f"{kind}_table_{node.name}", t) for kind, t in (("exp", exp_table), ("inv", inv_table)))
    offset = Constant(f"offset_{node.name}", scalar(op.exp_offset), integer=True)
    difference = max(x.width + 2, offset.type.width) + 1
    top = op.top(length)
    value = exp.type.width + inv.type.width + top
    scale = exp_table.fixed().fraction if op.implementation != "legacy" else 0
    integers |= {"exp_entries": exp.size, "inv_entries": inv.size, "top": top,
                 "exp_shift": min(op.exp_shift, difference - 1), "inv_shift": min(op.inv_shift, top)}
    types = {**_integer_types(x, difference), "exp_t": exp.spell(), "inv_t": inv.spell(),
             "sum_t": integer_type(top + 1, signed=False), "mantissa_t": integer_type(top + 1, signed=False),
             "value_t": integer_type(value), "one_t": integer_type(1, signed=False), "offset_t": offset.spell(),
             "result_unit_t": unit_type(-(scale + inv_table.fixed().fraction))}
    constants = (exp, inv) if op.implementation == "stable" else (exp, inv, offset)
    call = Call(f"softmax_{op.implementation}", Config(config_name(node.name), integers, types), source, result,
                tuple(c.name for c in constants))
    return Step("softmax.h", (call,), constants)


def _integers(name: str, table: Tensor) -> Constant:
    """A table as the integers behind it."""
    of = table.fixed()
    return Constant(name, Tensor(table.data, FixedType(of.width, of.width, of.signed)), integer=True)


def _merge(node: Node, op: Merge, inputs: Sequence[Node]) -> Step:
    """Two by two from the left, with exact types in between; a mean is the exact sum, divided."""
    mean = op.operation == "average"
    exact = Merge("add" if mean else op.operation)
    kernel = exact.operation
    left, shape, calls, temporaries = value_name(inputs[0].name), inputs[0].shape, [], []
    for i, right in enumerate(inputs[1:], start=1):
        last = i == len(inputs) - 1
        before, shape = shape, exact.infer_shape([shape, right.shape])
        if last and not mean:
            output = value_name(node.name)
        else:
            of = exact.infer_type([n.fixed() for n in inputs[: i + 1]])
            output = f"partial_{i}_{node.name}"
            temporaries.append(Array(output, f"partial_type_{i}_{node.name}", of, elements(shape)))
        integers = {"elements": elements(shape), "a_elements": elements(before), "b_elements": elements(right.shape),
                    **broadcast(shape, a=before, b=right.shape)}
        calls.append(Call(kernel, Config(f"{config_name(node.name)}", integers, {}),
                          (left, value_name(right.name)), output))
        left = output
    if mean:
        calls.append(_mean(node, temporaries[-1], len(inputs)))
    return Step("merge.h", _numbered(calls), (), tuple(temporaries))


def _numbered(calls: Sequence[Call]) -> tuple[Call, ...]:
    """The calls with configurations of their own names."""
    if len(calls) == 1:
        return tuple(calls)
    return tuple(
        Call(c.kernel, Config(f"part_{i}_{c.config.name}", c.config.integers, c.config.types), c.inputs, c.output)
        for i, c in enumerate(calls, start=1)
    )


def _mean(node: Node, total: Array, count: int) -> Call:
    integers = {"elements": total.size}
    if count & (count - 1) == 0:
        types = {"unit_t": unit_type(1 - count.bit_length())}
        return Call("scale_by", Config(config_name(node.name), integers, types), (total.name,), value_name(node.name))
    fraction = max(total.type.fraction, node.fixed().fraction)
    bits = total.type.width + 1 + fraction - total.type.fraction
    integers |= {"count": count, "numerator_bits": bits}
    types = {"numerator_t": integer_type(bits), "numerator_unit_t": unit_type(fraction),
             "quotient_t": integer_type(bits + 2), "quotient_unit_t": unit_type(-(fraction + 2))}
    return Call("average", Config(config_name(node.name), integers, types), (total.name,), value_name(node.name))


def _concatenate(node: Node, op: Concatenate, inputs: Sequence[Node]) -> Step:
    """Two by two from the left; what is joined already has the result's type."""
    if len(inputs) == 1:
        return _identity(node, op, inputs)
    outer = elements(node.shape[: op.axis])
    left, size, calls, temporaries = value_name(inputs[0].name), elements(inputs[0].shape), [], []
    for i, right in enumerate(inputs[1:], start=1):
        added = elements(right.shape)
        output = value_name(node.name)
        if i < len(inputs) - 1:
            output = f"partial_{i}_{node.name}"
            temporaries.append(Array(output, f"partial_type_{i}_{node.name}", node.fixed(), size + added))
        integers = {"outer": outer, "block_a": size // outer, "block_b": added // outer}
        calls.append(Call("concatenate", Config(config_name(node.name), integers, {}),
                          (left, value_name(right.name)), output))
        left, size = output, size + added
    return Step("concatenate.h", _numbered(calls), (), tuple(temporaries))


def _identity(node: Node, op: Identity | Reshape | Concatenate, inputs: Sequence[Node]) -> Step:
    config = Config(config_name(node.name), {"elements": elements(node.shape)}, {})
    return Step("identity.h", (Call("identity", config, (value_name(inputs[0].name),), value_name(node.name)),))


def _constant(node: Node, op: ConstantOp, inputs: Sequence[Node]) -> Step:
    config = Config(config_name(node.name), {"elements": elements(node.shape)}, {})
    value = Constant(f"value_{node.name}", op.value)
    return Step("identity.h", (Call("constant", config, (), value_name(node.name), (value.name,)),), (value,))


# By op; `input` has no step: its values are given.
STEPS: dict[type[Op], Callable[..., Step]] = {
    Dense: _dense,
    Affine: _affine,
    Relu: _relu,
    Lut: _lut,
    Softmax: _softmax,
    Merge: _merge,
    Concatenate: _concatenate,
    Identity: _identity,
    Reshape: _identity,
    ConstantOp: _constant,
}
