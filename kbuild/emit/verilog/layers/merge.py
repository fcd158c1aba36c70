"""`merge`: element by element over several inputs."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

from kbuild.emit.verilog.casts import cast
from kbuild.emit.verilog.cells import Signal
from kbuild.emit.verilog.divide import divide
from kbuild.emit.verilog.linear import tree
from kbuild.emit.verilog.netlist import Netlist
from kbuild.emit.verilog.value import Signals, Value, each
from kbuild.fixed import FixedType
from kbuild.ops.merge import Merge


def lower(net: Netlist, op: Merge, inputs: Sequence[Value], result: FixedType) -> Signals:
    """The exact combination of each set of elements, divided for a mean, cast once."""
    types = [x.type for x in inputs]
    product = op.operation == "multiply"
    fraction = sum(t.fraction for t in types) if product else max(t.fraction for t in types)
    divisor = len(inputs) if op.operation == "average" else 1

    def element(*signals: Signal) -> Signal:
        if not product:
            signals = tuple(net.shift_left(s, fraction - t.fraction) for s, t in zip(signals, types, strict=True))
        value = _combined(net, op.operation, signals)
        if divisor & (divisor - 1) == 0:
            return cast(net, value, fraction + divisor.bit_length() - 1, result)
        return divide(net, value, divisor, fraction, result)

    return each(element, *(x.signals for x in inputs))


def _combined(net: Netlist, operation: str, signals: Sequence[Signal]) -> Signal:
    if operation == "subtract":
        return net.add(signals[0], signals[1], subtract=True)
    if operation == "multiply":
        return reduce(net.multiply, signals)
    if operation == "maximum":
        return reduce(net.larger, signals)
    if operation == "minimum":
        return reduce(net.smaller, signals)
    return tree(net, signals)

