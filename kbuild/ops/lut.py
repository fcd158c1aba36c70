"""`lut`: a unary function as a table over the actual input type."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from kbuild.dataclass import dataclass
from kbuild.fixed import (
    INT64_BITS,
    FixedType,
    FloatArray,
    IntArray,
    cast_counting,
    compact,
    shift_left,
    type_for,
    wide,
)
from kbuild.ir.op import Evaluation, Interval, Op, OverflowCount, Shape
from kbuild.ir.tensor import Tensor
from kbuild.ops.casting import cast_into
from kbuild.ops.functions import FUNCTIONS
from kbuild.ops.lookup import look_up

GIVEN = "given"  # the function is the table itself; its parameter: fraction bits of the inputs of its entries


@dataclass(frozen=True)
class Lut(Op):
    """`y = table[(q - offset) >> shift]`, the index saturating at both ends, cast to the result.

    function: a name in `kbuild.ops.functions`, with its parameters, or `given`; table: [2**n] entries, None until
    tables are made; offset: the input integer of the first entry; shift: log2 of the inputs that share an entry.
    line: beyond the last entry y is `line * x` instead, an exact product cast once; None, or a scalar of shape ().
    within: the smallest and the largest input integer whose results the type of the entries holds: further ones are cut
    off, and count as overflows; None where it holds all.
    """

    function: str
    params: tuple[float, ...] = ()
    table: Tensor | None = None
    offset: int = 0
    shift: int = 0
    line: Tensor | None = None
    within: tuple[int, int] | None = None

    kind: ClassVar[str] = "lut"
    variables: ClassVar[tuple[str, ...]] = ("table", "result")

    def verify(self, shapes: Sequence[Shape]) -> None:
        super().verify(shapes)
        if self.function == GIVEN:
            self.made()
        elif self.function not in FUNCTIONS:
            raise ValueError(f"no function is called {self.function}")
        if self.table is not None and (len(self.table.shape) != 1 or self.table.data.size == 0):
            raise ValueError(f"the table has shape {self.table.shape}; it is a list")
        if self.shift < 0:
            raise ValueError("the shift of a table index is negative")
        if self.line is not None and self.line.shape != ():
            raise ValueError(f"the line has one slope, not of shape {self.line.shape}")

    def infer_shape(self, shapes: Sequence[Shape]) -> Shape:
        return shapes[0]

    def made(self) -> Tensor:
        """The table, which must exist by now."""
        if self.table is None:
            raise ValueError("the table is not made yet")
        return self.table

    def infer_type(self, types: Sequence[FixedType]) -> FixedType:
        table = self.made()
        low, high = table.bounds()
        if self.line is None:
            return type_for(low, high, table.fixed().fraction)
        fraction, ends = self._fraction(types[0]), (self.end, types[0].max)
        low, high = low << fraction - table.fixed().fraction, high << fraction - table.fixed().fraction
        on_line = [int(self._on_line(np.array(q, object)[np.newaxis], types[0])[0]) for q in ends]
        return type_for(min(low, *on_line), max(high, *on_line), fraction)

    @property
    def end(self) -> int:
        """The input integer after those of the last entry."""
        return self.offset + (self.made().data.size << self.shift)

    def _fraction(self, x: FixedType) -> int:
        """Fraction bits that entries and products with the line have."""
        fraction = self.made().fixed().fraction
        return fraction if self.line is None else max(fraction, x.fraction + self.line.fixed().fraction)

    def _on_line(self, q: IntArray, x: FixedType) -> IntArray:
        """The line at q, with `_fraction` fraction bits."""
        assert self.line is not None
        of, fraction = self.line.fixed(), self._fraction(x)
        spare = fraction - x.fraction - of.fraction
        wanted = x.width + of.width + spare > INT64_BITS
        return shift_left((wide(q) if wanted else q) * self.line.data, spare)

    def eval(
        self, inputs: Sequence[IntArray], types: Sequence[FixedType], result: FixedType, overflow: OverflowCount
    ) -> IntArray:
        return self.prepared(types, result)(inputs, overflow)

    def prepared(self, types: Sequence[FixedType], result: FixedType) -> Evaluation:
        table, width = self.made(), types[0].width
        entries, lost = cast_counting(table.data, table.fixed().fraction, result)  # the same for all that find an entry

        def evaluate(inputs: Sequence[IntArray], overflow: OverflowCount) -> IntArray:
            if self.line is not None:
                found = look_up(table.data, inputs[0], self.offset, self.shift, width)
                found = shift_left(found, self._fraction(types[0]) - table.fixed().fraction)
                exact = np.where(inputs[0] >= self.end, self._on_line(inputs[0], types[0]), found)
                return cast_into(compact(exact), self._fraction(types[0]), result, overflow)
            if lost:
                found = look_up(table.data, inputs[0], self.offset, self.shift, width)
                return cast_into(found, table.fixed().fraction, result, overflow)
            return look_up(entries, inputs[0], self.offset, self.shift, width)

        if self.within is None:
            return evaluate
        first, last = self.within

        def counted(inputs: Sequence[IntArray], overflow: OverflowCount) -> IntArray:
            overflow.add(results=int(np.count_nonzero((inputs[0] < first) | (inputs[0] > last))))
            return evaluate(inputs, overflow)

        return counted

    def eval_float(self, inputs: Sequence[FloatArray]) -> FloatArray:
        if self.function == GIVEN:
            index = np.floor(inputs[0] * 2.0 ** self.params[0]).astype(np.int64)
            return look_up(self.made().floats(), index, self.offset, 0)
        return FUNCTIONS[self.function](inputs[0], *self.params)

    def interval(self, inputs: Sequence[Interval]) -> Interval:
        if self.function == GIVEN:
            values, shape = self.made().floats(), inputs[0].low.shape
            return Interval(np.full(shape, values.min()), np.full(shape, values.max()))
        # All functions here are smooth with at most one bend, at or below zero: a fine grid over the interval, which
        # for a monotonic function is exact at its ends, finds the extreme of the others to well within a table step.
        steps = np.linspace(0.0, 1.0, 257)
        first, last = inputs[0].low, inputs[0].high
        values = np.stack([self.eval_float([first + (last - first) * s]) for s in steps])
        bend = self.eval_float([np.clip(np.linspace(-2.0, 0.0, 257), first[..., None], last[..., None])])
        low, high = np.minimum(values.min(axis=0), bend.min(axis=-1)), np.maximum(values.max(axis=0), bend.max(axis=-1))
        return Interval(low, high)
