"""Verilog-2001 of netlists. Signals are bit vectors of exact width; every extension is written out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

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
    width_of,
)
from kbuild.emit.verilog.design import Bus, Module

LINE = 118


def file(*parts: str) -> str:
    """A source file: undeclared names are errors in it, and only in it."""
    return "`default_nettype none\n\n" + "\n".join(parts) + "\n`default_nettype wire\n"


def bits(width: int) -> str:
    """`[7:0] ` of a declaration; nothing for one bit."""
    return f"[{width - 1}:0] " if width > 1 else ""


def literal(value: int, width: int) -> str:
    """A constant as so many bits, two's complement."""
    return f"{width}'h{value & ((1 << width) - 1):x}"


def extended(text: str, sign: str | None, width: int, to: int) -> str:
    """Bits `text` of `width` bits made `to` bits wide: zeros above, or copies of the bit `sign`."""
    if to == width:
        return text
    if sign is None:
        return f"{{{literal(0, to - width)}, {text}}}"
    copies = sign if to - width == 1 else f"{{{to - width}{{{sign}}}}}"
    return f"{{{copies}, {text}}}"


def operand(a: Signal, width: int, shift: int = 0) -> str:
    """`a << shift` as exactly `width` bits; the higher ones are cut off."""
    if a.constant:
        return literal(a.low << shift, width)
    if shift >= width:
        return literal(0, width)
    body = field(a, 0, width - shift)
    return body if shift == 0 else f"{{{body}, {literal(0, shift)}}}"


def field(a: Signal, at: int, width: int) -> str:
    """Bits `at` to `at + width - 1` of a variable, extended above its highest."""
    sign = None
    if a.signed:
        sign = a.name if a.width == 1 else f"{a.name}[{a.width - 1}]"
    if at >= a.width:
        return literal(0, width) if sign is None else (sign if width == 1 else f"{{{width}{{{sign}}}}}")
    end = min(at + width, a.width)
    return extended(_part(a.name, a.width, at, end), sign, end - at, width)


def _part(name: str, width: int, at: int, end: int) -> str:
    if (at, end) == (0, width):
        return name
    return f"{name}[{at}]" if end == at + 1 else f"{name}[{end - 1}:{at}]"


def expression(signal: Signal, cell: Cell, buses: dict[str, Bus]) -> str:
    """The right-hand side that makes the signal: as wide as it."""
    width = signal.width
    match cell:
        case Port(bus, offset):
            return _part(bus, buses[bus].width, offset, offset + width)
        case Add():
            return _sum(cell, width)
        case Slice(a, at):
            return operand(a, width, -at) if at < 0 else field(a, at, width)
        case Select(condition, a, b):
            return f"{condition.name} ? {operand(a, width)} : {operand(b, width)}"
        case Logic(operator, ones, inverted):
            return f" {operator} ".join(f"{'~' * i}{b.name}" for b, i in zip(ones, inverted, strict=True))
        case Reduce(operator, a, at, count):
            return f"{operator}{field(a, at, count)}"
        case Less(a, b):
            low, high = min(a.low, b.low), max(a.high, b.high)
            common = width_of(low, high)
            if low >= 0:
                return f"{operand(a, common)} < {operand(b, common)}"
            return f"$signed({operand(a, common)}) < $signed({operand(b, common)})"
        case Multiply(a, b):
            if not (a.signed or b.signed):
                return f"{operand(a, a.width)} * {operand(b, b.width)}"
            return f"{_factor(a)} * {_factor(b)}"
    raise TypeError(f"{type(cell).__name__} is not an expression")


def _sum(cell: Add, width: int) -> str:
    """A sum or difference; low bits that one operand alone decides are not part of the adder."""
    a, a_shift, b, b_shift = cell.a, cell.a_shift, cell.b, cell.b_shift
    operator = "-" if cell.subtract else "+"
    if b_shift == 0 and a_shift > 0 and not cell.subtract:
        a, a_shift, b, b_shift = b, b_shift, a, a_shift
    if b.constant:
        twos = (b.low & -b.low).bit_length() - 1
        b, b_shift = constant(b.low >> twos), b_shift + twos
    if a_shift > 0 or a.constant or not 0 < b_shift < width:
        return f"{operand(a, width, a_shift)} {operator} {operand(b, width, b_shift)}"
    high = width - b_shift
    return f"{{{field(a, b_shift, high)} {operator} {operand(b, high)}, {field(a, 0, b_shift)}}}"


