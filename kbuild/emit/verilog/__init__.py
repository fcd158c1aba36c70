"""Verilog for the open tools, and for any other: fully pipelined, weights in the logic, one sample a cycle."""

from __future__ import annotations

from kbuild.emit.target import Target
from kbuild.emit.verilog import testbench
from kbuild.emit.verilog.design import Design
from kbuild.emit.verilog.lower import lower
from kbuild.emit.verilog.text import file, module, table
from kbuild.emit.verilog.top import top
from kbuild.ir import Graph
from kbuild.resources import resource

__all__ = ["emit", "lower", "print_design"]


def emit(graph: Graph, target: Target) -> dict[str, str | bytes]:
    """The files of the project: `firmware/` and, to run it by hand, `tb/` and a Makefile."""
    design = lower(graph, target)
    printed = print_design(design)
    sources = [name for name in printed if name.endswith(".v")]
    return {**{f"firmware/{name}": text for name, text in printed.items()}, **testbench.files(design, sources)}


def print_design(design: Design) -> dict[str, str]:
    """The Verilog sources by file name: a file a layer and a file a table; and what Verilator need not warn of."""
    files = {f"{design.name}.v": file(top(design))}
    for of in design.modules:
        files[f"{of.name}.v"] = file(module(of))
        files.update({f"{t.name}.v": file(table(t)) for t in of.tables})
    for name in ("kb_delay.v", "lint.vlt"):
        files[name] = resource("backends", "verilog", name).read_text(encoding="utf-8")
    return files
