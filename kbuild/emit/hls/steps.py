"""One function for each op: the kernel calls that compute it. Nothing is decided here; the ops hold all choices."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from kbuild.dataclass import replace
from kbuild.emit.hls import quantizers
from kbuild.emit.hls.contractions import ZERO, conv, dense
from kbuild.emit.hls.design import (
    Array,
    Call,
    Config,
    Constant,
    Step,
    broadcast,
    config_name,
    elements,
    numbered,
    value_name,
)
from kbuild.emit.hls.lookup import lookup
from kbuild.emit.hls.moves import gather, interpolate, pad, repeat, transpose
from kbuild.emit.hls.reductions import mean, pool, reduce
from kbuild.emit.hls.softmax import softmax
from kbuild.errors import UnsupportedModel
from kbuild.ir import Graph, Node, Tensor
from kbuild.ops.merge import Merge

if TYPE_CHECKING:
    from kbuild.ops.affine import Affine
    from kbuild.ops.concatenate import Concatenate
    from kbuild.ops.constant import Constant as ConstantOp
    from kbuild.ops.einsum import Einsum
    from kbuild.ops.identity import Identity
    from kbuild.ops.logic import Logic
    from kbuild.ops.loop import Loop
    from kbuild.ops.lut import Lut
    from kbuild.ops.normalize import Normalize
    from kbuild.ops.relu import Relu
    from kbuild.ops.reshape import Reshape


def steps(graph: Graph) -> list[tuple[Node, Step]]:
    """Every node that is computed with its kernel calls, in order. What nodes share is computed by their first one."""
    together = _shared(graph)
    return [(node, together[node.name] if node.name in together else step(node, graph.inputs_of(node)))
            for node in graph if node.op.kind != "input"]  # fmt: skip


def step(node: Node, inputs: Sequence[Node]) -> Step:
    """The kernel calls of one node, whose type and whose inputs' types are resolved."""
    if not node.op.own:
        from kbuild.emit.hls.custom import custom

        return custom(node, inputs)
    make: Any = STEPS[node.op.kind]
    try:
        made: Step = make(node, node.op, inputs)
    except UnsupportedModel as error:
        raise UnsupportedModel(f"layer {node.layer.name} ({node.layer.class_name}): {error}") from error
    return made


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
    found = lookup(node.name, op, inputs[0].fixed())
    config = Config(config_name(node.name), {"elements": elements(node.shape), **found.integers}, found.types)
    source, result = (value_name(inputs[0].name),), value_name(node.name)
    if op.line is None:
        return Step("lut.h", (Call("lut", config, source, result, found.names),), found.constants)
    line = Constant(f"line_{node.name}", op.line)
    config = replace(config, types={**config.types, "line_t": line.spell()})
    call = Call("lut_and_line", config, source, result, (*found.names, line.name))
    return Step("lut.h", (call,), (*found.constants, line))


def _merge(node: Node, op: Merge, inputs: Sequence[Node]) -> Step:
    """Two by two from the left, with exact types in between; a mean is the exact sum, divided."""
    averaged = op.operation == "average"
    exact = Merge("add" if averaged else op.operation)
    kernel = exact.operation
    left, shape, calls, temporaries = value_name(inputs[0].name), inputs[0].shape, [], []
    for i, right in enumerate(inputs[1:], start=1):
        last = i == len(inputs) - 1
        before, shape = shape, exact.infer_shape([shape, right.shape])
        if last and not averaged:
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
    if averaged:
        calls.append(mean(node, temporaries[-1], len(inputs)))
    return Step("merge.h", numbered(calls), (), tuple(temporaries))


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
    return Step("concatenate.h", numbered(calls), (), tuple(temporaries))


def _identity(node: Node, op: Identity | Reshape | Concatenate, inputs: Sequence[Node]) -> Step:
    config = Config(config_name(node.name), {"elements": elements(node.shape)}, {})
    return Step("identity.h", (Call("identity", config, (value_name(inputs[0].name),), value_name(node.name)),))


def _constant(node: Node, op: ConstantOp, inputs: Sequence[Node]) -> Step:
    config = Config(config_name(node.name), {"elements": elements(node.shape)}, {})
    value = Constant(f"value_{node.name}", op.value)
    return Step("identity.h", (Call("constant", config, (), value_name(node.name), (value.name,)),), (value,))


# Families of their own, which most networks do without: imported when an op is there.


def _recurrent(node: Node, op: Loop, inputs: Sequence[Node]) -> Step:
    from kbuild.emit.hls.recurrent import recurrent

    return recurrent(node, op, inputs)


def _shared(graph: Graph) -> dict[str, Step]:
    if not any(STEPS.get(node.op.kind) is _recurrent for node in graph):
        return {}
    from kbuild.emit.hls.recurrent import shared

    return shared(graph)


def _normalize(node: Node, op: Normalize, inputs: Sequence[Node]) -> Step:
    from kbuild.emit.hls.normalizing import normalize

    return normalize(node, op, inputs)


def _einsum(node: Node, op: Einsum, inputs: Sequence[Node]) -> Step:
    from kbuild.emit.hls.products import einsum

    return einsum(node, op, inputs)


def _logic(node: Node, op: Logic, inputs: Sequence[Node]) -> Step:
    from kbuild.emit.hls.logic import logic

    return logic(node, op, inputs)


# By the kind of the op; `input` has no step: its values are given.
STEPS: dict[str, Callable[..., Step]] = {
    "dense": dense,
    "conv": conv,
    "pool": pool,
    "reduce": reduce,
    "pad": pad,
    "transpose": transpose,
    "repeat": repeat,
    "interpolate": interpolate,
    "quantize": quantizers.quantize,
    "step": quantizers.step,
    "affine": _affine,
    "relu": _relu,
    "lut": _lut,
    "softmax": softmax,
    "merge": _merge,
    "concatenate": _concatenate,
    "simple_rnn": _recurrent,
    "lstm": _recurrent,
    "gru": _recurrent,
    "scan": _recurrent,
    "normalize": _normalize,
    "einsum": _einsum,
    "gather": gather,
    "logic": _logic,
    "identity": _identity,
    "reshape": _identity,
    "constant": _constant,
}
