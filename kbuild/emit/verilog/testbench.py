"""The testbench of a project. It reads the vectors that `kbuild.emit.hls.testbench.vectors` writes for any backend."""

from __future__ import annotations

from collections.abc import Sequence

from kbuild.emit.verilog.design import Bus, Design
from kbuild.emit.verilog.text import bits
from kbuild.resources import resource

READABLE_BITS = 64  # what $fscanf reads everywhere


def files(design: Design, sources: Sequence[str]) -> dict[str, str]:
    """Testbench and Makefile; none for ports with wider elements than simulators read from text."""
    if any(bus.type.width > READABLE_BITS for bus in (*design.inputs, *design.outputs)):
        return {}
    makefile = resource("backends", "verilog", "Makefile").read_text(encoding="utf-8")
    verilog = " ".join(f"firmware/{name}" for name in sources)
    return {"tb/testbench.sv": testbench(design), "Makefile": makefile.replace("@SOURCES@", verilog)}


def testbench(design: Design) -> str:
    """SystemVerilog that ends with an error when an output differs from the vectors."""
    template = resource("backends", "verilog", "testbench.sv").read_text(encoding="utf-8")
    ports = [f"reg {bits(bus.width)}{bus.port}_in;" for bus in design.inputs]
    ports += [f"wire {bits(bus.width)}{bus.port}_out;" for bus in design.outputs]
    connections = [f".{bus.port}({bus.port}_in)" for bus in design.inputs]
    connections += [f".{bus.port}({bus.port}_out)" for bus in design.outputs]
    filled = {
        "@NAME@": design.name,
        "@LATENCY@": str(design.latency),
        "@PORTS@": "\n    ".join(ports),
        "@CONNECTIONS@": ",\n        ".join(connections),
        "@READ@": "\n        ".join(_reading(bus) for bus in design.inputs),
        "@COMPARE@": "\n        ".join(_comparing(bus) for bus in design.outputs),
    }
    for mark, text in filled.items():
        template = template.replace(mark, text)
    return template


def _element(bus: Bus, name: str) -> str:
    return f"{name}[i*{bus.type.width} +: {bus.type.width}]" if bus.width > 1 else name


def _reading(bus: Bus) -> str:
    target = _element(bus, f"{bus.port}_in")
    return f"for (i = 0; i < {bus.elements}; i = i + 1) begin next_input; {target} = value[{bus.type.width - 1}:0]; end"


def _comparing(bus: Bus) -> str:
    found = _element(bus, f"{bus.port}_out")
    return (
        f"for (i = 0; i < {bus.elements}; i = i + 1) begin next_output; "
        f'compare("{bus.port}", {found} === value[{bus.type.width - 1}:0]); end'
    )
