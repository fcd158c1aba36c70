"""The C simulation of many cases at once: their graphs side by side in one library: it is compiling that costs."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from conformance.check import CRASHED, WRONG, Trial
from kbuild.engines import csim
from kbuild.engines.csim_stream import StreamCSim
from kbuild.errors import KbuildError
from kbuild.fixed import IntArray, wide
from kbuild.ir import Graph, Node, verify
from kbuild.tools.cxx import Options, compile_shared

OPTIONS = Options(optimise="-O1")


def side_by_side(graphs: Sequence[Graph]) -> Graph:
    """One graph of all: their nodes with a prefix each, inputs and outputs of all."""
    nodes: list[Node] = []
    for number, graph in enumerate(graphs):
        for node in graph:
            names = tuple(prefixed(number, name) for name in node.inputs)
            nodes.append(replace(node, name=prefixed(number, node.name), inputs=names))
    outputs = tuple(prefixed(number, name) for number, graph in enumerate(graphs) for name in graph.outputs)
    return verify(Graph("cases", tuple(nodes), outputs))


def prefixed(number: int, name: str) -> str:
    """The name of a node of the graph of that number."""
    return f"g{number}_{name}"


def simulate(trials: Sequence[Trial]) -> None:
    """Run all trials of one io type in one library; where it does not compile, the halves of them.

    The outcome of each remembers that it ran, and the first difference.
    """
    if not trials:
        return
    try:
        failures = _failures(trials)
    except KbuildError as error:
        if len(trials) == 1:
            trials[0].outcome.fail(CRASHED, f"{trials[0].label}, {trials[0].io_type}: C simulation: {error}")
            return
        half = len(trials) // 2
        simulate(trials[:half])
        simulate(trials[half:])
        return
    for trial in trials:
        trial.outcome.simulated.add(trial.io_type)
    for trial, message in failures:
        trial.outcome.fail(WRONG, f"{trial.label}, {trial.io_type}: {message}")


def _failures(trials: Sequence[Trial]) -> list[tuple[Trial, str]]:
    graph = side_by_side([trial.graph for trial in trials])
    inputs = {prefixed(i, name): x for i, trial in enumerate(trials) for name, x in trial.inputs.items()}
    with tempfile.TemporaryDirectory(prefix="conformance-") as folder:
        found = _run(graph, inputs, trials[0].io_type, Path(folder))
    failures = []
    for number, trial in enumerate(trials):
        for node in trial.graph:
            wanted, given = wide(trial.values[node.name]), wide(found[prefixed(number, node.name)])
            if wanted.shape != given.shape or not np.array_equal(wanted, given):
                types = [str(trial.graph[name].fixed()) for name in node.inputs]
                message = f"the C simulation differs at {node.name}: {node.op} of {types} as {node.type}"
                failures.append((trial, message))
                break
    return failures


def _run(graph: Graph, inputs: dict[str, IntArray], io_type: str, folder: Path) -> dict[str, IntArray]:
    """Every value; with streams all processes run beside each other, on FIFOs as deep as those of the design."""
    texts = csim.sources(graph, io_type)
    for path, text in texts.items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    library = folder / csim.LIBRARY
    compiled = [folder / path for path in texts if path.endswith(".cpp")]
    compile_shared(compiled, library, build_dir=folder, log_dir=folder, options=OPTIONS)
    names = [node.name for node in graph]
    if io_type == "io_stream":
        return StreamCSim(library, graph, threads=1).run_bounded(inputs, names).values
    return csim.CSim(library, graph, threads=1).run(inputs, names)
