"""Exact division by a constant, with one rounding.

The floor of a quotient is a product with a scaled reciprocal: for 0 <= n <= N, `floor(n / d) = (n * m) >> k` where
`m = ceil(2**k / d)` and `(m * d - 2**k) * N < 2**k` (Granlund, Montgomery, "Division by invariant integers using
multiplication", PLDI 1994).
"""

from __future__ import annotations

import numpy as np

from kbuild.emit.adders import signed_digits
from kbuild.emit.verilog.casts import limit
from kbuild.emit.verilog.cells import Signal, constant
from kbuild.emit.verilog.linear import exact
from kbuild.emit.verilog.netlist import Netlist
from kbuild.fixed import FixedType, Quantization


def divide(net: Netlist, a: Signal, divisor: int, fraction: int, to: FixedType) -> Signal:
    """The quotients `a / divisor * 2**-fraction` cast to `to`, as `kbuild.ops.casting.divide_into`."""
    shift = fraction - to.fraction
    if shift < 0:
        a, shift = net.shift_left(a, -shift), 0
    return limit(net, _rounded(net, a, divisor << shift, to.quantization), to)


def _rounded(net: Netlist, a: Signal, divisor: int, mode: Quantization) -> Signal:
    """`a / divisor` rounded to an integer: the floor of `(2 * a + something) / (2 * divisor)`."""
    sign = net.sign(a)
    if mode is Quantization.TRN:
        return floor(net, a, divisor)
    if mode is Quantization.TRN_ZERO:
        return floor(net, net.add(a, net.select(sign, constant(divisor - 1), constant(0))), divisor)
    twice = net.shift_left(a, 1)
    up, down = constant(divisor), constant(divisor - 1)  # what makes a tie go up, or down
    if mode is Quantization.RND_CONV:
        total = net.add(twice, up)
        quotient = floor(net, total, 2 * divisor)
        tie = net.equal(total, product(net, quotient, 2 * divisor))
        return net.add(quotient, net.both(tie, net.bit(quotient, 0)), subtract=True)
    added = {
        Quantization.RND: up,
        Quantization.RND_MIN_INF: down,
        Quantization.RND_ZERO: net.select(sign, up, down),
        Quantization.RND_INF: net.select(sign, down, up),
    }[mode]
    return floor(net, net.add(twice, added), 2 * divisor)


def floor(net: Netlist, a: Signal, divisor: int) -> Signal:
    """`a // divisor`, exact for every value that `a` can have."""
    twos = (divisor & -divisor).bit_length() - 1
    a, divisor = net.floor(a, twos), divisor >> twos
    first = a.low // divisor
    if first == a.high // divisor:
        return constant(first)
    if divisor == 1:
        return a
    n = net.add(a, constant(-first * divisor))
    shift = divisor.bit_length()
    while (-(1 << shift) % divisor) * n.high >= 1 << shift:
        shift += 1
    quotient = net.floor(product(net, n, -(-(1 << shift) // divisor)), shift)
    return net.add(quotient, constant(first))


def product(net: Netlist, a: Signal, factor: int) -> Signal:
    """`a` times a constant."""
    matrix = np.array([[factor]], dtype=object)
    return exact(net, [a], matrix, np.zeros(1, dtype=object), signed_digits.solve(matrix).checked(matrix))[0]
