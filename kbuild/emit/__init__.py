"""Graph and target to the files of a project: pure, no clock, no disk but the templates."""

from __future__ import annotations

from kbuild.emit.target import Target
from kbuild.ir import Graph

__all__ = ["Target", "check", "emit"]


def check(graph: Graph, backend: str) -> None:
    """Raise UnsupportedModel for a design that is too large for the backend, before any time is spent on it."""
    if backend == "Yosys":
        from kbuild.emit.verilog import limits as verilog

        verilog.check(graph, backend)
    else:
        from kbuild.emit.hls import limits as hls

        hls.check(graph, backend)


def emit(graph: Graph, target: Target) -> dict[str, str | bytes]:
    """The files of the design by path relative to `OutputDir`, for a graph whose types are resolved.

    Raises ValueError for an unknown backend, UnsupportedModel for what the backend's languages cannot say.
    """
    if target.backend in ("Vivado", "Vitis"):
        from kbuild.emit import hls

        return hls.emit(graph, target)
    if target.backend == "Yosys":
        from kbuild.emit import verilog

        return verilog.emit(graph, target)
    raise ValueError(f"nothing is printed for the backend {target.backend}")
