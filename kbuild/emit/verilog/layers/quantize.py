"""`quantize`: each element cast to its own type, in which it stays as narrow as that type."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kbuild.emit.verilog.casts import cast
from kbuild.emit.verilog.cells import Signal, constant
from kbuild.emit.verilog.netlist import Netlist
from kbuild.emit.verilog.value import Signals, Value, array
from kbuild.fixed import FixedType
from kbuild.ops.quantize import Quantize


def lower(net: Netlist, op: Quantize, inputs: Sequence[Value], result: FixedType) -> Signals:
    """A cast, and one more to the common type, which mostly only adds zeros."""
    x, shape = inputs[0], inputs[0].signals.shape
    signals = x.flat
    made: list[Signal] = list(signals)
    for of, places in op.places(shape):
        for place in np.arange(len(signals))[places].tolist():
            if of is None:
                made[place] = constant(0)
            else:
                made[place] = cast(net, cast(net, signals[place], x.type.fraction, of), of.fraction, result)
    return array(made, shape)
