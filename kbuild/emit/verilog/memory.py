"""Tables in a netlist, indexed as `kbuild.ops.lookup` says."""

from __future__ import annotations

from collections.abc import Sequence

from kbuild.emit.verilog.cells import Signal, constant
from kbuild.emit.verilog.netlist import Netlist


def indexed(net: Netlist, a: Signal, offset: int, shift: int, entries: Sequence[int]) -> Signal:
    """`entries[(a - offset) >> shift]`, the index saturating at both ends."""
    last = len(entries) - 1
    index = net.floor(net.add(a, constant(-offset)), shift)
    if index.high <= 0 or index.low >= last:
        return constant(entries[0 if index.high <= 0 else last])
    high = net.less(constant(last), index)
    low = net.sign(index)
    inside = net.bits(index, 0, max(index.low, 0), min(index.high, last))
    index = net.select(high, constant(last), net.select(low, constant(0), inside))
    return net.lookup(entries, index)
