"""`concatenate`: wires."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kbuild.emit.verilog.casts import cast
from kbuild.emit.verilog.cells import Signal
from kbuild.emit.verilog.netlist import Netlist
from kbuild.emit.verilog.value import Signals, Value, each
from kbuild.fixed import FixedType
from kbuild.ops.concatenate import Concatenate


def lower(net: Netlist, op: Concatenate, inputs: Sequence[Value], result: FixedType) -> Signals:
    """Each element cast from its own type."""

    def to_result(a: Signal, fraction: int) -> Signal:
        return cast(net, a, fraction, result)

    parts = [each(to_result, x.signals, np.array(x.type.fraction, dtype=object)) for x in inputs]
    return np.concatenate(parts, axis=op.axis)
