"""What is printed: modules, tables, and how the top module connects them. Everything is decided by then."""

from __future__ import annotations

from kbuild.dataclass import dataclass
from kbuild.emit.verilog.cells import Add, Cell, Lookup, Register, Signal, Table
from kbuild.fixed import FixedType


@dataclass(frozen=True)
class Bus:
    """A bundle of equal elements: element i is bits `i * type.width` and up. `port` is its name in Verilog."""

    node: str
    port: str
    elements: int
    type: FixedType

    @property
    def width(self) -> int:
        """Bits of the whole bus."""
        return self.elements * self.type.width


@dataclass(frozen=True)
class Module:
    """One layer: elements of input buses in, elements of `output` out, `cycles` later."""

    name: str
    about: tuple[str, ...]  # comment lines
    inputs: tuple[Bus, ...]
    output: Bus
    cells: tuple[tuple[Signal, Cell], ...]
    results: tuple[Signal, ...]
    tables: tuple[Table, ...]

    @property
    def clocked(self) -> bool:
        """Whether it has a clock: some layers are only wires and logic."""
        return any(isinstance(cell, Register | Lookup) for _, cell in self.cells)

    @property
    def adders(self) -> int:
        """Number of adders and subtracters."""
        return sum(isinstance(cell, Add) for _, cell in self.cells)


@dataclass(frozen=True)
class Delay:
    """A bus some cycles later: `output` is `input` after `cycles` registers."""

    input: str
    output: str
    width: int
    cycles: int


@dataclass(frozen=True)
class Instance:
    """A layer in the top module: the wires at its inputs, in the order of the module's, and at its output."""

    name: str
    module: Module
    inputs: tuple[str, ...]
    output: str


@dataclass(frozen=True)
class Design:
    """A top module. `latency` is the number of cycles from in_valid to out_valid; a sample can enter every cycle.

    `wires` and `cycles` say for each node of the graph which wire of the top module has its value, and how many
    cycles after its inputs.
    """

    name: str
    inputs: tuple[Bus, ...]
    outputs: tuple[Bus, ...]
    parts: tuple[Delay | Instance, ...]
    results: tuple[str, ...]  # the wire of each output
    wires: dict[str, Bus]
    cycles: dict[str, int]
    latency: int
    interval: int = 1

    @property
    def modules(self) -> tuple[Module, ...]:
        """The layers, in order."""
        return tuple(part.module for part in self.parts if isinstance(part, Instance))
