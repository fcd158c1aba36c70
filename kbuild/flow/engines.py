"""The engines of a build: compiled once for each structure of a network, kept in the cache, loaded with its weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from kbuild.errors import RecipeError
from kbuild.fixed import IntArray
from kbuild.flow.comparison import Engine
from kbuild.flow.digests import code_digest, value_digest

if TYPE_CHECKING:
    from kbuild.flow.build import Build
    from kbuild.flow.cache import Cache
    from kbuild.ir import Graph

EMULATE, CSIM, RTL = "emulate", "csim", "rtl"
ENGINES = (EMULATE, CSIM, RTL)


class _Emulator:
    """By compiled kernels where there is enough to do. The engines of a build are compared with NumPy alone."""

    def __init__(self, graph: Graph, cache: Cache) -> None:
        self._graph, self._cache = graph, cache

    def run(self, inputs: Mapping[str, IntArray], keep: Sequence[str]) -> Mapping[str, IntArray]:
        from kbuild.emulate import products, run
        from kbuild.flow.kernels import kernels_for

        samples = max((len(values) for values in inputs.values()), default=0)
        return run(self._graph, inputs, keep, kernels_for(self._cache, samples * products(self._graph))).values


def engines_of(backend: str) -> tuple[str, ...]:
    """The engines that a backend's designs run in."""
    return ENGINES if backend == "Yosys" else (EMULATE, CSIM)


def engine(build: Build, name: str) -> Engine:
    """An engine of the fixed-point graph, built if need be.

    Raises MissingTool without its compiler or simulator, StageError when they fail, RecipeError for `rtl` of a
    backend that emits no Verilog.
    """
    if name not in engines_of(build.recipe.backend):
        raise RecipeError(
            f"the backend {build.recipe.backend} emits no Verilog, so there is no engine {name}; "
            f"use {' or '.join(engines_of(build.recipe.backend))}, or Backend: Yosys"
        )
    if name == CSIM:
        return _csim(build)
    return _rtl(build) if name == RTL else _Emulator(build.graph("optimize"), build.cache)


def identities(backend: str) -> dict[str, str]:
    """The tools behind the backend's engines, with their versions, for keys. Raises MissingTool."""
    from kbuild.tools import cxx, verilator
    from kbuild.tools.process import version

    found = {"compiler": cxx.identity(cxx.compiler())}
    if RTL in engines_of(backend):
        found["verilator"] = version(verilator.verilator())
    return found


def _csim(build: Build) -> Engine:
    from kbuild.emit.hls.simulation import with_loaded_weights
    from kbuild.engines import csim
    from kbuild.tools import cxx

    graph, io_type = build.graph("optimize"), build.recipe.io_type
    if build.recipe.backend == "Yosys":  # its adder graphs are Verilog, which has a simulation of its own
        graph = with_loaded_weights(graph)
    key = csim.fingerprint(csim.sources(graph, io_type), cxx.identity(cxx.compiler()))

    def make(folder: Path) -> None:
        build.tell("simulate", "compiling the C simulation")
        csim.build(graph, folder, io_type=io_type)

    library = build.cache.get(CSIM, key, make).path(csim.LIBRARY)
    if io_type == "io_stream":
        from kbuild.engines.csim_stream import StreamCSim

        return StreamCSim(library, graph)
    return csim.CSim(library, graph)


def _rtl(build: Build) -> Engine:
    from kbuild.emit.verilog.simulation import sources
    from kbuild.engines import rtl

    graph = build.graph("optimize")
    design = build.design()
    texts = [build.artifact("emit").digest, sources(design)]
    rooms = ("engines/rtl", "tools", "emit/verilog", "emit/adders")
    key = value_digest([texts, identities(build.recipe.backend), code_digest(rooms)])

    def make(folder: Path) -> None:
        build.tell("simulate", "compiling the RTL simulation")
        rtl.build(design, folder)

    library = build.cache.get(RTL, key, make)
    return rtl.Rtl(library.path(rtl.LIBRARY), graph, design)
