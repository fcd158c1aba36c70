"""What functions of several pieces are made of."""

from __future__ import annotations

import numpy as np

from kbuild.emit.adders import signed_digits
from kbuild.emit.verilog.cells import Signal
from kbuild.emit.verilog.linear import exact
from kbuild.emit.verilog.netlist import Netlist


def at_most(net: Netlist, a: Signal, high: int) -> Signal:
    """`a` where it is used only when it is at most `high`."""
    return net.bits(a, 0, a.low, high) if a.low <= high < a.high else a


def at_least(net: Netlist, a: Signal, low: int) -> Signal:
    """`a` where it is used only when it is at least `low`."""
    return net.bits(a, 0, low, a.high) if a.low < low <= a.high else a


def times(net: Netlist, a: Signal, factor: int) -> Signal:
    """`a` times a number, by adders."""
    matrix = np.array([[factor]], dtype=object)
    return exact(net, [a], matrix, np.zeros(1, dtype=object), signed_digits.solve(matrix).checked(matrix))[0]
