"""A pipelined netlist of integers: cells that make signals, each with its exact range and its place in time.

A `Signal` stands for an integer in low..high and is as wide as that range needs. Placing a cell delays its operands to
one cycle, and starts a new cycle where the delays of the cells in a row would exceed the clock: everything is fully
pipelined, a new sample a cycle. Cycles are absolute, so that modules can follow one another without slack.
"""

from __future__ import annotations

from collections.abc import Sequence

from kbuild.dataclass import dataclass, field, replace
from kbuild.emit.verilog.cells import (
    Add,
    Cell,
    Less,
    Logic,
    Lookup,
    Multiply,
    Port,
    Reduce,
    Register,
    Select,
    Signal,
    Slice,
    Table,
    constant,
    operands,
    width_of,
    zeros_of,
)
from kbuild.emit.verilog.timing import Clock

BLOCK_MEMORY = 64  # entries; larger tables may become block memories, which have an output register


@dataclass
class Netlist:
    """The cells of one module, in an order in which each uses only what stands before it."""

    clock: Clock
    name: str
    cells: dict[Signal, Cell] = field(default_factory=dict)
    tables: list[Table] = field(default_factory=list)
    _known: dict[tuple[Cell, int, int], Signal] = field(default_factory=dict)

    # ---- placing ------------------------------------------------------------------------------------------------

    def _new(self, cell: Cell, low: int, high: int, cycle: int, time: int, name: str = "") -> Signal:
        signal = Signal(name or f"v{len(self.cells)}", low, high, cycle, time, zeros_of(cell))
        if signal.constant:
            return constant(low)
        # The same cell with other bounds is another signal: bounds may hold only where a selection uses it.
        known = self._known.setdefault((cell, low, high), signal)
        if known is signal:
            self.cells[signal] = cell
        return known

    def align(self, signals: Sequence[Signal], cost: int) -> tuple[list[Signal], int, int]:
        """The signals delayed to one cycle in which `cost` still fits behind them; the cycle and the time after it."""
        variable = [s for s in signals if not s.constant]
        cycle = max((s.cycle for s in variable), default=0)
        time = max((s.time for s in variable if s.cycle == cycle), default=0)
        if time > 0 and time + cost > self.clock.budget:
            cycle, time = cycle + 1, 0
        return [self.delay(s, cycle) for s in signals], cycle, time + cost

    def delay(self, signal: Signal, cycle: int) -> Signal:
        """The signal as it is in a later cycle, through registers."""
        while not signal.constant and signal.cycle < cycle:
            signal = self._new(Register(signal), signal.low, signal.high, signal.cycle + 1, 0)
        return signal

    def _place(self, cost: int, cell: Cell, low: int, high: int) -> Signal:
        """A cell whose operands are brought to one cycle."""
        before = operands(cell)
        after, cycle, time = self.align(before, cost)
        moved = dict(zip(before, after, strict=True))
        match cell:
            case Add(a, b) | Less(a, b) | Multiply(a, b):
                cell = replace(cell, a=moved[a], b=moved[b])
            case Slice(a) | Reduce(a=a):
                cell = replace(cell, a=moved[a])
            case Select(condition, a, b):
                cell = Select(moved[condition], moved[a], moved[b])
            case Logic(bits=bits):
                cell = replace(cell, bits=tuple(moved[b] for b in bits))
        return self._new(cell, low, high, cycle, time)

    # ---- cells --------------------------------------------------------------------------------------------------

    def constant(self, value: int) -> Signal:
        """A number; it is there at all times."""
        return constant(value)

    def port(self, bus: str, index: int, width: int, source: Signal, arrival: tuple[int, int]) -> Signal:
        """Element `index` of an input bus of elements of `width` bits, in the range of its source."""
        if source.constant:
            return source
        cell = Port(bus, index * width, source.zeros)
        return self._new(cell, source.low, source.high, *arrival, name=f"{bus}_{index}")

    def add(
        self, a: Signal, b: Signal, a_shift: int = 0, b_shift: int = 0, subtract: bool = False, modulo: int = 0,
        bounds: tuple[int, int] | None = None,
    ) -> Signal:
        """`(a << a_shift) ± (b << b_shift)`, exact; or as a signed integer of `modulo` bits where it needs more.

        `bounds` are those of the result where they are known better than from the operands.
        """
        if b.constant and b.low == 0:
            return self.shift_left(a, a_shift)
        if a.constant and a.low == 0 and not subtract:
            return self.shift_left(b, b_shift)
        low_b, high_b = (b.low << b_shift, b.high << b_shift)
        if subtract:
            low_b, high_b = -high_b, -low_b
        low, high = bounds or ((a.low << a_shift) + low_b, (a.high << a_shift) + high_b)
        if modulo and width_of(low, max(high, 0)) + (low >= 0) > modulo:
            low, high = -(1 << (modulo - 1)), (1 << (modulo - 1)) - 1
        if a.constant and b.constant:
            total = (a.low << a_shift) + (-1 if subtract else 1) * (b.low << b_shift)
            return self.bits(constant(total), 0, low, high)
        if low == high:
            return constant(low)
        if b_shift >= width_of(low, high):  # all above the bits of the result
            return self.bits(self.shift_left(a, a_shift), 0, low, high)
        if a_shift >= width_of(low, high):
            a, a_shift = constant(0), 0
        return self._place(self.clock.delays.add(width_of(low, high)), Add(a, b, a_shift, b_shift, subtract), low, high)

    def shift_left(self, a: Signal, shift: int) -> Signal:
        """`a << shift`."""
        if shift == 0:
            return a
        if a.constant:
            return constant(a.low << shift)
        return self._place(0, Slice(a, -shift), a.low << shift, a.high << shift)

    def floor(self, a: Signal, shift: int) -> Signal:
        """`a >> shift`, towards minus infinity; a negative shift multiplies."""
        if shift <= 0:
            return self.shift_left(a, -shift)
        return self.bits(a, shift, a.low >> shift, a.high >> shift)

    def bits(self, a: Signal, at: int, low: int, high: int) -> Signal:
        """The bits of `a` from bit `at` as the kind of integer that low..high is.

        Where they are another integer than one of low..high, the result must not matter.
        """
        if low == high:
            return constant(low)
        if a.constant:
            width = width_of(low, high)
            value = (a.low >> at) & ((1 << width) - 1)
            return constant(value - ((value >> (width - 1)) << width) if low < 0 else value)
        if at == 0 and a.width == width_of(low, high) and a.signed == (low < 0):
            return a if (a.low, a.high) == (low, high) else self._place(0, Slice(a, 0), low, high)
        return self._place(0, Slice(a, at), low, high)

    def bit(self, a: Signal, at: int) -> Signal:
        """Bit `at` of `a` as 0 or 1; the sign above the highest."""
        if a.constant:
            return constant((a.low >> at) & 1)
        if at >= a.width:
            return self.sign(a)
        return self._place(0, Slice(a, at), 0, 1) if (a.width, a.signed) != (1, False) else a

    def sign(self, a: Signal) -> Signal:
        """1 where a < 0."""
        if a.low >= 0 or a.high < 0:
            return constant(int(a.high < 0))
        return self.bit(a, a.width - 1)

    def select(self, condition: Signal, a: Signal, b: Signal, bounds: tuple[int, int] | None = None) -> Signal:
        """`a` where `condition`, else `b`; `bounds` of the result where they are known better."""
        if condition.constant:
            return a if condition.low else b
        if a == b:
            return a
        low, high = bounds or (min(a.low, b.low), max(a.high, b.high))
        if low == high:
            return constant(low)
        return self._place(self.clock.delays.lut, Select(condition, a, b), low, high)

    def larger(self, a: Signal, b: Signal) -> Signal:
        """The larger of two."""
        return self.select(self.less(a, b), b, a, (max(a.low, b.low), max(a.high, b.high)))

    def smaller(self, a: Signal, b: Signal) -> Signal:
        """The smaller of two."""
        return self.select(self.less(b, a), b, a, (min(a.low, b.low), min(a.high, b.high)))

    def both(self, *bits: Signal, but_not: Sequence[Signal] = ()) -> Signal:
        """1 where all `bits` are 1 and all `but_not` are 0."""
        pairs = dict.fromkeys([(b, False) for b in bits] + [(b, True) for b in but_not])
        if any(b.constant and b.low == int(inverted) for b, inverted in pairs):
            return constant(0)
        return self._logic("&", [(b, i) for b, i in pairs if not b.constant], 1)

    def either(self, *bits: Signal, or_not: Sequence[Signal] = ()) -> Signal:
        """1 where any of `bits` is 1 or any of `or_not` is 0."""
        pairs = dict.fromkeys([(b, False) for b in bits] + [(b, True) for b in or_not])
        if any(b.constant and b.low != int(inverted) for b, inverted in pairs):
            return constant(1)
        return self._logic("|", [(b, i) for b, i in pairs if not b.constant], 0)

    def _logic(self, operator: str, pairs: Sequence[tuple[Signal, bool]], empty: int) -> Signal:
        if not pairs:
            return constant(empty)
        if len(pairs) == 1 and not pairs[0][1]:
            return pairs[0][0]
        cell = Logic(operator, tuple(b for b, _ in pairs), tuple(i for _, i in pairs))
        return self._place(self.clock.delays.logic(len(pairs)), cell, 0, 1)

    def any(self, a: Signal, at: int, end: int) -> Signal:
        """1 where any bit from `at` to before `end` is 1; bits above the highest repeat the sign."""
        return self._reduce("|", a, at, end)

    def all(self, a: Signal, at: int, end: int) -> Signal:
        """1 where all bits from `at` to before `end` are 1."""
        return self._reduce("&", a, at, end)

    def _reduce(self, operator: str, a: Signal, at: int, end: int) -> Signal:
        width = max(end - at, 0)
        if a.constant or width == 0:
            field_ = (a.low >> at) & ((1 << width) - 1)
            return constant(int(field_ != 0 if operator == "|" else field_ == (1 << width) - 1))
        if not a.signed and end > a.width:
            if operator == "&":
                return constant(0)
            end = a.width
        if at >= a.width:
            return self.sign(a)
        end = min(end, a.width)
        if end - at <= 0:
            return constant(0)
        if end - at == 1:
            return self.bit(a, at)
        return self._place(self.clock.delays.logic(end - at), Reduce(operator, a, at, end - at), 0, 1)

    def less(self, a: Signal, b: Signal) -> Signal:
        """1 where a < b."""
        if a.high < b.low or a.low >= b.high:
            return constant(int(a.high < b.low))
        if b.constant and b.low == 0:
            return self.sign(a)
        low, high = min(a.low, b.low), max(a.high, b.high)
        return self._place(self.clock.delays.add(width_of(low, high)), Less(a, b), 0, 1)

    def equal(self, a: Signal, b: Signal) -> Signal:
        """1 where a == b."""
        difference = self.add(a, b, subtract=True)
        return self.either(or_not=[self.any(difference, 0, difference.width)])

    def multiply(self, a: Signal, b: Signal) -> Signal:
        """The product, from a register to a register, so that a multiplier block with its own registers fits."""
        corners = [x * y for x in (a.low, a.high) for y in (b.low, b.high)]
        low, high = min(corners), max(corners)
        if low == high:
            return constant(low)
        cycle = max(s.cycle + (s.time > 0) for s in (a, b) if not s.constant)
        a, b = self.delay(a, cycle), self.delay(b, cycle)
        # Verilog's product is at least as wide as either factor.
        widest = max(s.width + (low < 0 and not s.signed) for s in (a, b))
        room = (-(1 << (widest - 1)), (1 << (widest - 1)) - 1) if low < 0 else (0, (1 << widest) - 1)
        bounds = min(low, room[0]), max(high, room[1])
        product = self._new(Multiply(a, b), *bounds, cycle, self.clock.budget)
        return self.bits(self.delay(product, cycle + 1), 0, low, high)

    def lookup(self, entries: Sequence[int], index: Signal) -> Signal:
        """The entry of a table at an index in 0..len(entries) - 1, at least one cycle later.

        The read is synchronous, so that it can be a block memory; of a large one the output is registered again.
        """
        if index.constant:
            return constant(entries[index.low])
        low, high = min(entries), max(entries)
        if low == high:
            return constant(low)
        table = self._table(tuple(entries))
        entry = self._new(Lookup(table.name, index), low, high, index.cycle + 1, 0)
        return self.delay(entry, entry.cycle + 1) if len(entries) > BLOCK_MEMORY else entry

    def _table(self, entries: tuple[int, ...]) -> Table:
        for table in self.tables:
            if table.entries == entries:
                return table
        self.tables.append(Table(f"{self.name}_table{len(self.tables)}", entries))
        return self.tables[-1]
