"""`softmax`: tables for the exponential and the reciprocal, as `kbuild.ops.softmax` defines."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kbuild.emit.verilog.casts import cast
from kbuild.emit.verilog.cells import Signal, constant
from kbuild.emit.verilog.linear import tree
from kbuild.emit.verilog.memory import index, indexed
from kbuild.emit.verilog.netlist import Netlist
from kbuild.emit.verilog.value import Signals, Value
from kbuild.fixed import FixedType
from kbuild.ops.softmax import Softmax


def lower(net: Netlist, op: Softmax, inputs: Sequence[Value], result: FixedType) -> Signals:
    """Every row in hardware of its own, for the inputs that the mask leaves; zeros are the results of the others."""
    x = inputs[0].signals
    allowed = np.ones(x.shape, bool) if op.mask is None else np.broadcast_to(op.mask.data != 0, x.shape)
    found = np.full(x.shape, constant(0), dtype=object)
    for place in np.ndindex(x.shape[:-1]):
        row = list(x[place][allowed[place]])
        argmax = op.implementation == "argmax"
        found[place][allowed[place]] = _argmax(net, row, result) if argmax else _row(net, op, row, result, x.shape[-1])
    return found


def _argmax(net: Netlist, row: list[Signal], result: FixedType) -> list[Signal]:
    """One at the first largest: not less than any behind it, larger than all before it."""
    less = {(i, j): net.less(row[i], row[j]) for i in range(len(row)) for j in range(i + 1, len(row))}
    found = []
    for i in range(len(row)):
        larger = [less[j, i] for j in range(i)]
        hot = net.both(*larger, but_not=[less[i, j] for j in range(i + 1, len(row))])
        found.append(cast(net, hot, 0, result))
    return found


def _row(net: Netlist, op: Softmax, row: list[Signal], result: FixedType, length: int) -> list[Signal]:
    """length: of a row with all its inputs, for which the tables are made."""
    exp = [int(v) for v in op.exponential().data]
    if op.implementation == "legacy":
        return [_one(net, op, a, row, exp, result, length) for a in row]
    fraction = op.exponential().fixed().fraction
    if op.implementation == "stable":
        return _stable(net, op, row, result, length)
    terms = [indexed(net, a, op.exp_offset, op.exp_shift, exp) for a in row]
    inverse, lifts = _reciprocal(net, op, tree(net, terms), length)
    fraction += op.tables()[1].fixed().fraction
    return [cast(net, _lifted(net, net.multiply(e, inverse), lifts), fraction, result) for e in terms]


def _stable(net: Netlist, op: Softmax, row: list[Signal], result: FixedType, length: int) -> list[Signal]:
    most = _most(net, row)
    differences = [_positive(net, net.add(most, a, subtract=True)) for a in row]
    terms = [_exponential(net, op, d) for d in differences]
    inverse, lifts = _reciprocal(net, op, tree(net, terms), length)
    exp, of = op.exponential(), op.inverse or op.tables()[1].fixed()
    highest, fraction = constant(int(exp.data[0])), exp.fixed().fraction
    if op.numerator is not None:
        terms = [cast(net, e, fraction, op.numerator) for e in terms]
        highest, fraction = cast(net, highest, fraction, op.numerator), op.numerator.fraction

    def scaled(e: Signal) -> Signal:
        return cast(net, _lifted(net, net.multiply(e, inverse), lifts), fraction + of.fraction, result)

    results = [scaled(e) for e in terms]
    return _separate(net, differences, results, scaled(highest)) if op.distinct else results


def _separate(net: Netlist, differences: list[Signal], results: list[Signal], highest: Signal) -> list[Signal]:
    """One LSB less than the highest where an input below the largest would have as much."""
    some = net.less(constant(0), highest)
    most = net.select(some, net.add(highest, constant(1), subtract=True), highest, (min(highest.low, 0), highest.high))
    found = []
    for difference, own in zip(differences, results, strict=True):
        above = net.both(net.any(difference, 0, difference.width), net.less(most, own))
        found.append(net.select(above, most, own))
    return found


def _exponential(net: Netlist, op: Softmax, difference: Signal) -> Signal:
    """The entry of the difference; of a refined softmax that of its high bits, less a share by its low bits."""
    exp = [int(v) for v in op.exponential().data]
    if op.exp_low is None:
        return indexed(net, difference, 0, op.exp_shift, exp)
    bits, low = op.low_bits, [int(v) for v in op.exp_low.data]
    at = index(net, difference, 0, op.exp_shift, len(exp) << bits)
    high = net.lookup(exp, net.floor(at, bits))
    share = net.multiply(high, net.lookup(low, net.bits(at, 0, 0, len(low) - 1)))
    share = net.floor(share, op.exp_low.fixed().fraction)
    return net.add(high, share, subtract=True, bounds=(0, high.high))


def _one(
    net: Netlist, op: Softmax, a: Signal, row: list[Signal], exp: Sequence[int], result: FixedType, length: int
) -> Signal:
    """legacy: the reciprocal of a sum of its own for every element."""
    differences = [net.add(b, a, subtract=True) if b is not a else constant(0) for b in row]
    terms = [indexed(net, d, op.exp_offset, op.exp_shift, exp) for d in differences]
    inverse, lifts = _reciprocal(net, op, tree(net, terms), length)
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
    """The reciprocal of the normalised sum, and the steps by which that was shifted up: places, and whether.

    Where the highest 2**k bits are zero the sum moves up by so many places, from the largest such step to one.
    """
    _, inv_table = op.tables()
    top, least = op.top(length), 1 << op.least()
    mantissa = net.bits(total, 0, least, max(total.high, least))
    if least == 1:
        some = net.any(total, 0, total.width) if total.low >= 0 else net.less(constant(0), total)
        mantissa = net.select(some, total, constant(1), (max(total.low, 1), max(total.high, 1)))
    lifts: list[tuple[int, Signal]] = []
    for step in (1 << k for k in reversed(range((top - op.least()).bit_length()))):
        up = net.either(or_not=[net.any(mantissa, top + 1 - step, top + 1)])
        moved = net.bits(net.shift_left(mantissa, step), 0, 0, (2 << top) - 1)
        mantissa = net.select(up, moved, mantissa, (1, (2 << top) - 1))
        lifts.append((step, up))
    mantissa = net.bits(mantissa, 0, 1 << top, (2 << top) - 1)
    entries = [int(v) for v in inv_table.data]
    if op.exp_low is None:
        return indexed(net, mantissa, 1 << top, op.inv_shift, entries), lifts
    _, slope, _, of = op.refinement()
    at = index(net, mantissa, 1 << top, op.inv_shift, len(entries))
    width = min(op.inv_shift, top) - op.inv_drop
    rest = net.bits(mantissa, op.inv_drop, 0, (1 << max(width, 0)) - 1)
    fall = net.multiply(net.lookup([int(v) for v in slope.data], at), rest)
    fall = net.floor(fall, slope.fixed().fraction - inv_table.fixed().fraction)
    line = net.add(net.lookup(entries, at), fall, subtract=True)
    return cast(net, line, inv_table.fixed().fraction, of), lifts


def _lifted(net: Netlist, a: Signal, lifts: list[tuple[int, Signal]]) -> Signal:
    """`a` shifted up by the steps that were taken."""
    for step, up in reversed(lifts):
        a = net.select(up, net.shift_left(a, step), a)
    return a
