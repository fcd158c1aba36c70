"""The C simulation of designs with streams: as fast as it goes, or with FIFOs as deep as they will be."""

from __future__ import annotations

import ctypes
from collections.abc import Collection, Mapping
from pathlib import Path

from kbuild.dataclass import dataclass
from kbuild.emit.hls.stream.depths import circle
from kbuild.emit.hls.stream.network import network
from kbuild.emit.hls.stream.process import Fifo, Network
from kbuild.engines.csim import Batch, CSim, check, checked
from kbuild.errors import StageError
from kbuild.fixed import IntArray
from kbuild.ir import Graph


class Deadlock(StageError):
    """Processes wait for one another; `fifos` are those they wait for, and whether each is full (else it is empty)."""

    def __init__(self, around: list[tuple[Fifo, bool]], depths: Mapping[str, int]) -> None:
        self.fifos = [(fifo.name, full) for fifo, full in around]
        told = [
            f"{fifo.name} (from {fifo.producer} to {fifo.consumer}, depth {depths[fifo.name]}) is "
            f"{'full' if full else 'empty'}" for fifo, full in sorted(around, key=lambda found: not found[1])
        ]  # fmt: skip
        super().__init__("the design deadlocks, its processes wait for one another: the FIFO " + "; ".join(told))


@dataclass(frozen=True)
class Bounded:
    """Integers by node name, and the largest number of packets that were in each FIFO, by its name."""

    values: dict[str, IntArray]
    occupancy: dict[str, int]


class StreamCSim(CSim):
    """`run` lets one process after the other run to its end; `run_bounded` lets them run beside each other."""

    io_type = "io_stream"

    def __init__(self, library: Path, graph: Graph, threads: int | None = None) -> None:
        """As `CSim`, with the library of `build(..., io_type="io_stream")`."""
        super().__init__(library, graph, threads)
        self.network: Network = network(graph)
        self._c.kbuild_run_bounded.restype = ctypes.c_char_p
        self._c.kbuild_run_bounded.argtypes = [ctypes.c_void_p] * 3 + [ctypes.c_int64] + [ctypes.c_void_p] * 3

    def run_bounded(self, inputs: Mapping[str, IntArray], keep: Collection[str] | None = None,
                    depths: Mapping[str, int] | None = None) -> Bounded:
        """As `run`, with FIFOs as deep as they are in the design, or of `depths` by name where those are given.

        Raises Deadlock when nothing can move, StageError when a kernel does what it must not.
        """
        batch = Batch(self.graph, checked(self.graph, inputs), keep)
        fifos, processes = self.network.fifos, self.network.processes
        given = {fifo.name: fifo.packing.packets if fifo.is_port else fifo.depth for fifo in fifos} | dict(depths or {})
        sizes = (ctypes.c_int64 * len(fifos))(*(given[fifo.name] for fifo in fifos))
        peaks, waits = (ctypes.c_int64 * len(fifos))(), (ctypes.c_int64 * len(processes))()
        check(self._c.kbuild_run_bounded(self._constants, batch.sources, batch.targets, batch.samples, sizes, peaks,
                                         waits))  # fmt: skip
        stuck = {process.name: (fifos[abs(wait) - 1].name, wait < 0)
                 for process, wait in zip(processes, waits, strict=True) if wait}  # fmt: skip
        if stuck:
            raise Deadlock(circle(self.network, stuck), given)
        return Bounded(batch.values(), {fifo.name: peak for fifo, peak in zip(fifos, peaks, strict=True)
                                        if not fifo.is_port})  # fmt: skip
