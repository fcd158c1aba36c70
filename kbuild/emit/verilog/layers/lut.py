"""`lut`: a read-only memory an element, its entries already cast to the result; and the line beyond them."""

from __future__ import annotations

from collections.abc import Sequence

from kbuild.emit.verilog.casts import cast as cast_signal
from kbuild.emit.verilog.cells import Signal, constant
from kbuild.emit.verilog.memory import indexed
from kbuild.emit.verilog.netlist import Netlist
from kbuild.emit.verilog.pieces import at_least, at_most, times
from kbuild.emit.verilog.value import Signals, Value, each
from kbuild.fixed import FixedType, cast
from kbuild.ops.lut import Lut


def lower(net: Netlist, op: Lut, inputs: Sequence[Value], result: FixedType) -> Signals:
    """Each element through the table."""
    table = op.made()
    entries = [int(v) for v in cast(table.data, table.fixed().fraction, result)]
    if op.line is None:
        return each(lambda a: indexed(net, a, op.offset, op.shift, entries), inputs[0].signals)
    slope, fraction = int(op.line.data), inputs[0].type.fraction + op.line.fixed().fraction

    def element(a: Signal) -> Signal:
        line = cast_signal(net, times(net, at_least(net, a, op.end), slope), fraction, result)
        inside = indexed(net, at_most(net, a, op.end - 1), op.offset, op.shift, entries)
        return net.select(net.less(a, constant(op.end)), inside, line)

    return each(element, inputs[0].signals)
