"""`lut`: a read-only memory an element, its entries already cast to the result."""

from __future__ import annotations

from collections.abc import Sequence

from kbuild.emit.verilog.memory import indexed
from kbuild.emit.verilog.netlist import Netlist
from kbuild.emit.verilog.value import Signals, Value, each
from kbuild.fixed import FixedType, cast
from kbuild.ops.lut import Lut


def lower(net: Netlist, op: Lut, inputs: Sequence[Value], result: FixedType) -> Signals:
    """Each element through the table."""
    table = op.made()
    entries = [int(v) for v in cast(table.data, table.fixed().fraction, result)]
    return each(lambda a: indexed(net, a, op.offset, op.shift, entries), inputs[0].signals)
