"""What da4ml traces, operations on scaled integers, → the steps of a `Logic`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from kbuild.ir import Shape
from kbuild.ops.logic import Code, Logic, Result, Step, integers

Entries = Sequence[tuple[int, int, int, int]]  # of each input element: signed, integer bits, fraction bits, saturate
_OPERATIONS = {9: "bitwise negation", 10: "bitwise logic"}


def logic_of(comb: Any, entries: Entries, shape: Shape) -> Logic:
    """The logic of a `CombLogic` whose inputs have these types. Raises ValueError for what it cannot say."""
    made = _Program(comb, entries)
    for operation in comb.ops:
        made.add(operation)
    results = [
        Result(-1, 0, 0) if index < 0 else made.result(index, shift, negative)
        for index, shift, negative in zip(comb.out_idxs, comb.out_shifts, comb.out_negs, strict=True)
    ]
    table = [int(v) for table in made.tables for v in table]
    return Logic(
        shape,
        integers(made.steps, (len(made.steps), len(Step._fields))),
        integers(results, (len(results), len(Result._fields))),
        integers(table, (len(table),)) if table else None,
    )


class _Program:
    """The steps so far. `values` are the operations that are done: the step with the value, and its fraction bits."""

    def __init__(self, comb: Any, entries: Entries) -> None:
        self.comb, self.entries = comb, entries
        self.steps: list[Step] = []
        self.values: list[tuple[int, int]] = []
        self.tables: list[Any] = []
        self._offsets: dict[int, int] = {}

    def add(self, operation: Any) -> None:
        """Add the steps of one operation."""
        code, fraction = operation.opcode, _fraction(operation.qint.step)
        if code == -1:
            self._input(operation)
        elif code in (0, 1):
            (a, at), (b, other) = self.values[operation.id0], self.values[operation.id1]
            self._push(Code.ADD, a, b, 0, fraction - at, fraction - other + operation.data, code, fraction)
        elif abs(code) in (2, 3):
            self._cast(operation, fraction)
        elif code == 4:
            a, at = self.values[operation.id0]
            number = self._number(operation.data)
            self._push(Code.ADD, a, number, 0, fraction - at, 0, 0, fraction)
        elif code == 5:
            self.values.append((self._number(operation.data), fraction))
        elif abs(code) == 6:
            self._select(operation, fraction)
        elif code == 7:
            (a, at), (b, other) = self.values[operation.id0], self.values[operation.id1]
            self._push(Code.MULTIPLY, a, b, 0, 0, 0, 0, at + other)
        elif code == 8:
            self._lookup(operation)
        else:
            raise ValueError(f"it uses {_OPERATIONS.get(abs(code), f'operation {code}')}, which is not supported yet")

    def result(self, index: int, shift: int, negative: bool) -> Result:
        """An operation's value, scaled by 2**shift."""
        step, fraction = self.values[index]
        return Result(step, fraction - shift, int(negative))

    def _step(self, code: Code, a: int = 0, b: int = 0, c: int = 0, s: int = 0, t: int = 0, u: int = 0) -> int:
        if code in (Code.ADD, Code.SELECT) and min(s, t) < 0:
            raise ValueError("it drops bits without a quantizer")
        self.steps.append(Step(code, a, b, c, s, t, u))
        return len(self.steps) - 1

    def _push(self, code: Code, a: int, b: int, c: int, s: int, t: int, u: int, fraction: int) -> None:
        self.values.append((self._step(code, a, b, c, s, t, u), fraction))

    def _number(self, value: int) -> int:
        return self._step(Code.CONSTANT, s=int(value))

    def _input(self, operation: Any) -> None:
        signed, integer, fraction, saturate = self.entries[operation.id0]
        width = signed + integer + fraction
        if width <= 0:
            self.values.append((self._number(0), fraction))
            return
        self._push(Code.INPUT, operation.id0, 0, saturate, fraction, width, signed, fraction)

    def _cast(self, operation: Any, fraction: int) -> None:
        """A quantizer, which truncates and wraps, or a rectifier, which does the same."""
        a, at = self.values[operation.id0]
        signed, integer, _ = _kif(operation.qint)
        width = signed + integer + fraction
        if width <= 0:
            self.values.append((self._number(0), fraction))
            return
        code = Code.RELU if abs(operation.opcode) == 2 else Code.CAST
        self._push(code, a, 0, int(operation.opcode < 0), at - fraction, width, signed, fraction)

    def _select(self, operation: Any, fraction: int) -> None:
        """By the highest bit of a third value."""
        data = int(operation.data)
        which, shift = data & 0xFFFFFFFF, _signed32(data >> 32)
        (a, at), (b, other), (c, _) = (self.values[i] for i in (operation.id0, operation.id1, which))
        if operation.opcode < 0:
            zero = self._number(0)
            b = self._step(Code.ADD, zero, b, u=1)
        signed, integer, bits = _kif(self.comb.ops[which].qint)
        highest = max(signed + integer + bits - 1, 0)
        self._push(Code.SELECT, a, b, c, fraction - at, fraction - other + shift, highest, fraction)

    def _lookup(self, operation: Any) -> None:
        a, at = self.values[operation.id0]
        table, interval = self.comb.lookup_tables[operation.data], self.comb.ops[operation.id0].qint
        signed, integer, fraction = table.spec.out_kif
        if operation.data not in self._offsets:
            self._offsets[operation.data] = sum(len(t) for t in self.tables)
            self.tables.append(_wrapped(np.asarray(table.table, np.int64), signed, signed + integer + fraction))
        first = round(interval.min * 2.0**at)
        self._push(Code.LOOKUP, a, 0, 0, self._offsets[operation.data], len(table.table), first, fraction)


def _wrapped(values: Any, signed: int, width: int) -> Any:
    """The integers modulo 2**width."""
    bias = 1 << (width - 1) if signed else 0
    return (values + bias) % (1 << max(width, 0)) - bias


def _fraction(step: float) -> int:
    return -round(math.log2(step))


def _kif(interval: Any) -> tuple[int, int, int]:
    """Sign, integer bits without it, and fraction bits that hold an interval."""
    fraction = _fraction(interval.step)
    low, high = (round(float(end) * 2.0**fraction) for end in (interval.min, interval.max))
    if low == high == 0:
        return 0, -fraction, fraction
    bits = max((-low - 1).bit_length() if low < 0 else 0, high.bit_length() if high > 0 else 0)
    return int(low < 0), bits - fraction, fraction


def _signed32(value: int) -> int:
    value &= 0xFFFFFFFF
    return value - (1 << 32) if value >= 1 << 31 else value
