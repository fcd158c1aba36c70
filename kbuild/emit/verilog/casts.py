"""Casts between fixed-point types in a netlist: every quantization and overflow mode, exactly as `kbuild.fixed`."""

from __future__ import annotations

import numpy as np

from kbuild import fixed
from kbuild.emit.verilog.cells import Signal, constant
from kbuild.emit.verilog.netlist import Netlist
from kbuild.fixed import FixedType, Overflow, Quantization


def cast(net: Netlist, a: Signal, fraction: int, to: FixedType) -> Signal:
    """The integer of the type `to` for the value `a * 2**-fraction`."""
    return limit(net, quantize(net, a, fraction - to.fraction, to.quantization), to)


def quantize(net: Netlist, a: Signal, shift: int, mode: Quantization) -> Signal:
    """`a / 2**shift` rounded to an integer: the floor, and one more where the mode rounds up."""
    floor = net.floor(a, shift)
    low, high = rounded(a.low, shift, mode), rounded(a.high, shift, mode)
    if low == high:
        return constant(low)
    if shift <= 0 or mode is Quantization.TRN:
        return floor
    up = _rounds_up(net, a, floor, shift, mode)
    total = net.add(floor, up)
    return net.bits(total, 0, low, high)


def _rounds_up(net: Netlist, a: Signal, floor: Signal, shift: int, mode: Quantization) -> Signal:
    sign = net.sign(a)
    if mode is Quantization.TRN_ZERO:
        return net.both(sign, net.any(a, 0, shift))
    half, rest = net.bit(a, shift - 1), net.any(a, 0, shift - 1)
    if mode is Quantization.RND:
        return half
    if mode is Quantization.RND_MIN_INF:
        return net.both(half, rest)
    if mode is Quantization.RND_ZERO:
        return net.both(half, net.either(sign, rest))
    if mode is Quantization.RND_INF:
        return net.both(half, net.either(rest, or_not=[sign]))
    return net.both(half, net.either(net.bit(floor, 0), rest))  # RND_CONV


def rounded(value: int, shift: int, mode: Quantization) -> int:
    """`kbuild.fixed.quantize` of one integer."""
    return int(fixed.quantize(np.array([value], dtype=object), shift, mode)[0])


def limit(net: Netlist, a: Signal, to: FixedType) -> Signal:
    """Bring an integer at the LSB of `to` into its range by its overflow mode."""
    low, high = to.min, to.max
    if to.overflow is Overflow.SAT_SYM and to.signed:
        low = -high
    if low <= a.low and a.high <= high:
        return a
    if a.constant:
        return constant(int(fixed.limit(np.array([a.low], dtype=object), to)[0]))
    if to.overflow is Overflow.WRAP:
        return net.bits(a, 0, to.min, to.max)
    below, above = _below(net, a, to, low), _above(net, a, to)
    inside_low, inside_high = max(a.low, low), min(a.high, high)
    if inside_low > inside_high:  # never inside
        end = constant(low if a.high < low else high)
        return constant(0) if to.overflow is Overflow.SAT_ZERO else end
    inside = net.bits(a, 0, inside_low, inside_high)
    if to.overflow is Overflow.SAT_ZERO:
        return net.select(net.either(below, above), constant(0), inside)
    if below == constant(0) or above == constant(0):
        outside, which = (constant(low), below) if above == constant(0) else (constant(high), above)
        return net.select(which, outside, inside)
    return net.select(net.either(below, above), net.select(net.sign(a), constant(low), constant(high)), inside)


def _below(net: Netlist, a: Signal, to: FixedType, low: int) -> Signal:
    """Whether a < low, from the bits that the type has no place for."""
    if a.low >= low:
        return constant(0)
    if not to.signed:
        return net.sign(a)
    top = to.width - 1
    outside = net.all(a, top, a.width)  # all copies of the sign: inside
    if low == to.min:
        return net.both(net.sign(a), but_not=[outside])
    least = net.any(a, 0, top)  # SAT_SYM: the most negative integer is outside too
    return net.both(net.sign(a), net.either(or_not=[outside, least]))


def _above(net: Netlist, a: Signal, to: FixedType) -> Signal:
    """Whether a > to.max."""
    if a.high <= to.max:
        return constant(0)
    top = to.width - to.signed
    return net.both(net.any(a, top, a.width), but_not=[net.sign(a)])
