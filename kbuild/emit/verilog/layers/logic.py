"""`logic`: each step a few cells."""

from __future__ import annotations

from collections.abc import Sequence

from kbuild.emit.verilog.casts import cast, limit
from kbuild.emit.verilog.cells import Signal, constant
from kbuild.emit.verilog.memory import indexed
from kbuild.emit.verilog.netlist import Netlist
from kbuild.emit.verilog.value import Signals, Value, array
from kbuild.fixed import FixedType
from kbuild.ops.logic import Code, Logic, Step, input_type


def lower(net: Netlist, op: Logic, inputs: Sequence[Value], result: FixedType) -> Signals:
    """The program, then each element of the result, cast once."""
    elements = [(signal, x.type.fraction) for x in inputs for signal in x.flat]
    values: list[Signal] = []
    for step in op.steps:
        values.append(_value(net, op, step, values, elements))
    made = []
    for of in op.made:
        value = constant(0) if of.step < 0 else net.shift_left(values[of.step], op.fraction - of.fraction)
        made.append(cast(net, _negative(net, value) if of.negative else value, op.fraction, result))
    return array(made, op.shape)


def _value(
    net: Netlist, op: Logic, step: Step, values: Sequence[Signal], inputs: Sequence[tuple[Signal, int]]
) -> Signal:
    code, a, b, c, s, t, u = step
    if code is Code.INPUT:
        return cast(net, *inputs[a], input_type(step))
    if code is Code.CONSTANT:
        return constant(s)
    if code is Code.ADD:
        return net.add(values[a], values[b], s, t, bool(u))
    if code is Code.MULTIPLY:
        return net.multiply(values[a], values[b])
    if code is Code.SELECT:
        bit = net.bit(values[c], u)
        return net.select(bit, net.shift_left(values[a], s), net.shift_left(values[b], t))
    if code is Code.LOOKUP:
        return indexed(net, values[a], u, 0, op.entries(step))
    x = _negative(net, values[a]) if c else values[a]
    wrapped = limit(net, net.floor(x, s), FixedType(t, t, bool(u)))
    return net.select(net.less(constant(0), x), wrapped, constant(0)) if code is Code.RELU else wrapped


def _negative(net: Netlist, a: Signal) -> Signal:
    return net.add(constant(0), a, subtract=True)
