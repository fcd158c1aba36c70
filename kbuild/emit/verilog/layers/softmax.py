"""`softmax`: tables for the exponential and the reciprocal, as `kbuild.ops.softmax` defines."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from kbuild.emit.verilog.casts import cast
from kbuild.emit.verilog.cells import Signal, constant
from kbuild.emit.verilog.linear import tree
from kbuild.emit.verilog.memory import indexed
from kbuild.emit.verilog.netlist import Netlist
from kbuild.emit.verilog.value import Signals, Value, array
from kbuild.fixed import FixedType
from kbuild.ops.softmax import Softmax


def lower(net: Netlist, op: Softmax, inputs: Sequence[Value], result: FixedType) -> Signals:
    """Every row in hardware of its own."""
    x = inputs[0].signals
    rows = [list(row) for row in x.reshape(-1, x.shape[-1])]
    function = partial(_argmax, net) if op.implementation == "argmax" else partial(_row, net, op)
    return array([y for row in rows for y in function(row, result)], x.shape)


def _argmax(net: Netlist, row: list[Signal], result: FixedType) -> list[Signal]:
    """One at the first largest: not less than any behind it, larger than all before it."""
    less = {(i, j): net.less(row[i], row[j]) for i in range(len(row)) for j in range(i + 1, len(row))}
    found = []
    for i in range(len(row)):
        larger = [less[j, i] for j in range(i)]
        hot = net.both(*larger, but_not=[less[i, j] for j in range(i + 1, len(row))])
        found.append(cast(net, hot, 0, result))
    return found


def _row(net: Netlist, op: Softmax, row: list[Signal], result: FixedType) -> list[Signal]:
    exp_table, inv_table = op.tables()
    exp = [int(v) for v in exp_table.data]
    if op.implementation == "legacy":
        return [_one(net, op, a, row, exp, result) for a in row]
    if op.implementation == "stable":
        most = _most(net, row)
        terms = [indexed(net, _positive(net, net.add(most, a, subtract=True)), 0, op.exp_shift, exp) for a in row]
    else:
        terms = [indexed(net, a, op.exp_offset, op.exp_shift, exp) for a in row]
    inverse, lifts = _reciprocal(net, op, tree(net, terms), len(row))
    fraction = exp_table.fixed().fraction + inv_table.fixed().fraction
    return [cast(net, _lifted(net, net.multiply(e, inverse), lifts), fraction, result) for e in terms]


def _one(
    net: Netlist, op: Softmax, a: Signal, row: list[Signal], exp: Sequence[int], result: FixedType
) -> Signal:
    """legacy: the reciprocal of a sum of its own for every element."""
    differences = [net.add(b, a, subtract=True) if b is not a else constant(0) for b in row]
    terms = [indexed(net, d, op.exp_offset, op.exp_shift, exp) for d in differences]
    inverse, lifts = _reciprocal(net, op, tree(net, terms), len(row))
    return cast(net, _lifted(net, inverse, lifts), op.tables()[1].fixed().fraction, result)


def _positive(net: Netlist, a: Signal) -> Signal:
    """`a`, which is never negative though its bounds do not say so."""
    return a if a.low >= 0 else net.bits(a, 0, 0, a.high)


def _most(net: Netlist, row: list[Signal]) -> Signal:
    """The largest, by a tree."""
    while len(row) > 1:
        pairs = [net.larger(a, b) for a, b in zip(row[::2], row[1::2], strict=False)]
        row = pairs + row[2 * len(pairs) :]
    return row[0]


def _reciprocal(net: Netlist, op: Softmax, total: Signal, length: int) -> tuple[Signal, list[tuple[int, Signal]]]:
    """The table's entry for the normalised sum, and the steps by which it was shifted up: places, and whether.

    Where the highest 2**k bits are zero the sum moves up by so many places, from the largest such step to one.
    """
    _, inv_table = op.tables()
    top = op.top(length)
    some = net.any(total, 0, total.width) if total.low >= 0 else net.less(constant(0), total)
    mantissa = net.select(some, total, constant(1), (max(total.low, 1), max(total.high, 1)))
    lifts: list[tuple[int, Signal]] = []
    for step in (1 << k for k in reversed(range(top.bit_length()))):
        up = net.either(or_not=[net.any(mantissa, top + 1 - step, top + 1)])
        moved = net.bits(net.shift_left(mantissa, step), 0, 0, (2 << top) - 1)
        mantissa = net.select(up, moved, mantissa, (1, (2 << top) - 1))
        lifts.append((step, up))
    mantissa = net.bits(mantissa, 0, 1 << top, (2 << top) - 1)
    return indexed(net, mantissa, 1 << top, op.inv_shift, [int(v) for v in inv_table.data]), lifts


def _lifted(net: Netlist, a: Signal, lifts: list[tuple[int, Signal]]) -> Signal:
    """`a` shifted up by the steps that were taken."""
    for step, up in reversed(lifts):
        a = net.select(up, net.shift_left(a, step), a)
    return a
