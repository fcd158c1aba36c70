"""Tables in a netlist, indexed as `kbuild.ops.lookup` says."""

from __future__ import annotations

from collections.abc import Sequence

from kbuild.emit.verilog.cells import Signal, constant
from kbuild.emit.verilog.netlist import Netlist


def indexed(net: Netlist, a: Signal, offset: int, shift: int, entries: Sequence[int]) -> Signal:
    """`entries[(a - offset) >> shift]`, the index saturating at both ends."""
    return net.lookup(entries, index(net, a, offset, shift, len(entries)))


def index(net: Netlist, a: Signal, offset: int, shift: int, size: int) -> Signal:
    """`(a - offset) >> shift`, saturating into 0 .. size - 1."""
    last = size - 1
    found = net.floor(net.add(a, constant(-offset)), shift)
    if found.high <= 0 or found.low >= last:
        return constant(0 if found.high <= 0 else last)
    high = net.less(constant(last), found)
    low = net.sign(found)
    inside = net.bits(found, 0, max(found.low, 0), min(found.high, last))
    return net.select(high, constant(last), net.select(low, constant(0), inside))