def _factor(a: Signal) -> str:
    """A signed operand: tools see the true width of what they multiply."""
    return f"$signed({operand(a, a.width if a.signed else a.width + 1)})"


def module(of: Module) -> str:
    """The Verilog of one layer."""
    buses = {bus.port: bus for bus in of.inputs}
    ports = ["input wire clk"] if of.clocked else []
    ports += [f"input wire {bits(bus.width)}{bus.port}" for bus in of.inputs]
    ports += [f"output wire {bits(of.output.width)}{of.output.port}"]
    lines = [*(f"// {line}" for line in of.about), *(bus_comment(bus) for bus in (*of.inputs, of.output))]
    lines += [f"module {of.name} (", *_separated(ports), ");"]
    tables = {table.name: table for table in of.tables}
    for signal, cell in of.cells:
        lines += _declared(signal, cell, buses, tables)
    registers = [(s, cell) for s, cell in of.cells if isinstance(cell, Register)]
    if registers:
        lines += ["", "    always @(posedge clk) begin"]
        lines += [f"        {s.name} <= {cell.a.name};" for s, cell in sorted(registers, key=lambda r: r[0].cycle)]
        lines += ["    end"]
    elements = [operand(s, of.output.type.width) for s in reversed(of.results)]
    lines += ["", f"    assign {of.output.port} = {concatenation(elements)};", "endmodule", ""]
    return "\n".join(lines)


def _declared(signal: Signal, cell: Cell, buses: dict[str, Bus], tables: dict[str, Table]) -> list[str]:
    if isinstance(cell, Register):
        return [f"    reg {bits(signal.width)}{signal.name};"]
    if isinstance(cell, Lookup):
        index = operand(cell.index, tables[cell.table].index_width)
        return [
            f"    wire {bits(signal.width)}{signal.name};",
            f"    {cell.table} u_{signal.name} (.clk(clk), .index({index}), .entry({signal.name}));",
        ]
    return [f"    wire {bits(signal.width)}{signal.name} = {expression(signal, cell, buses)};"]


def bus_comment(bus: Bus) -> str:
    """What is on a bus."""
    return f"// {bus.port}: {bus.elements} x {bus.type}, the first in the lowest bits"


def _separated(items: Sequence[str]) -> Iterable[str]:
    return (f"    {item}{',' if i + 1 < len(items) else ''}" for i, item in enumerate(items))


def concatenation(elements: Sequence[str]) -> str:
    """`{a, b, ...}` over as many lines as it needs."""
    if len(elements) == 1:
        return elements[0]
    lines, current = [], ""
    for i, element in enumerate(elements):
        element += "," if i + 1 < len(elements) else ""
        if current and len(current) + len(element) + 9 > LINE:
            lines.append(current)
            current = ""
        current += (" " if current else "") + element
    return "{\n" + "".join(f"        {line}\n" for line in (*lines, current)) + "    }"


def table(of: Table) -> str:
    """A read-only memory with a synchronous read, which tools map to block memory or to look-up tables."""
    lines = [
        f"module {of.name} (",
        "    input wire clk,",
        f"    input wire {bits(of.index_width)}index,",
        f"    output reg {bits(of.width)}entry",
        ");",
        "    /* verilator no_inline_module */  // one copy of its code, however often it is used",
        f"    reg {bits(of.width)}entries [0:{len(of.entries) - 1}];",
        "    initial begin",
        *(f"        entries[{i}] = {literal(value, of.width)};" for i, value in enumerate(of.entries)),
        "    end",
        "",
        "    always @(posedge clk) entry <= entries[index];",
        "endmodule",
        "",
    ]
    return "\n".join(lines)
