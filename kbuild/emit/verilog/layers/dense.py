"""`dense`: a contraction of each row with the same constant matrix."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kbuild.emit.verilog.linear import contraction
from kbuild.emit.verilog.netlist import Netlist
from kbuild.emit.verilog.value import Signals, Value, array
from kbuild.fixed import FixedType, quantize
from kbuild.ops.dense import Dense


def lower(net: Netlist, op: Dense, inputs: Sequence[Value], result: FixedType) -> Signals:
    """Every row in hardware of its own."""
    x = inputs[0]
    accum = op.infer_type([x.type])
    start = np.zeros(op.weight.shape[1], np.int64)
    if op.bias is not None:
        start = quantize(op.bias.data, op.bias.fixed().fraction - accum.fraction, accum.quantization)
    shift = x.type.fraction + op.weight.fixed().fraction - accum.fraction
    rows = x.signals.reshape(-1, op.weight.shape[0])
    sums = [y for row in rows for y in contraction(net, list(row), op.weight.data, start, shift, accum, result)]
    return array(sums, (*x.signals.shape[:-1], op.weight.shape[1]))
