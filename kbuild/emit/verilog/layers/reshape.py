"""`reshape`: the same elements under another shape: wires."""

from __future__ import annotations

from collections.abc import Sequence

from kbuild.emit.verilog.casts import cast
from kbuild.emit.verilog.netlist import Netlist
from kbuild.emit.verilog.value import Signals, Value, each
from kbuild.fixed import FixedType
from kbuild.ops.reshape import Reshape


def lower(net: Netlist, op: Reshape, inputs: Sequence[Value], result: FixedType) -> Signals:
    """Each element cast."""
    x = inputs[0].signals.reshape(op.shape)
    return each(lambda a: cast(net, a, inputs[0].type.fraction, result), x)
