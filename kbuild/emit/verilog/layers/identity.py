"""`identity`: a cast."""

from __future__ import annotations

from collections.abc import Sequence

from kbuild.emit.verilog.casts import cast
from kbuild.emit.verilog.netlist import Netlist
from kbuild.emit.verilog.value import Signals, Value, each
from kbuild.fixed import FixedType
from kbuild.ops.identity import Identity


def lower(net: Netlist, op: Identity, inputs: Sequence[Value], result: FixedType) -> Signals:
    """Each element cast."""
    return each(lambda a: cast(net, a, inputs[0].type.fraction, result), inputs[0].signals)
