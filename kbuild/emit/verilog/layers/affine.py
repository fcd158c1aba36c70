"""`affine`: each element times a constant, plus a constant."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kbuild.emit.verilog.cells import Signal
from kbuild.emit.verilog.linear import contraction
from kbuild.emit.verilog.netlist import Netlist
from kbuild.emit.verilog.value import Signals, Value, each
from kbuild.fixed import FixedType, shift_left, wide
from kbuild.ops.affine import Affine


def lower(net: Netlist, op: Affine, inputs: Sequence[Value], result: FixedType) -> Signals:
    """A contraction of one term an element, summed in the exact type."""
    exact = op.infer_type([inputs[0].type])
    scale = shift_left(op.scale.data, exact.fraction - inputs[0].type.fraction - op.scale.fixed().fraction)
    bias = shift_left(op.bias.data, exact.fraction - op.bias.fixed().fraction)

    def element(x: Signal, factor: int, offset: int) -> Signal:
        weight, start = np.array([[factor]], dtype=object), np.array([offset], dtype=object)
        return contraction(net, [x], weight, start, 0, exact, result)[0]

    return each(element, inputs[0].signals, wide(scale), wide(bias))
