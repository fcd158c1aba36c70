"""Distributed arithmetic in C++: products with a constant matrix as a function of shifts, additions and subtractions.

Where sums need neither rounding nor saturation on the way, the function computes them whole, sharing what they have in
common. Elsewhere it computes each product by itself, and the kernel rounds and adds them as with any other strategy.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kbuild.dataclass import replace
from kbuild.emit.adders import constant_multiply
from kbuild.emit.adders.adder_graph import AdderGraph, Output
from kbuild.emit.hls.design import Config, integer_type, spell, summand, unit_type
from kbuild.fixed import FixedType, IntArray, Overflow, product_type, type_for
from kbuild.ir import Tensor
from kbuild.ops.accumulate import cannot_overflow

Range = tuple[int, int]


def with_adders(config: Config, matrix: Tensor, bias: Tensor | None, x: FixedType, accum: FixedType,
                groups: int = 1) -> Config:  # fmt: skip
    """The configuration with what `distributed_sums` of backends/hls/dense.h needs beside it.

    For sums of products of values of the type x with a matrix [terms, outputs], in the type accum. The inputs are
    [terms, groups]; the outputs are so many equal groups, each of which reads its own.
    """
    terms, outputs = matrix.shape
    places = groups * terms
    product = product_type(x, matrix.fixed())
    modular = accum.overflow is Overflow.WRAP or cannot_overflow(x, matrix, bias, accum)
    whole = modular and product.fraction <= accum.fraction
    body = _Body((x.min, x.max))
    if whole:
        body.multiply(range(places), _blocks(matrix.data, groups), range(outputs))
    else:
        side = outputs // groups
        for place in range(places):
            term, group = divmod(place, groups)
            columns = range(group * side, (group + 1) * side)
            body.multiply([place], matrix.data[term : term + 1, columns.start : columns.stop],
                          [term * outputs + column for column in columns])  # fmt: skip
    parts = 1 if whole else terms
    value = type_for(body.low, body.high, product.fraction)
    types = {"integer_t": integer_type(x.width + 1), "unit_t": unit_type(x.fraction),
             "product_t": integer_type(value.width, value.signed), "product_unit_t": unit_type(-product.fraction),
             "part_t": spell(summand(value, accum))}  # fmt: skip
    x_name = " x" if matrix.data.any() else ""  # all zeros read nothing, and compilers warn of a name without a use
    code = (f"KBUILD_UNOPTIMIZED static void adders(const integer_t{x_name}[places], product_t y[parts * outputs]) {{",
            "#pragma HLS INLINE", *(f"    {line}" for line in body.lines), "}")  # fmt: skip
    return replace(config, integers={**config.integers, "places": places, "parts": parts},
                   types={**config.types, **types}, code=code)  # fmt: skip


def _blocks(matrix: IntArray, groups: int) -> IntArray:
    """The matrix [terms * groups, outputs] that is zero where input and output are of different groups."""
    terms, outputs = matrix.shape
    side = outputs // groups
    full = np.zeros((terms, groups, outputs), matrix.dtype)
    for group in range(groups):
        columns = slice(group * side, (group + 1) * side)
        full[:, group, columns] = matrix[:, columns]
    return full.reshape(terms * groups, outputs)


class _Body:
    """Statements that multiply inputs `x[place]`, each in the range, and write outputs `y[...]`, within low .. high."""

    def __init__(self, x: Range) -> None:
        self.x = x
        self.lines: list[str] = []
        self.low, self.high = 0, 0
        self._made = 0

    def multiply(self, places: Sequence[int], matrix: IntArray, to: Sequence[int]) -> None:
        """The inputs at the places times a matrix, written to the outputs at `to`."""
        graph = constant_multiply.solve(matrix, [self.x] * len(places))
        names = [f"x[{place}]" for place in places]
        rows = graph.rows()
        for step, row in zip(graph.steps, rows[len(places) :], strict=True):
            width = _width(*self._bounds(row))
            name, function = f"v{self._made}", "subtracted" if step.subtract else "added"
            self._made += 1
            adder = f"kbuild::{function}<{width}, {step.a_shift}, {step.b_shift}>"
            self.lines.append(f"const ap_int<{width}> {name} = {adder}({names[step.a]}, {names[step.b]});")
            names.append(name)
        self._write(graph, rows, names, to)

    def _write(self, graph: AdderGraph, rows: Sequence[IntArray], names: Sequence[str], to: Sequence[int]) -> None:
        for output, place in zip(graph.outputs, to, strict=True):
            if output.value is None:
                self.lines.append(f"y[{place}] = 0;")
                continue
            ends = [_scaled(end, output) for end in self._bounds(rows[output.value])]
            self.low, self.high = min(self.low, *ends), max(self.high, *ends)
            if output.shift < 0:
                moved = f"({names[output.value]} >> {-output.shift})"
            else:
                moved = _shifted(names[output.value], _width(*ends), output.shift)
            self.lines.append(f"y[{place}] = {'-' if output.negative else ''}{moved};")

    def _bounds(self, row: IntArray) -> Range:
        """Of the value that multiplies the inputs by the row."""
        low, high = self.x
        positive = sum(int(v) for v in row if v > 0)
        negative = sum(int(v) for v in row if v < 0)
        return positive * low + negative * high, positive * high + negative * low


def _scaled(value: int, output: Output) -> int:
    value = value << output.shift if output.shift >= 0 else value >> -output.shift
    return -value if output.negative else value


def _width(low: int, high: int) -> int:
    """Bits of a signed integer for low .. high and for 0, whichever end is the larger."""
    return max(max(low, -low - 1).bit_length(), max(high, -high - 1).bit_length()) + 1


def _shifted(name: str, width: int, shift: int) -> str:
    value = f"ap_int<{width}>({name})"
    return f"({value} << {shift})" if shift else value
