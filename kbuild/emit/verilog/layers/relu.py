"""`relu`: the piecewise-linear family, by selecting between the pieces."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kbuild.emit.verilog.casts import cast
from kbuild.emit.verilog.cells import Signal, constant
from kbuild.emit.verilog.netlist import Netlist
from kbuild.emit.verilog.pieces import at_least, at_most, times
from kbuild.emit.verilog.value import Signals, Value, each
from kbuild.fixed import FixedType, wide
from kbuild.ir import Tensor
from kbuild.ops.relu import Relu


def lower(net: Netlist, op: Relu, inputs: Sequence[Value], result: FixedType) -> Signals:
    """Each element through its pieces, cast once."""
    x = inputs[0].type
    slope = op.slope.data if op.slope is not None else np.zeros((), np.int64)
    fraction = op.infer_type([x]).fraction

    def element(a: Signal, factor: int) -> Signal:
        return cast(net, _exact(net, op, a, factor, x.fraction, fraction), fraction, result)

    return each(element, inputs[0].signals, wide(slope))


def _exact(net: Netlist, op: Relu, a: Signal, slope: int, x_fraction: int, fraction: int) -> Signal:
    """The function of `a`, as an integer with `fraction` fraction bits."""
    value = net.shift_left(a, fraction - x_fraction)
    if op.max_value is not None:
        top = constant(_integer(op.max_value, fraction))
        value = net.select(net.less(top, value), top, at_most(net, value, top.low))
    shifted, at = a, x_fraction
    if op.threshold is not None:
        at = max(x_fraction, op.threshold.fixed().fraction)
        shifted = net.add(net.shift_left(a, at - x_fraction), constant(-_integer(op.threshold, at)))
    # at a threshold of zero both pieces are zero, so that the sign is enough
    both_zero = op.threshold is None and (op.max_value is None or int(op.max_value.data) >= 0)
    beneath = constant(0)
    if op.slope is not None:
        factor = slope << (fraction - at - op.slope.fixed().fraction)
        beneath = times(net, at_most(net, shifted, -1 if both_zero else 0), factor)
    if not both_zero:
        return net.select(net.less(constant(0), shifted), value, beneath)
    below = net.sign(shifted)
    if op.threshold is None and op.max_value is None:
        value = at_least(net, value, 0)
    return net.select(below, beneath, value)


def _integer(number: Tensor, fraction: int) -> int:
    """A scalar constant as an integer with `fraction` fraction bits."""
    return int(number.data) << (fraction - number.fixed().fraction)
