"""`logic`: a straight-line program of integer steps, such as a traced layer: shift-adds, casts, selections, tables."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from functools import cached_property
from typing import ClassVar, NamedTuple

import numpy as np

from kbuild.dataclass import dataclass
from kbuild.fixed import (
    INT64_BITS,
    FixedType,
    FloatArray,
    IntArray,
    Overflow,
    cast,
    compact,
    from_float,
    limit,
    shift_left,
    type_for,
    wide,
)
from kbuild.ir.op import Interval, Op, OverflowCount, Shape
from kbuild.ir.tensor import Tensor
from kbuild.ops.casting import cast_into

Bounds = tuple[int, int]


class Code(IntEnum):
    """What a step does with the values a and b of earlier steps; c, s, t, u are numbers. All are integers.

    INPUT     element a of the inputs, one after the other, cast to an integer of t bits with s fraction bits, signed
              if u; truncated, and wrapped, or saturated if c
    CONSTANT  the number s
    ADD       (a << s) + (b << t), or minus if u
    CAST      a, or -a if c, >> s, wrapped to t bits, signed if u
    RELU      a, or -a if c, where that is positive, >> s, wrapped to t bits without a sign; else 0
    SELECT    a << s where bit u of c, another value, is 1; else b << t
    MULTIPLY  a * b
    LOOKUP    entry a - u of the t entries of the table that begin at s, saturating at both ends
    """

    INPUT = 0
    CONSTANT = 1
    ADD = 2
    CAST = 3
    RELU = 4
    SELECT = 5
    MULTIPLY = 6
    LOOKUP = 7


class Step(NamedTuple):
    """A line of the program: a row of `Logic.program`."""

    code: Code
    a: int
    b: int
    c: int
    s: int
    t: int
    u: int


class Result(NamedTuple):
    """An element of the result: the value of a step (-1: zero), its fraction bits, and whether it is negated."""

    step: int
    fraction: int
    negative: int


def integers(values: Sequence[int] | Sequence[Sequence[int]], shape: Shape) -> Tensor:
    """Integers as a constant."""
    data = compact(np.array(values, dtype=object).reshape(shape))
    bits = max((int(v).bit_length() for v in data.ravel().tolist()), default=0) + 1
    return Tensor(data, FixedType(bits, bits))


@dataclass(frozen=True)
class Logic(Op):
    """The steps of `program` [steps, 7], each a `Step`; `results` [elements, 3] of the `shape`, each a `Result`.

    table: the entries of all tables, integers. The result is exact in the finest LSB of its elements, cast once.
    """

    shape: Shape
    program: Tensor
    results: Tensor
    table: Tensor | None = None

    kind: ClassVar[str] = "logic"
    arity: ClassVar[tuple[int, int | None]] = (1, None)

    @cached_property
    def steps(self) -> tuple[Step, ...]:
        """The program."""
        rows = self.program.data.tolist()
        return tuple(Step(Code(row[0]), *map(int, row[1:])) for row in rows)

    @cached_property
    def made(self) -> tuple[Result, ...]:
        """The results."""
        return tuple(Result(*map(int, row)) for row in self.results.data.tolist())

    @property
    def input_types(self) -> tuple[FixedType, ...]:
        """What the elements that are read are cast to."""
        return tuple(input_type(step) for step in self.steps if step.code is Code.INPUT)

    @property
    def fraction(self) -> int:
        """Fraction bits of the exact result."""
        return max((result.fraction for result in self.made if result.step >= 0), default=0)

    def entries(self, step: Step) -> list[int]:
        """The table of a LOOKUP."""
        assert self.table is not None
        return [int(v) for v in self.table.data[step.s : step.s + step.t].tolist()]

    def verify(self, shapes: Sequence[Shape]) -> None:
        super().verify(shapes)
        count = sum(int(np.prod(shape)) for shape in shapes)
        if len(self.made) != int(np.prod(self.shape)):
            raise ValueError(f"{len(self.made)} results do not make the shape {self.shape}")
        for number, step in enumerate(self.steps):
            if any(not 0 <= read < number for read in operands(step)):
                raise ValueError(f"step {number} reads what is not computed before it")
            if step.code is Code.INPUT and not 0 <= step.a < count:
                raise ValueError(f"step {number} reads input {step.a} of {count}")
        if any(not -1 <= result.step < len(self.steps) for result in self.made):
            raise ValueError("a result is of a step that there is not")

    def infer_shape(self, shapes: Sequence[Shape]) -> Shape:
        return self.shape

    def infer_type(self, types: Sequence[FixedType]) -> FixedType:
        ends = [0, 0]
        for result in self.made:
            if result.step >= 0:
                low, high = self.bounds[result.step]
                scale = (-1 if result.negative else 1) << (self.fraction - result.fraction)
                ends += [low * scale, high * scale]
        return type_for(min(ends), max(ends), self.fraction)

    @cached_property
    def bounds(self) -> tuple[Bounds, ...]:
        """Least and largest value of each step, whatever the inputs are."""
        found: list[Bounds] = []
        for step in self.steps:
            found.append(self._bounds(step, found))
        return tuple(found)

    def _bounds(self, step: Step, known: Sequence[Bounds]) -> Bounds:
        code, a, b, c, s, t, u = step
        if code is Code.INPUT:
            return _range(t, u)
        if code is Code.CONSTANT:
            return s, s
        if code is Code.LOOKUP:
            entries = self.entries(step)
            return min(entries), max(entries)
        low, high = known[a]
        if code is Code.ADD:
            others = [end << t for end in known[b]]
            others = [-others[1], -others[0]] if u else others
            return (low << s) + others[0], (high << s) + others[1]
        if code is Code.MULTIPLY:
            corners = [x * y for x in known[a] for y in known[b]]
            return min(corners), max(corners)
        if code is Code.SELECT:
            return min(low << s, known[b][0] << t), max(high << s, known[b][1] << t)
        low, high = (-high, -low) if c else (low, high)
        if code is Code.RELU:
            return 0, min(max(_shifted(high, s), 0), (1 << t) - 1)
        low, high = _shifted(low, s), _shifted(high, s)
        least, largest = _range(t, u)
        return (low, high) if least <= low and high <= largest else (least, largest)

    def eval(
        self, inputs: Sequence[IntArray], types: Sequence[FixedType], result: FixedType, overflow: OverflowCount
    ) -> IntArray:
        flat = [(column, of.fraction) for x, of in zip(inputs, types, strict=True) for column in _columns(x)]
        return cast_into(self._run(flat, len(inputs[0])), self.fraction, result, overflow)

    def _run(self, inputs: Sequence[tuple[IntArray, int]], samples: int) -> IntArray:
        """The exact result for integers of each element, with its fraction bits."""
        values: list[IntArray] = []
        for step, ends in zip(self.steps, self.bounds, strict=True):
            value = self._value(step, values, inputs, samples, max(-ends[0], ends[1]).bit_length() >= INT64_BITS - 1)
            values.append(compact(value) if value.dtype == object else value)
        elements = []
        for made in self.made:
            value = np.zeros(samples, np.int64) if made.step < 0 else values[made.step]
            value = shift_left(value, self.fraction - made.fraction) if made.step >= 0 else value
            elements.append(-value if made.negative else value)
        return np.stack(elements, axis=1).reshape(samples, *self.shape)

    def _value(
        self, step: Step, values: Sequence[IntArray], inputs: Sequence[tuple[IntArray, int]], samples: int, long: bool
    ) -> IntArray:
        code, a, b, c, s, t, u = step
        if code is Code.INPUT:
            return cast(*inputs[a], input_type(step))
        if code is Code.CONSTANT:
            return np.full(samples, s, dtype=object if long else np.int64)
        x = wide(values[a]) if long else values[a]
        if code is Code.ADD:
            y = shift_left(wide(values[b]) if long else values[b], t)
            return shift_left(x, s) - y if u else shift_left(x, s) + y
        if code is Code.MULTIPLY:
            return x * values[b]
        if code is Code.SELECT:
            return np.where(((values[c] >> u) & 1).astype(bool), shift_left(x, s), shift_left(values[b], t))
        if code is Code.LOOKUP:
            assert self.table is not None
            return self.table.data[s : s + t].take(np.clip(values[a] - u, 0, t - 1).astype(np.int64))
        x = -values[a] if c else values[a]
        moved = x >> s if s >= 0 else shift_left(x, -s)
        wrapped = limit(moved, FixedType(t, t, bool(u)))
        return np.where(x > 0, wrapped, 0) if code is Code.RELU else wrapped

    def eval_float(self, inputs: Sequence[FloatArray]) -> FloatArray:
        flat = [column for x in inputs for column in _columns(x)]
        rows: list[tuple[IntArray, int]] = [(np.zeros(len(inputs[0]), np.int64), 0)] * len(flat)
        for step in self.steps:
            if step.code is Code.INPUT:
                rows[step.a] = from_float(flat[step.a], input_type(step)), step.s
        exact = self._run(rows, len(inputs[0]))
        return np.ldexp(exact.astype(np.float64), -self.fraction)

    def interval(self, inputs: Sequence[Interval]) -> Interval:
        of = self.infer_type(())
        low, high = (float(end) for end in of.range)
        return Interval(np.full(self.shape, low), np.full(self.shape, high))


def operands(step: Step) -> tuple[int, ...]:
    """The steps whose values a step reads."""
    if step.code in (Code.INPUT, Code.CONSTANT):
        return ()
    if step.code is Code.SELECT:
        return step.a, step.b, step.c
    return (step.a, step.b) if step.code in (Code.ADD, Code.MULTIPLY) else (step.a,)


def input_type(step: Step) -> FixedType:
    """What an INPUT casts to."""
    overflow = Overflow.SAT if step.c else Overflow.WRAP
    return FixedType(step.t, step.t - step.s, bool(step.u), overflow=overflow)


def _columns(x: IntArray) -> list[IntArray]:
    flat = x.reshape(len(x), -1)
    return [flat[:, i] for i in range(flat.shape[1])]


def _range(width: int, signed: int) -> Bounds:
    return (-(1 << (width - 1)), (1 << (width - 1)) - 1) if signed else (0, (1 << width) - 1)


def _shifted(value: int, shift: int) -> int:
    return value >> shift if shift >= 0 else value << -shift
