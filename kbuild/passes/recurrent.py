"""Types and tables of recurrent layers, from the ranges that their states and sums really have."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from kbuild.dataclass import replace
from kbuild.fixed import FixedType, Overflow
from kbuild.ir import Graph, Interval, Op, Tensor
from kbuild.ops.gru import Gru
from kbuild.ops.lstm import Lstm
from kbuild.ops.lut import Lut
from kbuild.ops.rnn import Address, Recurrent, SimpleRnn, exact_sum
from kbuild.passes.ranges import MARGIN, range_type
from kbuild.passes.tables import PROBES, Span, lut_table

if TYPE_CHECKING:
    from kbuild.passes.resolve_precision import Resolver

TABLE_SIZE = 4096  # entries when the user names no TableSize: an error in a state stays for all further steps


def with_states(graph: Graph) -> Graph:
    """The graph with further nodes that show every state of each recurrent layer after each step: `state_name`."""
    nodes = []
    for node in graph:
        nodes.append(node)
        if isinstance(node.op, Recurrent):
            for number in range(node.op.states):
                op = replace(node.op, output=number, return_sequences=True)
                shape = (graph[node.inputs[0]].shape[0], op.units)
                nodes.append(replace(node, name=state_name(node.name, number), op=op, shape=shape))
    return graph.with_nodes(nodes)


def state_name(node: str, number: int) -> str:
    """Name of the further node that shows the state of that number; no node of a model is called so."""
    return f"{node}.{number}"


def resolved(op: Op, resolver: Resolver) -> tuple[Op, FixedType]:
    """The op with its types, integer weights and tables, and the type of its value."""
    assert isinstance(op, Recurrent)
    reach = op.reach(resolver.intervals)
    given = resolver.given("state")
    states = [
        given or state_type(_span(sound), _seen(resolver, number), resolver.width)
        for number, sound in enumerate(reach.states)
    ]
    typed = _with_sums(op, resolver, states)
    at, span = typed.sum_type(), _span(reach.sums)
    if isinstance(typed, SimpleRnn):
        span = _within(typed.act(), span, at, states[0])

    def table(function: str, params: tuple[float, ...], of: FixedType, span: Span) -> tuple[Tensor | None, Address]:
        if function in ("linear", "relu"):
            return None, (0, 0)
        low, high = (float(end) for end in of.range)
        inside = max(span[0], low), min(span[1], high)
        size = resolver.table_size or TABLE_SIZE
        made = lut_table(Lut(function, params), of, inside, size, resolver.given("table"), lines=False)
        return made.table, (made.offset, made.shift)

    made, address = table(typed.activation, typed.activation_params, at, span)
    typed = replace(typed, table=made, table_address=address)
    if isinstance(typed, Lstm | Gru):
        made, address = table(typed.recurrent_activation, typed.recurrent_params, at, span)
        typed = replace(typed, recurrent_table=made, recurrent_address=address)
    if isinstance(typed, Lstm):
        made, address = table(typed.activation, typed.activation_params, states[1], _span(reach.states[1]))
        typed = replace(typed, cell_table=made, cell_address=address)
    return typed, resolver.result(typed)


def _within(activation: Op, span: Span, of: FixedType, state: FixedType) -> Span:
    """The part of `span` in which the activation is within the state's range.

    What is beyond saturates in the state anyway, or in the index of the table: entries are better spent inside.
    """
    low, high = max(span[0], float(of.range[0])), min(span[1], float(of.range[1]))
    points = np.linspace(low, high, PROBES)
    values = activation.eval_float([points])
    least, largest = (float(end) for end in state.range)
    inside = np.flatnonzero((values >= least) & (values <= largest))
    if state.overflow is not Overflow.SAT or not inside.size:
        return low, high
    return float(points[max(inside[0] - 1, 0)]), float(points[min(inside[-1] + 1, PROBES - 1)])


def _seen(resolver: Resolver, number: int) -> Span:
    """The range seen of a state, the initial one included."""
    name, starts = state_name(resolver.node.name, number), resolver.node.inputs[1:]
    low, high = zip(*(resolver.ranges()[each] for each in (name, *starts[number : number + 1])), strict=True)
    return min(low), max(high)


def _with_sums(op: Recurrent, resolver: Resolver, states: list[FixedType]) -> Recurrent:
    """The op with integer weights, and with accumulators that hold every sum exactly unless the user gave others."""
    bias = None if op.bias is None else resolver.constant(op.bias, "bias")
    further = None if op.recurrent_bias is None else resolver.constant(op.recurrent_bias, "recurrent_bias")
    weight = resolver.constant(op.weight, "weight")
    recurrent = resolver.constant(op.recurrent_weight, "recurrent_weight")
    typed = replace(
        op,
        weight=weight,
        recurrent_weight=recurrent,
        bias=bias,
        recurrent_bias=further,
        state=states[0],
        accum=resolver.given("accum") or exact_sum(resolver.types[0], weight, bias),
        recurrent_accum=resolver.given("recurrent_accum") or exact_sum(states[0], recurrent, further),
    )
    return replace(typed, cell=states[1]) if isinstance(typed, Lstm) else typed


def state_type(sound: Span, seen: Span, width: int) -> FixedType:
    """`width` bits over what was seen, with a margin, or over all that can be, if that is less. It saturates.

    A bound that is never quite reached, such as the 1 of tanh, costs no integer bit: it saturates one LSB below.
    """
    low, high = max(sound[0], min(seen[0] * MARGIN, 0.0)), min(sound[1], max(seen[1] * MARGIN, 0.0))
    short = 1 - 2.0**-width
    return range_type(low * short, high * short, width)


def _span(interval: Interval) -> Span:
    return float(interval.low.min(initial=0.0)), float(interval.high.max(initial=0.0))
