"""The C simulation: the firmware's kernels, compiled for this machine and run on batches."""

from __future__ import annotations

import ctypes
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from kbuild.emit.hls.simulation import sources, structure
from kbuild.emit.hls.steps import steps
from kbuild.engines.words import from_words, limbs, to_words, words_of
from kbuild.fixed import IntArray
from kbuild.ir import Graph
from kbuild.tools.cxx import Options, compile_shared
from kbuild.tools.process import write_atomically

__all__ = ["CSim", "build", "fingerprint", "sources"]

LIBRARY = "libcsim.so"
OPTIONS = Options()
_LEAST_WORK = 1 << 18  # multiplications a thread should have to be worth starting


def fingerprint(texts: Mapping[str, str], compiler: str) -> str:
    """A key for the compiled library: the sources, the options and the compiler's `kbuild.tools.cxx.identity`."""
    body = json.dumps([sorted(texts.items()), OPTIONS.arguments(), compiler])
    return hashlib.sha256(body.encode()).hexdigest()[:32]


def build(graph: Graph, folder: Path, *, project: Path | None = None) -> Path:
    """Write the sources into `folder` and compile them; return the shared library there.

    Raises MissingTool without a compiler, StageError with the compiler's first error.
    """
    for path, text in sources(graph).items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(file, text)
    return compile_shared([folder / "csim.cpp"], folder / LIBRARY, build_dir=folder, log_dir=folder,
                          options=OPTIONS, project=project)


class CSim:
    """A compiled library with the weights of one graph. Any number of them may share a library and run at once."""

    def __init__(self, library: Path, graph: Graph, threads: int | None = None) -> None:
        """Load the library that `build` made of a graph of this structure, and the graph's constants into it.

        Calls use up to `threads` threads (default: one a processor). Raises ValueError for the library of a graph of
        another structure.
        """
        self.graph = graph
        self._threads = threads or os.cpu_count() or 1
        self._c = _opened(library, graph)
        self._c.kbuild_new.restype = ctypes.c_void_p
        self._c.kbuild_new.argtypes = []
        self._c.kbuild_delete.argtypes = [ctypes.c_void_p]
        self._c.kbuild_delete.restype = None
        self._c.kbuild_load.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p]
        self._c.kbuild_load.restype = None
        self._c.kbuild_run.argtypes = [ctypes.c_void_p] * 3 + [ctypes.c_int64] * 2
        self._c.kbuild_run.restype = None
        self._constants = ctypes.c_void_p(self._c.kbuild_new())
        loaded = [constant for _, step in steps(graph) for constant in step.constants]
        for index, constant in enumerate(loaded):
            words = to_words(constant.tensor.data, constant.type)
            self._c.kbuild_load(self._constants, index, words.ctypes.data)
        self._work = sum(constant.size for constant in loaded) + sum(int(np.prod(n.shape)) for n in graph)

    def __del__(self) -> None:
        if "_constants" in self.__dict__:
            self._c.kbuild_delete(self._constants)

    def run(self, inputs: Mapping[str, IntArray], keep: Collection[str] | None = None) -> dict[str, IntArray]:
        """Run on integer inputs by node name, samples first; return the values named (default: the outputs)."""
        kept = [self.graph[name] for name in dict.fromkeys(self.graph.outputs if keep is None else keep)]
        given = [words_of(node, inputs) for node in self.graph.inputs]
        samples = len(given[0]) if given else 0
        results = {node.name: np.empty((samples, *node.shape, limbs(node.fixed())), np.int64) for node in kept}
        sources = (ctypes.c_void_p * max(len(given), 1))(*(words.ctypes.data for words in given))
        targets = (ctypes.c_void_p * len(self.graph.nodes))(
            *(results[n.name].ctypes.data if n.name in results else None for n in self.graph))
        parts = max(min(self._threads, samples, samples * self._work // _LEAST_WORK), 1)
        bounds = [samples * i // parts for i in range(parts + 1)]

        def run_part(part: int) -> None:
            self._c.kbuild_run(self._constants, sources, targets, bounds[part], bounds[part + 1])

        if parts == 1:
            run_part(0)
        else:  # ctypes lets go of the interpreter's lock during the call
            with ThreadPoolExecutor(parts) as pool:
                list(pool.map(run_part, range(parts)))
        return {node.name: from_words(results[node.name], node.fixed()) for node in kept}


def _opened(library: Path, graph: Graph) -> ctypes.CDLL:
    """The library of the graph. Raises ValueError when it is that of another one."""
    opened = ctypes.CDLL(str(library))
    if _structure_of(opened) != structure(graph):
        # The loader returns what it once loaded from this path, although the file may have been replaced since.
        with tempfile.TemporaryDirectory(prefix="kbuild-") as folder:
            opened = ctypes.CDLL(shutil.copy(library, folder))
    if _structure_of(opened) != structure(graph):
        raise ValueError(f"{library.name} was compiled for another graph than {graph.name}")
    return opened


def _structure_of(library: ctypes.CDLL) -> str:
    library.kbuild_structure.restype = ctypes.c_char_p
    found: bytes = library.kbuild_structure()
    return found.decode()
