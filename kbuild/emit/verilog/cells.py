"""What netlists are made of: signals, and the cells that make them. Nothing here knows about time but `Signal`."""

from __future__ import annotations

from functools import cached_property

from kbuild.dataclass import dataclass

_ALL = 1 << 30  # more low bits than there are: every bit of zero is zero


@dataclass(frozen=True)
class Signal:
    """An integer low..high, available `time` picoseconds after the clock edge of `cycle`. A constant has low == high.

    As bits it is two's complement when low is negative, unsigned otherwise. Its lowest `zeros` bits are always zero.
    """

    name: str
    low: int
    high: int
    cycle: int = 0
    time: int = 0
    zeros: int = 0

    @property
    def signed(self) -> bool:
        """Whether the highest bit is a sign."""
        return self.low < 0

    @property
    def width(self) -> int:
        """Number of bits."""
        return width_of(self.low, self.high)

    @property
    def constant(self) -> bool:
        """Whether it always has one value."""
        return self.low == self.high


def constant(value: int) -> Signal:
    """A constant; it is there at all times."""
    return Signal("", value, value)


def width_of(low: int, high: int) -> int:
    """Bits that hold every integer low..high."""
    if low < 0:
        return max((-low - 1).bit_length(), high.bit_length() if high > 0 else 0) + 1
    return max(high.bit_length(), 1)


@dataclass(frozen=True)
class Port:
    """Bits of an input bus of the module, from bit `offset`; the lowest `zeros` of them are always zero."""

    bus: str
    offset: int
    zeros: int = 0


@dataclass(frozen=True)
class Add:
    """`(a << a_shift) + (b << b_shift)`, or minus. Modulo the width of the result."""

    a: Signal
    b: Signal
    a_shift: int
    b_shift: int
    subtract: bool


@dataclass(frozen=True)
class Slice:
    """The bits of `a` from bit `at`, its sign repeated above, read as the result's kind of integer.

    A negative `at` appends so many zero bits.
    """

    a: Signal
    at: int


@dataclass(frozen=True)
class Select:
    """`a` where the bit `condition` is one, else `b`."""

    condition: Signal
    a: Signal
    b: Signal


@dataclass(frozen=True)
class Logic:
    """Bits combined: operator `&`, `|` or `^` over one-bit signals, each perhaps inverted."""

    operator: str
    bits: tuple[Signal, ...]
    inverted: tuple[bool, ...]


@dataclass(frozen=True)
class Reduce:
    """Operator `&` (all ones) or `|` (any one) over the bits `at` to `at + width - 1` of `a`."""

    operator: str
    a: Signal
    at: int
    width: int


@dataclass(frozen=True)
class Less:
    """Whether a < b."""

    a: Signal
    b: Signal


@dataclass(frozen=True)
class Multiply:
    """The product of two variables."""

    a: Signal
    b: Signal


@dataclass(frozen=True)
class Register:
    """`a`, one cycle later."""

    a: Signal


@dataclass(frozen=True)
class Lookup:
    """Entry `index` of the table module `table`, one cycle later."""

    table: str
    index: Signal


Cell = Port | Add | Slice | Select | Logic | Reduce | Less | Multiply | Register | Lookup


def operands(cell: Cell) -> tuple[Signal, ...]:
    """What a cell reads."""
    match cell:
        case Port():
            return ()
        case Add(a, b) | Less(a, b) | Multiply(a, b):
            return (a, b)
        case Slice(a) | Register(a) | Reduce(a=a):
            return (a,)
        case Select(condition, a, b):
            return (condition, a, b)
        case Logic(bits=bits):
            return bits
        case Lookup(index=index):
            return (index,)


def zeros_of(cell: Cell) -> int:
    """How many of the lowest bits of what a cell makes are always zero."""
    match cell:
        case Port(zeros=zeros):
            return zeros
        case Add(a, b, a_shift, b_shift):
            return min(_zeros(a) + a_shift, _zeros(b) + b_shift)
        case Slice(a, at):
            return max(_zeros(a) - at, 0)
        case Select(_, a, b):
            return min(_zeros(a), _zeros(b))
        case Register(a):
            return _zeros(a)
        case _:
            return 0


def _zeros(a: Signal) -> int:
    if not a.constant:
        return a.zeros
    return (a.low & -a.low).bit_length() - 1 if a.low else _ALL


@dataclass(frozen=True)
class Table:
    """A read-only memory: entry i for index i."""

    name: str
    entries: tuple[int, ...]

    @cached_property
    def width(self) -> int:
        """Bits of an entry."""
        return width_of(min(self.entries), max(self.entries))

    @property
    def index_width(self) -> int:
        """Bits of the index."""
        return width_of(0, len(self.entries) - 1)
