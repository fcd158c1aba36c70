"""The C simulation: the firmware's kernels, compiled for this machine and run on batches."""

from __future__ import annotations

import ctypes
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from kbuild.emit.hls.simulation import MAIN, Simulation, simulation, sources
from kbuild.engines.natives import from_natives, native, places, to_natives
from kbuild.errors import StageError
from kbuild.fixed import IntArray
from kbuild.ir import Graph
from kbuild.tools.cxx import Options, compile_shared
from kbuild.tools.process import write_atomically

__all__ = ["CSim", "build", "fingerprint", "sources"]

LIBRARY = "libcsim.so"
# Unrolling as -O3 does it breaks up the loops over outputs before they are vectorised: code that takes longer to
# compile and runs at half the speed. Short loops are peeled all the same, which dense layers gain from.
OPTIONS = Options(optimise="-O2", flags=("-ftree-vectorize", "-fpeel-loops"))
_QUICK = Options(optimise="-Og")  # of `MAIN` where the arithmetic is in files of its own
_LEAST_WORK = 1 << 18  # multiplications a thread should have to be worth starting


def fingerprint(texts: Mapping[str, str], compiler: str) -> str:
    """A key for the compiled library: the sources, the options and the compiler's `kbuild.tools.cxx.identity`."""
    body = json.dumps([sorted(texts.items()), OPTIONS.arguments(), _QUICK.arguments(), compiler])
    return hashlib.sha256(body.encode()).hexdigest()[:32]


def build(graph: Graph, folder: Path, *, io_type: str = "io_parallel", project: Path | None = None) -> Path:
    """Write the sources into `folder` and compile them; return the shared library there.

    Raises MissingTool without a compiler, StageError with the compiler's first error.
    """
    texts = sources(graph, io_type)
    for path, text in texts.items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(file, text)
    compiled = [folder / path for path in texts if path.endswith(".cpp")]
    special = {folder / MAIN: _QUICK} if len(compiled) > 1 else {}
    return compile_shared(compiled, folder / LIBRARY, build_dir=folder, log_dir=folder, options=OPTIONS,
                          special=special, jobs=os.cpu_count() or 1, project=project)  # fmt: skip


class CSim:
    """A compiled library with the weights of one graph. Any number of them may share a library and run at once."""

    io_type = "io_parallel"

    def __init__(self, library: Path, graph: Graph, threads: int | None = None) -> None:
        """Load the library that `build` made of a graph of this structure, and the graph's constants into it.

        Calls use up to `threads` threads (default: one a processor). Raises ValueError for the library of a graph of
        another structure.
        """
        self.graph = graph
        self._threads = threads or os.cpu_count() or 1
        made = simulation(graph, self.io_type)
        self._c = _opened(library, graph, made)
        self._c.kbuild_new.restype = ctypes.c_void_p
        self._c.kbuild_new.argtypes = []
        self._c.kbuild_delete.argtypes = [ctypes.c_void_p]
        self._c.kbuild_delete.restype = None
        self._c.kbuild_load.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p]
        self._c.kbuild_load.restype = None
        self._c.kbuild_run.argtypes = [ctypes.c_void_p] * 3 + [ctypes.c_int64]
        self._c.kbuild_run.restype = ctypes.c_char_p
        self._constants = ctypes.c_void_p(self._c.kbuild_new())
        for index, constant in enumerate(made.constants):
            values = to_natives(constant.tensor.data, constant.type)
            self._c.kbuild_load(self._constants, index, values.ctypes.data)
        self._work = sum(constant.size for constant in made.constants) + sum(int(np.prod(n.shape)) for n in graph)

    def __del__(self) -> None:
        if "_constants" in self.__dict__:
            self._c.kbuild_delete(self._constants)

    def run(self, inputs: Mapping[str, IntArray], keep: Collection[str] | None = None) -> dict[str, IntArray]:
        """Run on integer inputs by node name, samples first; return the values named (default: the outputs).

        Raises ValueError for inputs that are not of their shape and type, StageError when a kernel does what it must
        not, which is an error in kbuild.
        """
        given = checked(self.graph, inputs)
        samples = len(given[0]) if given else 0
        parts = max(min(self._threads, samples, samples * self._work // _LEAST_WORK), 1)

        def run_part(part: int) -> dict[str, IntArray]:
            rows = slice(samples * part // parts, samples * (part + 1) // parts)
            batch = Batch(self.graph, [values[rows] for values in given], keep)
            check(self._c.kbuild_run(self._constants, batch.sources, batch.targets, batch.samples))
            return batch.values()

        if parts == 1:
            return run_part(0)
        with ThreadPoolExecutor(parts) as pool:  # ctypes lets go of the interpreter's lock during the call
            found = list(pool.map(run_part, range(parts)))
        return {name: np.concatenate([values[name] for values in found]) for name in found[0]}


def checked(graph: Graph, inputs: Mapping[str, IntArray]) -> list[IntArray]:
    """The inputs in order. Raises ValueError when one is missing or has another shape."""
    for node in graph.inputs:
        if node.name not in inputs:
            raise ValueError(f"the input {node.layer.name} is missing")
        if inputs[node.name].shape[1:] != node.shape:
            raise ValueError(f"the input {node.layer.name} has shape {inputs[node.name].shape[1:]}, not {node.shape}")
    return [inputs[node.name] for node in graph.inputs]


class Batch:
    """Inputs, and room for the values that are kept, as the library takes them."""

    def __init__(self, graph: Graph, inputs: Sequence[IntArray], keep: Collection[str] | None) -> None:
        self._kept = [graph[name] for name in dict.fromkeys(graph.outputs if keep is None else keep)]
        self._given = [to_natives(values, node.fixed()) for node, values in zip(graph.inputs, inputs, strict=True)]
        self.samples = len(self._given[0]) if self._given else 0
        self._results = {node.name: np.empty((self.samples, *node.shape, *places(node.fixed())), native(node.fixed()))
                         for node in self._kept}  # fmt: skip
        self.sources = (ctypes.c_void_p * max(len(self._given), 1))(*(values.ctypes.data for values in self._given))
        self.targets = (ctypes.c_void_p * len(graph.nodes))(
            *(self._results[n.name].ctypes.data if n.name in self._results else None for n in graph))

    def values(self) -> dict[str, IntArray]:
        """What was kept, by node name."""
        return {node.name: from_natives(self._results[node.name], node.fixed()) for node in self._kept}


def check(wrong: bytes | None) -> None:
    """Raise StageError for what the library says went wrong."""
    if wrong is not None:
        raise StageError(f"the C simulation stopped, which is an error in kbuild: {wrong.decode()}")


def _opened(library: Path, graph: Graph, made: Simulation) -> ctypes.CDLL:
    """The library of the graph. Raises ValueError when it is that of another one."""
    opened = ctypes.CDLL(str(library))
    if _structure_of(opened) != made.structure:
        # The loader returns what it once loaded from this path, although the file may have been replaced since.
        with tempfile.TemporaryDirectory(prefix="kbuild-") as folder:
            opened = ctypes.CDLL(shutil.copy(library, folder))
    if _structure_of(opened) != made.structure:
        raise ValueError(f"{library.name} was compiled for another graph than {graph.name}")
    return opened


def _structure_of(library: ctypes.CDLL) -> str:
    library.kbuild_structure.restype = ctypes.c_char_p
    found: bytes = library.kbuild_structure()
    return found.decode()
