"""From a graph with fixed-point types to a pipelined design: a module a layer, their delays balanced."""

from __future__ import annotations

import math
from collections.abc import Sequence

from kbuild.emit.target import Target
from kbuild.emit.verilog.cells import Cell, Lookup, Signal, operands
from kbuild.emit.verilog.design import Bus, Delay, Design, Instance, Module
from kbuild.emit.verilog.layers import lower_node
from kbuild.emit.verilog.limits import check
from kbuild.emit.verilog.names import Names
from kbuild.emit.verilog.netlist import Netlist
from kbuild.emit.verilog.timing import Clock
from kbuild.emit.verilog.value import Value, array
from kbuild.ir import Graph, Node

INPUT_CYCLE = 1  # inputs are registered first


def lower(graph: Graph, target: Target) -> Design:
    """Decide every signal, register and name. Raises UnsupportedModel for a design beyond the limits."""
    check(graph, target.backend)
    return _Lowering(graph, target).design()


class _Lowering:
    def __init__(self, graph: Graph, target: Target) -> None:
        self.graph = graph
        self.clock = Clock.of(target.part, target.clock_period, target.clock_uncertainty)
        self.modules = Names(["kb_delay"])
        self.top = self.modules.new(target.project_name)
        self.names = Names(["clk", "rst", "in_valid", "out_valid", "valid"])
        self.ports = {node.name: self.names.new(node.name) for node in graph.inputs}
        self.outputs = [self.names.new(name if name not in self.ports else f"{name}_out") for name in graph.outputs]
        self.parts: list[Delay | Instance] = []
        self.wires: dict[str, Bus] = {}
        self.sources: dict[str, list[Signal]] = {}  # what each element of a bus is in the module that makes it
        self.arrival: dict[str, tuple[int, int]] = {}  # cycle, and picoseconds in it
        self.delayed: dict[tuple[str, int], str] = {}

    def design(self) -> Design:
        """The whole design."""
        for node in self.graph:
            if node.op.kind == "input":
                self._input(node)
            else:
                self._layer(node)
        latency = max(self.arrival[name][0] + (self.arrival[name][1] > 0) for name in self.graph.outputs)
        buses = tuple(self._bus(self.graph[n], p) for n, p in zip(self.graph.outputs, self.outputs, strict=True))
        return Design(
            name=self.top,
            inputs=tuple(self._bus(node, self.ports[node.name]) for node in self.graph.inputs),
            outputs=buses,
            results=tuple(self._wire(name, latency) for name in self.graph.outputs),
            parts=tuple(self.parts),
            wires=self.wires,
            cycles={name: cycle for name, (cycle, _) in self.arrival.items()},
            latency=latency,
        )

    def _bus(self, node: Node, port: str) -> Bus:
        return Bus(node.name, port, math.prod(node.shape), node.fixed())

    def _input(self, node: Node) -> None:
        wire = self.names.new(f"{node.name}_in")
        self.wires[node.name] = bus = self._bus(node, wire)
        self.sources[node.name] = [Signal("", bus.type.min, bus.type.max)] * bus.elements
        self.arrival[node.name] = INPUT_CYCLE, 0
        self.parts.append(Delay(self.ports[node.name], wire, bus.width, INPUT_CYCLE))

    def _wire(self, name: str, cycle: int) -> str:
        """The wire with the node's value in that cycle."""
        bus, cycles = self.wires[name], cycle - self.arrival[name][0]
        if cycles == 0:
            return bus.port
        if (name, cycle) not in self.delayed:
            wire = self.delayed[name, cycle] = self.names.new(f"{name}_at{cycle}")
            self.parts.append(Delay(bus.port, wire, bus.width, cycles))
        return self.delayed[name, cycle]

    def _layer(self, node: Node) -> None:
        start = max((self.arrival[name][0] for name in node.inputs), default=INPUT_CYCLE)
        sources = dict.fromkeys(node.inputs)
        inner = Names(["clk"])
        ports = {name: inner.new("x" if len(sources) == 1 else f"x{i}") for i, name in enumerate(sources)}
        module_name = self.modules.new(f"{self.top}_{node.name}")
        net = Netlist(self.clock, module_name)
        values = {name: self._read(net, self.graph[name], ports[name], start) for name in sources}
        signals = lower_node(net, node, [values[name] for name in node.inputs])
        results, cycle, time = net.align(list(signals.ravel()), 0)
        wire = self.names.new(f"{node.name}_out")
        bus = self._bus(node, wire)
        cells = _used(net, results)
        read = {cell.table for _, cell in cells if isinstance(cell, Lookup)}
        module = Module(
            name=module_name,
            about=self._about(node),
            inputs=tuple(self._bus(self.graph[name], ports[name]) for name in sources),
            output=self._bus(node, inner.new("y")),
            cells=cells,
            results=tuple(results),
            tables=tuple(table for table in net.tables if table.name in read),
        )
        inputs = tuple(self._wire(name, start) for name in sources)
        self.parts.append(Instance(self.names.new(node.name), module, inputs, wire))
        self.wires[node.name] = bus
        self.sources[node.name] = results
        self.arrival[node.name] = max(cycle, start), time

    def _read(self, net: Netlist, node: Node, port: str, cycle: int) -> Value:
        """The value of a node as it enters a module in that cycle."""
        arrived = self.arrival[node.name]
        arrival = arrived if arrived[0] == cycle else (cycle, 0)
        width = node.fixed().width
        signals = [net.port(port, i, width, s, arrival) for i, s in enumerate(self.sources[node.name])]
        return Value(array(signals, node.shape), node.fixed())

    def _about(self, node: Node) -> tuple[str, ...]:
        inputs = ", ".join(f"{n.fixed()}{list(n.shape)}" for n in self.graph.inputs_of(node))
        return (f"{node.op.kind}: {inputs or 'no input'} -> {node.fixed()}{list(node.shape)}",)


def _used(net: Netlist, results: Sequence[Signal]) -> tuple[tuple[Signal, Cell], ...]:
    """The cells that the results need, in order."""
    needed = set(results)
    kept = []
    for signal, cell in reversed(net.cells.items()):
        if signal in needed:
            kept.append((signal, cell))
            needed.update(operands(cell))
    return tuple(reversed(kept))


