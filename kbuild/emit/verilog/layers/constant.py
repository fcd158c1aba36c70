"""`constant`: numbers, no hardware."""

from __future__ import annotations

from collections.abc import Sequence

from kbuild.emit.verilog.cells import constant
from kbuild.emit.verilog.netlist import Netlist
from kbuild.emit.verilog.value import Signals, Value, each
from kbuild.fixed import FixedType, cast
from kbuild.ops.constant import Constant


def lower(net: Netlist, op: Constant, inputs: Sequence[Value], result: FixedType) -> Signals:
    """The values, cast."""
    return each(constant, cast(op.value.data, op.value.fixed().fraction, result))
