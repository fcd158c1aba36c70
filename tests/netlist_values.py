"""Netlists evaluated in Python integers: checks every bound, every width and that operands meet in one cycle.

A slice may cut off more than it should where its value is not used: such elements are marked, and the marks must be
gone, by selections of something else, before a layer's result.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

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
    operands,
)
from kbuild.emit.verilog.design import Delay, Design, Module
from kbuild.fixed import IntArray, compact, wide

Values = dict[Signal, IntArray]
Marks = dict[Signal, NDArray[np.bool_]]


def run(design: Design, inputs: Mapping[str, IntArray]) -> dict[str, IntArray]:
    """Every node's value [samples, elements], from integers [samples, elements] by input node."""
    wires = {bus.port: wide(inputs[bus.node].reshape(len(inputs[bus.node]), -1)) for bus in design.inputs}
    at = {bus.port: 0 for bus in design.inputs}
    for part in design.parts:
        if isinstance(part, Delay):
            assert wires[part.input].shape[1] > 0 and part.cycles > 0
            wires[part.output], at[part.output] = wires[part.input], at[part.input] + part.cycles
            continue
        start = {at[wire] for wire in part.inputs}
        assert len(start) <= 1, f"{part.name} reads values of different cycles"
        values = module_values(part.module, [wires[wire] for wire in part.inputs], start)
        wires[part.output] = values
        at[part.output] = design.cycles[part.module.output.node]
    for bus, wire in zip(design.outputs, design.results, strict=True):
        assert at[wire] == design.latency
        assert np.array_equal(wires[wire], wires[design.wires[bus.node].port])
    return {node: compact(wires[bus.port]) for node, bus in design.wires.items()}


def module_values(module: Module, inputs: list[IntArray], start: set[int]) -> IntArray:
    """[samples, elements] of a module's output."""
    buses = dict(zip((bus.port for bus in module.inputs), zip(module.inputs, inputs, strict=True), strict=True))
    tables = {table.name: table.entries for table in module.tables}
    values: Values = {}
    good: Marks = {}
    samples = max((len(x) for x in inputs), default=1)
    for signal, cell in module.cells:
        if isinstance(cell, Port):
            bus, data = buses[cell.bus]
            value = data[:, cell.offset // bus.type.width]
            assert start == {signal.cycle}
        else:
            value = _value(cell, signal, values, tables)
            _check_time(cell, signal)
        inside = np.asarray((value >= signal.low) & (value <= signal.high), dtype=bool)
        good[signal] = _good(cell, values, good, samples)
        if isinstance(cell, Slice):
            good[signal] &= inside
        assert (inside | ~good[signal]).all(), f"{signal} has values {value.min()}..{value.max()} by {cell}"
        assert not (wide(value) & ((1 << signal.zeros) - 1)).any(), f"{signal} has low bits other than zero, by {cell}"
        values[signal] = value
    assert all(good[s].all() for s in module.results if not s.constant)
    columns = [_read(values, s, samples) for s in module.results]
    cycles = {s.cycle for s in module.results if not s.constant}
    assert len(cycles) <= 1
    return np.stack(columns, axis=1)


def _good(cell: Cell, values: Values, good: Marks, samples: int) -> NDArray[np.bool_]:
    """Where the cell's operands are what their bounds say."""

    def of(s: Signal) -> NDArray[np.bool_]:
        return np.ones(samples, bool) if s.constant else good[s]

    if isinstance(cell, Select):
        chosen = np.where(_read(values, cell.condition, samples) == 1, of(cell.a), of(cell.b))
        return np.asarray(of(cell.condition) & chosen)
    return np.logical_and.reduce([np.ones(samples, bool), *(of(s) for s in operands(cell))])


def _check_time(cell: Cell, signal: Signal) -> None:
    cycles = {s.cycle for s in operands(cell) if not s.constant}
    later = isinstance(cell, Register | Lookup)
    assert cycles == {signal.cycle - later}, f"{cell} reads signals of cycles {cycles} for {signal.cycle}"


def _read(values: Values, s: Signal, samples: int = 1) -> IntArray:
    if s.constant:
        return np.array([s.low] * samples, dtype=object)
    return values[s]


def _as_bits(value: IntArray, signal: Signal) -> IntArray:
    """The signal's kind of integer from any integer with the same low bits."""
    low = value & ((1 << signal.width) - 1)
    if not signal.signed:
        return low
    return low - ((low >> (signal.width - 1)) << signal.width)


def _value(cell: Cell, signal: Signal, values: Values, tables: Mapping[str, tuple[int, ...]]) -> IntArray:
    def read(s: Signal) -> IntArray:
        return _read(values, s)

    match cell:
        case Add(a, b, a_shift, b_shift, subtract):
            right = read(b) << b_shift
            return _as_bits((read(a) << a_shift) + (-right if subtract else right), signal)
        case Slice(a, at):
            return _as_bits(read(a) << -at if at < 0 else read(a) >> at, signal)
        case Select(condition, a, b):
            return _as_bits(np.where(read(condition) == 1, read(a), read(b)), signal)
        case Logic(operator, ones, inverted):
            all_ones = np.stack([np.atleast_1d(read(s)) ^ int(i) for s, i in zip(ones, inverted, strict=True)])
            return (all_ones.min(axis=0) if operator == "&" else all_ones.max(axis=0)) | 0
        case Reduce(operator, a, at, width):
            field = (read(a) >> at) & ((1 << width) - 1)
            return np.where(field != 0 if operator == "|" else field == (1 << width) - 1, 1, 0).astype(object)
        case Less(a, b):
            return np.where(read(a) < read(b), 1, 0).astype(object)
        case Multiply(a, b):
            return read(a) * read(b)
        case Register(a):
            return read(a)
        case Lookup(table, index):
            return np.array([tables[table][int(i) % len(tables[table])] for i in read(index)], dtype=object)
    raise TypeError(cell)
