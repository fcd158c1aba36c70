"""The RTL simulation: the emitted Verilog, compiled by Verilator and run on batches, one sample a cycle."""

from __future__ import annotations

import ctypes
from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from kbuild.emit.verilog import print_design
from kbuild.emit.verilog.design import Design
from kbuild.emit.verilog.simulation import WRAPPER, observed, sources
from kbuild.engines.words import Words, from_words, limbs, words_of
from kbuild.errors import StageError
from kbuild.fixed import IntArray
from kbuild.ir import Graph
from kbuild.tools.process import write_atomically
from kbuild.tools.verilator import verilate

LIBRARY = "librtl.so"
LEAST_SAMPLES = 64  # a thread has to fill its own pipeline first


def build(design: Design, folder: Path, *, jobs: int = 2, project: Path | None = None) -> Path:
    """Write the Verilog and its wrapper into `folder`, compile them; return the shared library there.

    Raises MissingTool without Verilator or a compiler, StageError with a tool's first error.
    """
    folder.mkdir(parents=True, exist_ok=True)
    verilog = print_design(design)
    extra = sources(design)
    for name, text in {**verilog, **extra}.items():
        write_atomically(folder / name, text)
    files = [folder / f"{WRAPPER}.v", *(folder / name for name in verilog)]
    return verilate(files, WRAPPER, folder / "rtl_harness.cpp", folder / LIBRARY, build_dir=folder / "verilated",
                    log_dir=folder, jobs=jobs, project=project)


class Rtl:
    """A compiled design. `latency` and `interval` are in cycles, measured by the last run; None before."""

    def __init__(self, library: Path, graph: Graph, design: Design, threads: int = 2) -> None:
        """Load the library that `build` made of `design`, which `kbuild.emit.verilog.lower` made of `graph`."""
        self.graph = graph
        self.latency: int | None = None
        self.interval: float | None = None
        self._ports = observed(design)
        self._threads = threads
        self._run = ctypes.CDLL(str(library)).kbuild_rtl_run
        self._run.restype = ctypes.c_int64
        self._run.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64, ctypes.c_void_p, ctypes.c_void_p]

    def run(self, inputs: Mapping[str, IntArray], keep: Collection[str] | None = None) -> dict[str, IntArray]:
        """Run on integer inputs by node name, samples first; return the values named (default: the outputs).

        Raises StageError when the design marks another number of outputs valid than there were inputs.
        """
        kept = dict.fromkeys(self.graph.outputs if keep is None else keep)
        given = [words_of(node, inputs) for node in self.graph.inputs]
        samples = len(given[0])
        results: dict[str, Words] = {}
        for name in kept:
            node = self.graph[name]
            results[name] = np.zeros((samples, *node.shape, limbs(node.fixed())), np.int64)
        parts = max(min(self._threads, samples // LEAST_SAMPLES), 1)
        bounds = [samples * i // parts for i in range(parts + 1)]

        def run_part(part: int) -> tuple[int, int]:
            return self._part(given, results, slice(bounds[part], bounds[part + 1]))

        with ThreadPoolExecutor(parts) as pool:  # ctypes lets go of the interpreter's lock during the call
            (first, last), *_ = pool.map(run_part, range(parts))
        if bounds[1] > 0:
            self.latency = first
            self.interval = (last - first) / (bounds[1] - 1) if bounds[1] > 1 else None
        return {name: from_words(words, self.graph[name].fixed()) for name, words in results.items()}

    def _part(self, given: list[Words], results: dict[str, Words], rows: slice) -> tuple[int, int]:
        """Some of the samples in a simulation of their own; the cycles of the first and of the last output."""
        samples = rows.stop - rows.start
        parts = [np.ascontiguousarray(words[rows]) for words in given]
        wanted = dict(results)
        targets = [wanted.pop(name)[rows].ctypes.data if name in wanted else None for name in self._ports]
        first, last = ctypes.c_int64(-1), ctypes.c_int64(-1)
        valid = self._run(
            (ctypes.c_void_p * max(len(parts), 1))(*(words.ctypes.data for words in parts)),
            (ctypes.c_void_p * len(targets))(*targets),
            samples, ctypes.byref(first), ctypes.byref(last),
        )
        if valid != samples:
            raise StageError(f"the simulated Verilog marked {valid} outputs valid after {samples} inputs")
        return first.value, last.value
