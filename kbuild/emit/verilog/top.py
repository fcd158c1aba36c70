"""Verilog of the top module and of the delays between layers."""

from __future__ import annotations

from kbuild.emit.verilog.design import Delay, Design, Instance
from kbuild.emit.verilog.text import bits, bus_comment


def top(design: Design) -> str:
    """The top module."""
    ports = ["input wire clk", "input wire rst", "input wire in_valid"]
    ports += [f"input wire {bits(bus.width)}{bus.port}" for bus in design.inputs]
    ports += ["output wire out_valid"]
    ports += [f"output wire {bits(bus.width)}{bus.port}" for bus in design.outputs]
    lines = [
        f"// Outputs come {design.latency} cycles after their inputs; new inputs are taken every cycle. in_valid marks",
        "// inputs, out_valid the outputs that belong to them; rst (synchronous, active high) clears the marks only.",
        *(bus_comment(bus) for bus in (*design.inputs, *design.outputs)),
        f"module {design.name} (",
        ",\n".join(f"    {port}" for port in ports),
        ");",
        f"    reg {bits(design.latency)}valid;",
        "    always @(posedge clk) begin",
        f"        if (rst) valid <= {design.latency}'d0;",
        f"        else valid <= {_shifted(design.latency)};",
        "    end",
        f"    assign out_valid = valid{f'[{design.latency - 1}]' if design.latency > 1 else ''};",
        "",
    ]
    for part in design.parts:
        lines += _delay(part) if isinstance(part, Delay) else _instance(part)
    lines += [f"    assign {bus.port} = {wire};" for bus, wire in zip(design.outputs, design.results, strict=True)]
    return "\n".join([*lines, "endmodule", ""])


def _shifted(latency: int) -> str:
    if latency == 1:
        return "in_valid"
    return "{valid, in_valid}" if latency == 0 else f"{{valid[{latency - 2}:0], in_valid}}"


def _delay(part: Delay) -> list[str]:
    return [
        f"    wire {bits(part.width)}{part.output};",
        f"    kb_delay #(.WIDTH({part.width}), .CYCLES({part.cycles})) u_{part.output}"
        f" (.clk(clk), .d({part.input}), .q({part.output}));",
        "",
    ]


def _instance(part: Instance) -> list[str]:
    module = part.module
    ports = [".clk(clk)"] if module.clocked else []
    ports += [f".{bus.port}({wire})" for bus, wire in zip(module.inputs, part.inputs, strict=True)]
    ports += [f".{module.output.port}({part.output})"]
    return [
        f"    wire {bits(module.output.width)}{part.output};",
        f"    {module.name} u_{part.name} ({', '.join(ports)});",
        "",
    ]
