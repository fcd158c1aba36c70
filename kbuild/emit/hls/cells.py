"""The step of a recurrent cell: one call of its kernel."""

from __future__ import annotations

import numpy as np

from kbuild.emit.hls.contractions import ZERO, are_signs, bias_constant, reuse, sum_types
from kbuild.emit.hls.design import Array, Call, Config, Constant, Step, scalar, spell
from kbuild.emit.hls.distributed import with_adders
from kbuild.emit.hls.lookup import lookup
from kbuild.emit.hls.loops import Body
from kbuild.fixed import FixedType
from kbuild.ir import Node, Op, Tensor
from kbuild.ops.gru import Gru
from kbuild.ops.identity import Identity
from kbuild.ops.lstm import Lstm
from kbuild.ops.lut import Lut
from kbuild.ops.multipliers import STRATEGIES
from kbuild.ops.rnn import Recurrent

TABLE, LINEAR, RELU = range(3)  # kinds of functions in backends/hls/recurrent.h
ONE = FixedType(1, 1, signed=False)


def body(node: Node, op: Recurrent, x: Node) -> Body:
    """The kernel replaces the states itself."""
    element = Array("element", "element_t", x.fixed().plain(), x.shape[-1])
    states = tuple(Array(f"state{number}", f"state{number}_t", of, size)
                   for number, (of, size) in enumerate(zip(op.state_types(), op.state_sizes(), strict=True)))
    sums, constants = _sums(node, op, x.fixed())
    functions, tables = _functions(node, op)
    types = {state.type_name: spell(state.type) for state in states}
    types |= {"sum_t": spell(op.sum_type()), "one_t": spell(ONE)}
    config = Config("cell", {"features": element.size, "units": op.units}, types, (*sums, *functions))
    constants += tables
    call = Call(_kernel(op), config, (element.name,), states[0].name, tuple(each.name for each in constants),
                tuple(state.name for state in states[1:]))
    return Body(element, states, (Step(f"{op.kind}.h", (call,), tuple(constants)),))


def _kernel(op: Recurrent) -> str:
    return "gru_reset_before_step" if isinstance(op, Gru) and not op.reset_after else f"{op.kind}_step"


def _sums(node: Node, op: Recurrent, x: FixedType) -> tuple[list[Config], list[Constant]]:
    """The products with the input and with the state; those of a reset state are by themselves."""
    accum, recurrent_accum = op.sums()
    state, units, reused = op.state_types()[0], op.units, op.recurrent_reuse_factor
    found = [_products("input", "", node, op, (op.weight, op.bias), x, accum, op.reuse_factor)]
    parts = [("recurrent", slice(None))]
    if isinstance(op, Gru) and not op.reset_after:
        parts = [("recurrent", slice(0, 2 * units)), ("candidate", slice(2 * units, None))]
    for name, columns in parts:
        weight = Tensor(op.recurrent_weight.data[:, columns], op.recurrent_weight.type)
        bias = op.recurrent_bias and Tensor(op.recurrent_bias.data[columns], op.recurrent_bias.type)
        found.append(_products(name, f"{name}_", node, op, (weight, bias), state, recurrent_accum, reused))
    return [config for config, _ in found], [constant for _, constants in found for constant in constants]


def _products(name: str, prefix: str, node: Node, op: Recurrent, matrix: tuple[Tensor, Tensor | None], x: FixedType,
              accum: FixedType, reuse_factor: int) -> tuple[Config, tuple[Constant, Constant]]:  # fmt: skip
    """The configuration of the products of one matrix and its bias, as in backends/hls/dense.h, and its constants."""
    (inputs, outputs), strategy = matrix[0].shape, op.strategy
    weight = Constant(f"{prefix}weight_{node.name}", matrix[0])
    bias = bias_constant(f"{prefix}bias_{node.name}", matrix[1], outputs)
    integers = {"rows": 1, "inputs": inputs, "groups": 1, "outputs": outputs, "strategy": STRATEGIES.index(strategy),
                "signs": are_signs(matrix[0]), **reuse(strategy, inputs, outputs, reuse_factor)}
    config = Config(name, integers, sum_types(x, weight, bias, accum))
    if strategy == "distributed_arithmetic":
        config = with_adders(config, *matrix, x, accum)
    return config, (weight, bias)


def _functions(node: Node, op: Recurrent) -> tuple[list[Config], list[Constant]]:
    """The activations and their tables, in the order in which the kernels take them."""
    of = op.sum_type()
    found = [_function("act", "", node.name, op.act(), of)]
    if isinstance(op, Lstm | Gru):
        found.append(_function("gate", "gate_", node.name, op.gate(), of))
    if isinstance(op, Lstm):
        found.append(_function("act_cell", "cell_", node.name, op.act_cell(), op.state_types()[1]))
    return [config for config, _ in found], [constant for _, constants in found for constant in constants]


def _function(name: str, prefix: str, node: str, function: Op, x: FixedType) -> tuple[Config, tuple[Constant, ...]]:
    """An activation of values of the type x; one without a table has an empty one."""
    if isinstance(function, Lut):
        found = lookup(node, function, x, prefix)
        types = {**found.types, "value_t": spell(function.made().fixed().plain())}
        return Config(name, {"kind": TABLE, **found.integers}, types), found.constants
    none = Constant(f"{prefix}table_{node}", Tensor(np.zeros(1, np.int64), ZERO))
    offset = Constant(f"{prefix}offset_{node}", scalar(0), integer=True)
    kind = LINEAR if isinstance(function, Identity) else RELU
    types = {"table_t": none.spell(), "offset_t": offset.spell(), "value_t": spell(x.plain())}
    return Config(name, {"kind": kind, "entries": 1}, types), (none, offset)
