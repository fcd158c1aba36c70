"""`step`: comparisons with the thresholds, or a table where there are many and the input is narrow."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kbuild.emit.verilog.cells import Signal, constant
from kbuild.emit.verilog.memory import indexed
from kbuild.emit.verilog.netlist import Netlist
from kbuild.emit.verilog.value import Signals, Value, array
from kbuild.fixed import FixedType, cast
from kbuild.ops.step import Step

FEW = 4  # thresholds that are compared with rather than looked up
ENTRIES = 1024


def lower(net: Netlist, op: Step, inputs: Sequence[Value], result: FixedType) -> Signals:
    """Each element by itself; the values are cast to the result here."""
    x = inputs[0]
    typed = op.on(x.type)
    shape, count = x.signals.shape, typed.thresholds.shape[-1]
    cast_values = cast(typed.values.data, typed.values.fixed().fraction, result)
    values = np.broadcast_to(cast_values, (*shape, count + 1)).reshape(-1, count + 1)
    rows = np.broadcast_to(typed.thresholds.data, (*shape, count)).reshape(-1, count)
    shift = typed.thresholds.fixed().fraction - x.type.fraction
    made = []
    for signal, thresholds, own in zip(x.flat, rows, values, strict=True):
        bounds = [-((-int(t)) >> shift) for t in thresholds] if shift >= 0 else [int(t) << -shift for t in thresholds]
        made.append(_function(net, signal, bounds, [int(v) for v in own]))
    return array(made, shape)


def _function(net: Netlist, a: Signal, thresholds: list[int], values: list[int]) -> Signal:
    low, high = (sum(t <= end for t in thresholds) for end in (a.low, a.high))  # steps that every input has taken
    thresholds, values = thresholds[low:high], values[low : high + 1]
    if len(thresholds) > FEW and a.high - a.low < ENTRIES:
        places = np.searchsorted(np.array(thresholds), np.arange(a.low, a.high + 1), side="right")
        return indexed(net, a, a.low, 0, [values[p] for p in places])
    return _search(net, a, thresholds, values)


def _search(net: Netlist, a: Signal, thresholds: list[int], values: list[int]) -> Signal:
    """The middle threshold decides between the halves."""
    if not thresholds or len(set(values)) == 1:
        return constant(values[0])
    middle = len(thresholds) // 2
    below = _search(net, a, thresholds[:middle], values[: middle + 1])
    above = _search(net, a, thresholds[middle + 1 :], values[middle + 1 :])
    return net.select(net.less(a, constant(thresholds[middle])), below, above)
