"""What the RTL simulation adds to a design: a wrapper that brings every layer's value out, and a list of ports."""

from __future__ import annotations

from kbuild.emit.verilog.design import Bus, Design
from kbuild.emit.verilog.text import bits, file
from kbuild.resources import resource

WRAPPER = "kbuild_rtl"


def sources(design: Design) -> dict[str, str]:
    """Files of the wrapper and of the C++ harness."""
    return {
        f"{WRAPPER}.v": _wrapper(design),
        "ports.h": _ports(design),
        "rtl_harness.cpp": resource("backends", "verilog", "rtl_harness.cpp").read_text(encoding="utf-8"),
    }


def observed(design: Design) -> tuple[str, ...]:
    """The node behind each output port of the wrapper: the model's outputs, then every node."""
    return (*(bus.node for bus in design.outputs), *design.wires)


def _wrapper(design: Design) -> str:
    inputs, outputs = design.inputs, (*design.outputs, *design.wires.values())
    ports = ["input wire clk", "input wire rst", "input wire in_valid", "output wire out_valid"]
    ports += [f"input wire {bits(bus.width)}i{n}" for n, bus in enumerate(inputs)]
    ports += [f"output wire {bits(bus.width)}o{n}" for n, bus in enumerate(outputs)]
    connections = [f".{name}({name})" for name in ("clk", "rst", "in_valid", "out_valid")]
    connections += [f".{bus.port}(i{n})" for n, bus in enumerate(inputs)]
    connections += [f".{bus.port}(o{n})" for n, bus in enumerate(design.outputs)]
    inner = [f"    assign o{n} = dut.{bus.port};" for n, bus in enumerate(outputs) if n >= len(design.outputs)]
    return file(
        f"module {WRAPPER} (",
        ",\n".join(f"    {port}" for port in ports),
        ");",
        f"    {design.name} dut ({', '.join(connections)});",
        *inner,
        "endmodule",
    )


def _ports(design: Design) -> str:
    inputs = [_port(f"i{n}", bus, 0) for n, bus in enumerate(design.inputs)]
    outputs = [_port(f"o{n}", bus, -1) for n, bus in enumerate(design.outputs)]
    for n, (node, bus) in enumerate(design.wires.items(), len(outputs)):
        outputs.append(_port(f"o{n}", bus, design.cycles[node]))
    lines = [f"constexpr std::int64_t kLatency = {design.latency};", ""]
    for name, ports in (("input_ports", inputs), ("output_ports", outputs)):
        lines += [f"std::vector<Port> {name}(Vkbuild_rtl& top) {{", "    return {", *ports, "    };", "}", ""]
    return "\n".join(lines)


def _port(name: str, bus: Bus, cycle: int) -> str:
    signed = "true" if bus.type.signed else "false"
    return f"        {{&top.{name}, sizeof top.{name}, {bus.elements}, {bus.type.width}, {signed}, {cycle}}},"
