"""Graphviz: from a graph in its own language to a picture."""

from __future__ import annotations

import tempfile
from pathlib import Path

from kbuild.tools.process import ToolSpec, find, run

DOT = ToolSpec(
    name="Graphviz",
    programs=("dot",),
    needed_for="pictures of graphs other than .svg and .dot",
    how_to_get="your system's package graphviz (apt install graphviz), or write a .svg file",
    version_arguments=("-V",),
    error_pattern=r"^Error.*",
)
_TIMEOUT = 120.0


def render(text: str, kind: str, dpi: int) -> bytes:
    """The picture of a graph, `kind` as dot's -T takes it. Raises MissingTool, StageError."""
    program = find(DOT)
    with tempfile.TemporaryDirectory(prefix="kbuild-") as folder:
        source, target = Path(folder, "graph.dot"), Path(folder, f"graph.{kind}")
        source.write_text(text, encoding="utf-8")
        arguments = [f"-T{kind}", f"-Gdpi={dpi}", "-o", target.name, source.name]
        run(program, arguments, cwd=Path(folder), log=Path(folder, "dot.log"), timeout=_TIMEOUT)
        return target.read_bytes()
