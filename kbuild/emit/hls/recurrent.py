"""Kernel calls of recurrent cells. Nodes that return different states of one computation share it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kbuild.dataclass import dataclass, replace
from kbuild.emit.hls.contractions import ZERO, are_signs, bias_constant, reuse, sum_types
from kbuild.emit.hls.design import (
    Array,
    Call,
    Config,
    Constant,
    Step,
    config_name,
    numbered,
    scalar,
    spell,
    value_name,
)
from kbuild.emit.hls.distributed import with_adders
from kbuild.emit.hls.lookup import lookup
from kbuild.fixed import FixedType
from kbuild.ir import Graph, Node, Op, Tensor
from kbuild.ops.gru import Gru
from kbuild.ops.identity import Identity
from kbuild.ops.lstm import Lstm
from kbuild.ops.lut import Lut
from kbuild.ops.multipliers import STRATEGIES
from kbuild.ops.rnn import Recurrent

TABLE, LINEAR, RELU = range(3)  # kinds of functions in backends/hls/recurrent.h
ONE = FixedType(1, 1, signed=False)


def recurrent(node: Node, op: Recurrent, inputs: Sequence[Node]) -> Step:
    """The computation of one node."""
    return _computation((node,), inputs)


def shared(graph: Graph) -> dict[str, Step]:
    """The steps, by name, of all nodes that are one computation with other nodes."""
    together: dict[tuple[Op, tuple[str, ...]], list[Node]] = {}
    for node in graph:
        if isinstance(node.op, Recurrent):
            computed = replace(node.op, output=0, return_sequences=False, flip=False)
            together.setdefault((computed, node.inputs), []).append(node)
    found: dict[str, Step] = {}
    for nodes in together.values():
        if len(nodes) > 1:
            found[nodes[0].name] = _computation(nodes, graph.inputs_of(nodes[0]))
            found |= {node.name: Step("recurrent.h", (_share(node, nodes),)) for node in nodes[1:]}
    return found


# ---- states: where they are kept, and what the nodes read of them


@dataclass(frozen=True)
class _Kept:
    """Where the kernel writes the state of a number: `kept` of its values, one after each step, or the last one."""

    array: Array
    kept: int
    flip: int
    own: bool  # written by the kernel to the node's own array


def _kept(number: int, nodes: Sequence[Node]) -> _Kept:
    """The state's array: that of the first node where no other node reads this state, else an intermediate one."""
    first = nodes[0]
    op = _op(first)
    wanted = [node for node in nodes if _op(node).output == number]
    if wanted == [first]:
        array = Array(value_name(first.name), "", first.fixed(), 0)
        return _Kept(array, first.shape[0] if op.return_sequences else 1, int(op.flip), own=True)
    lengths = [node.shape[0] for node in wanted if _op(node).return_sequences]
    kept = max(lengths, default=1)
    index = op.states + number
    array = Array(f"partial_{index}_{first.name}", f"partial_type_{index}_{first.name}",
                  op.state_types()[number].plain(), kept * op.units)  # fmt: skip
    return _Kept(array, kept, 0, own=False)


def _share(node: Node, nodes: Sequence[Node]) -> Call:
    """A node's value out of what the first of the nodes keeps."""
    op = _op(node)
    kept = _kept(op.output, nodes)
    integers = {"kept": kept.kept, "units": op.units, "flip": int(op.flip),
                "returned": node.shape[0] if op.return_sequences else 1}
    return Call("states", Config(config_name(node.name), integers, {}), (kept.array.name,), value_name(node.name))


def _op(node: Node) -> Recurrent:
    assert isinstance(node.op, Recurrent)
    return node.op


# ---- the computation


def _computation(nodes: Sequence[Node], inputs: Sequence[Node]) -> Step:
    """The step of the first of the nodes: initial states, the cell, and the node's own value."""
    node, op = nodes[0], _op(nodes[0])
    kept = [_kept(number, nodes) for number in range(op.states)]
    begun, starts, calls = _starts(node, op, inputs)
    integers = {"go_backwards": int(op.go_backwards)}
    for number, each in enumerate(kept):
        integers |= {f"kept{number}": each.kept, f"flip{number}": each.flip}
    config, constants = cell(node, op, inputs[0], integers)
    calls.append(Call(kernel(op), config, (value_name(inputs[0].name), *begun), kept[0].array.name,
                      tuple(constant.name for constant in constants), tuple(each.array.name for each in kept[1:])))
    if not kept[op.output].own:
        calls.append(_share(node, nodes))
    temporaries = (*starts, *(each.array for each in kept if not each.own))
    return Step(f"{op.kind}.h", numbered(calls), tuple(constants), temporaries)


def cell(node: Node, op: Recurrent, x: Node, integers: dict[str, int]) -> tuple[Config, list[Constant]]:
    """Its configuration, with further integers, and its constants in the order in which kernels take them."""
    sums, constants = _sums(node, op, x.fixed())
    functions, tables = _functions(node, op)
    steps, features = x.shape
    integers = {"steps": steps, "features": features, "units": op.units, **integers}
    types = {f"state{number}_t": spell(of) for number, of in enumerate(op.state_types())}
    types |= {"sum_t": spell(op.sum_type()), "one_t": spell(ONE)}
    return Config(config_name(node.name), integers, types, (*sums, *functions)), constants + tables


def kernel(op: Recurrent) -> str:
    """The name of the cell's kernel for arrays."""
    return "gru_reset_before" if isinstance(op, Gru) and not op.reset_after else op.kind


def _starts(node: Node, op: Recurrent, inputs: Sequence[Node]) -> tuple[list[str], list[Array], list[Call]]:
    """Names of the initial states, those that are zeros as intermediate arrays, and the calls that make them."""
    if len(inputs) > 1:
        return [value_name(given.name) for given in inputs[1:]], [], []
    zeros = [Array(f"partial_{number}_{node.name}", f"partial_type_{number}_{node.name}", of.plain(), op.units)
             for number, of in enumerate(op.state_types())]  # fmt: skip
    calls = [Call("zero", Config(config_name(node.name), {"elements": op.units}, {}), (), each.name) for each in zeros]
    return [each.name for each in zeros], zeros, calls


def _sums(node: Node, op: Recurrent, x: FixedType) -> tuple[list[Config], list[Constant]]:
    """The products with the input and with the state; those of a reset state are by themselves."""
    accum, recurrent_accum = op.sums()
    state, units, reused = op.state_types()[0], op.units, op.recurrent_reuse_factor
    found = [_products("input", "", node, (op.weight, op.bias), x, accum, op.reuse_factor)]
    parts = [("recurrent", slice(None))]
    if isinstance(op, Gru) and not op.reset_after:
        parts = [("recurrent", slice(0, 2 * units)), ("candidate", slice(2 * units, None))]
    for name, columns in parts:
        weight = Tensor(op.recurrent_weight.data[:, columns], op.recurrent_weight.type)
        bias = op.recurrent_bias and Tensor(op.recurrent_bias.data[columns], op.recurrent_bias.type)
        found.append(_products(name, f"{name}_", node, (weight, bias), state, recurrent_accum, reused))
    return [config for config, _ in found], [constant for _, constants in found for constant in constants]


def _products(name: str, prefix: str, node: Node, matrix: tuple[Tensor, Tensor | None], x: FixedType,
              accum: FixedType, reuse_factor: int) -> tuple[Config, tuple[Constant, Constant]]:  # fmt: skip
    """The configuration of the products of one matrix and its bias, as in backends/hls/dense.h, and its constants."""
    (inputs, outputs), strategy = matrix[0].shape, _op(node).strategy
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
