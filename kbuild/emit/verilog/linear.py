"""Sums of products with constants: adder graphs in a netlist, exact, rounded term by term, or saturating."""

from __future__ import annotations

import heapq
from collections.abc import Sequence

import numpy as np

from kbuild.emit.adders import constant_multiply
from kbuild.emit.adders.adder_graph import AdderGraph
from kbuild.emit.verilog.casts import cast, limit, quantize, rounded
from kbuild.emit.verilog.cells import Signal, constant
from kbuild.emit.verilog.netlist import Netlist
from kbuild.fixed import FixedType, IntArray, Overflow, Quantization, bits_of, compact, wide

# The amount that a rounding adds before it truncates, as 2**(shift - 1) minus this, where that does not depend on the
# value: it can be part of the constant of a sum.
_HALF_MINUS = {Quantization.RND: 0, Quantization.RND_MIN_INF: 1}
# These do not look at the sign: the low bits of a value are enough for the low bits of the result.
_MODULAR = (Quantization.TRN, Quantization.RND, Quantization.RND_MIN_INF, Quantization.RND_CONV)


def multiply(net: Netlist, x: Sequence[Signal], graph: AdderGraph, modulo: int = 0) -> list[Signal]:
    """The outputs of an adder graph; those that are negative there are so here. See `Netlist.add` for `modulo`."""
    if any(output.shift < 0 for output in graph.outputs):
        modulo = 0
    low = np.array([s.low for s in x], dtype=object)
    high = np.array([s.high for s in x], dtype=object)
    rows = graph.rows()
    values = list(x)
    for step, row in zip(graph.steps, rows[len(x) :], strict=True):
        positive, negative = np.maximum(row, 0), np.minimum(row, 0)
        bounds = int(positive @ low + negative @ high), int(positive @ high + negative @ low)
        values.append(
            net.add(values[step.a], values[step.b], step.a_shift, step.b_shift, step.subtract, modulo, bounds)
        )
    return [constant(0) if o.value is None else net.floor(values[o.value], -o.shift) for o in graph.outputs]


def exact(
    net: Netlist, x: Sequence[Signal], matrix: IntArray, offset: IntArray, graph: AdderGraph, modulo: int = 0
) -> list[Signal]:
    """`x @ matrix + offset`, or its low `modulo` bits where it needs more."""
    products = multiply(net, x, graph, modulo)
    found = []
    for n, (product, output) in enumerate(zip(products, graph.outputs, strict=True)):
        column, at = matrix[:, n], int(offset[n])
        low = at + sum(int(w) * (s.low if w > 0 else s.high) for w, s in zip(column, x, strict=True))
        high = at + sum(int(w) * (s.high if w > 0 else s.low) for w, s in zip(column, x, strict=True))
        if output.negative:
            total = net.add(constant(at), product, subtract=True, modulo=modulo, bounds=(low, high))
        else:
            total = net.add(product, constant(at), modulo=modulo, bounds=(low, high))
        found.append(total)
    return found


def tree(net: Netlist, terms: Sequence[Signal], modulo: int = 0) -> Signal:
    """The sum of the terms, the earliest first; the low `modulo` bits of it where it needs more."""
    queue = [((t.cycle, t.time), i, t) for i, t in enumerate(terms) if not (t.constant and t.low == 0)]
    heapq.heapify(queue)
    if not queue:
        return constant(0)
    order = len(terms)
    while len(queue) > 1:
        total = net.add(heapq.heappop(queue)[2], heapq.heappop(queue)[2], modulo=modulo)
        order += 1
        heapq.heappush(queue, ((total.cycle, total.time), order, total))
    return queue[0][2]


def contraction(
    net: Netlist, x: Sequence[Signal], weight: IntArray, start: IntArray, shift: int, accum: FixedType,
    result: FixedType,
) -> list[Signal]:
    """`x @ weight` accumulated as `kbuild.ops.accumulate` defines, and cast to the result.

    Each product loses `shift` bits by the accumulator's quantization; start: the bias at the accumulator's LSB.
    """
    if shift <= 0:
        weight, shift = wide(weight) * (1 << -shift), 0
    saturating = accum.overflow is not Overflow.WRAP
    if saturating and _may_overflow(x, weight, start, shift, accum):
        sums = _saturating(net, x, weight, start, shift, accum)
    elif shift > 0:
        sums = _rounding(net, x, weight, start, shift, accum)
    else:
        return _exactly(net, x, weight, start, accum, result)
    return [cast(net, s, accum.fraction, result) for s in sums]


def _exactly(
    net: Netlist, x: Sequence[Signal], weight: IntArray, start: IntArray, accum: FixedType, result: FixedType
) -> list[Signal]:
    x, weight = _without_zeros(net, x, weight)
    graph = constant_multiply.solve(weight, [(s.low, s.high) for s in x])
    low, high = _bounds(x, weight, start, 0, accum.quantization)
    fits = min(low) >= accum.min and max(high) <= accum.max
    drop = accum.fraction - result.fraction
    needed = 0 if fits else accum.width  # low bits that decide the result
    if result.overflow is Overflow.WRAP and result.quantization in _MODULAR and drop >= 0:
        needed = min(needed or drop + result.width, drop + result.width)
    half = _HALF_MINUS.get(result.quantization)
    if fits and drop > 0 and half is not None and any(start):
        # The rounding joins the bias: one addition for both.
        offset = wide(start) + (1 << (drop - 1)) - half
        sums = exact(net, x, weight, offset, graph, needed)
        result = result.with_modes(Quantization.TRN, result.overflow)
    else:
        sums = exact(net, x, weight, wide(start), graph, needed)
    if not fits:
        sums = [limit(net, s, accum) for s in sums]
    return [cast(net, s, accum.fraction, result) for s in sums]


def _without_zeros(net: Netlist, x: Sequence[Signal], weight: IntArray) -> tuple[list[Signal], IntArray]:
    """The inputs without low bits that are always zero, which their weights have instead: adders are narrower for it.

    Values whose types differ end at different bits of the type that they have in common.
    """
    room = constant_multiply.DA4ML_BITS
    zeros = [s.zeros if bits_of(row) + s.zeros <= room else 0 for s, row in zip(x, weight, strict=True)]
    factors = np.array([1 << z for z in zeros], dtype=object)
    return [net.floor(s, z) for s, z in zip(x, zeros, strict=True)], compact(wide(weight) * factors[:, np.newaxis])


def _bounds(
    x: Sequence[Signal], weight: IntArray, start: IntArray, shift: int, mode: Quantization
) -> tuple[list[int], list[int]]:
    """Least and largest of all the partial sums, bias first, of each column."""
    lows, highs = [], []
    for n in range(weight.shape[1]):
        low = high = least = most = int(start[n])
        for signal, w in zip(x, weight[:, n], strict=True):
            ends = rounded(signal.low * int(w), shift, mode), rounded(signal.high * int(w), shift, mode)
            low, high = low + min(ends), high + max(ends)
            least, most = min(least, low), max(most, high)
        lows.append(least)
        highs.append(most)
    return lows, highs


def _may_overflow(x: Sequence[Signal], weight: IntArray, start: IntArray, shift: int, accum: FixedType) -> bool:
    low, high = _bounds(x, weight, start, shift, accum.quantization)
    floor = -accum.max if accum.overflow is Overflow.SAT_SYM and accum.signed else accum.min
    return min(low) < floor or max(high) > accum.max


def _products(net: Netlist, x: Signal, row: IntArray, shift: int, mode: Quantization) -> list[Signal]:
    """One input times each weight of its row, sharing what the constants have in common, each rounded."""
    graph = constant_multiply.solve(row[np.newaxis], [(x.low, x.high)])
    found = []
    for product, output, w in zip(multiply(net, [x], graph), graph.outputs, row, strict=True):
        ends = x.low * int(w), x.high * int(w)
        exact = product
        if output.negative:
            exact = net.add(constant(0), product, subtract=True, bounds=(min(ends), max(ends)))
        found.append(quantize(net, exact, shift, mode))
    return found


def _rounding(
    net: Netlist, x: Sequence[Signal], weight: IntArray, start: IntArray, shift: int, accum: FixedType
) -> list[Signal]:
    rows = [_products(net, s, row, shift, accum.quantization) for s, row in zip(x, weight, strict=True)]
    modulo = accum.width if accum.overflow is Overflow.WRAP else 0
    columns = zip(start, zip(*rows, strict=True), strict=True)
    sums = [tree(net, [constant(int(at)), *column], modulo) for at, column in columns]
    return [limit(net, s, accum) for s in sums]


def _saturating(
    net: Netlist, x: Sequence[Signal], weight: IntArray, start: IntArray, shift: int, accum: FixedType
) -> list[Signal]:
    rows = [_products(net, s, row, shift, accum.quantization) for s, row in zip(x, weight, strict=True)]
    found = []
    for at, column in zip(start, zip(*rows, strict=True), strict=True):
        total = limit(net, constant(int(at)), accum)
        for product in column:
            total = limit(net, net.add(total, product), accum)
        found.append(total)
    return found
