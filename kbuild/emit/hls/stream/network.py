"""A graph as processes that are connected by FIFOs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from kbuild.dataclass import dataclass, field, replace
from kbuild.emit.hls.design import Call, Config, Step
from kbuild.emit.hls.stream.depths import depths
from kbuild.emit.hls.stream.process import Clone, Fifo, Kernel, Network, Packing, Process, Schedule, natural
from kbuild.emit.hls.stream.processes import MOVING, Draft, drafts
from kbuild.fixed import FixedType
from kbuild.ir import Graph

__all__ = ["connected", "network"]


def network(graph: Graph) -> Network:
    """The design of a fixed graph, with FIFOs that are deep enough."""
    made = connected(graph)
    found = depths(made)
    fifos = (fifo if fifo.is_port else replace(fifo, depth=found[fifo.name]) for fifo in made.fifos)
    return replace(made, fifos=tuple(fifos))


def connected(graph: Graph) -> Network:
    """The design without the depths of its FIFOs."""
    found, sources = drafts(graph)
    wiring = _Wiring(graph, _readers(graph, found, sources))
    inputs = tuple(wiring.value(node.name, natural(node.shape), None, 0) for node in graph.inputs)
    for draft in found:
        wiring.add(draft.process)
        for index, (name, packing) in enumerate(draft.writes):
            wiring.value(name, packing, draft.process.name, index)
    values = {node.name: wiring.leaves[sources[node.name]] for node in graph}
    outputs = tuple(wiring.takes[None, index] for index in range(len(graph.outputs)))
    return Network(wiring.finished(), tuple(wiring.fifos), inputs, outputs, values)


@dataclass(frozen=True)
class _Reader:
    """Input `index` of a process, or the model's output of that index, and the packing it wants."""

    process: str | None
    index: int
    packing: Packing | None  # None: any


def _readers(graph: Graph, found: Sequence[Draft], sources: Mapping[str, str]) -> dict[str, list[_Reader]]:
    """Who reads the values of each node."""
    readers: dict[str, list[_Reader]] = {}
    for draft in found:
        for index, (source, packing) in enumerate(draft.reads):
            readers.setdefault(source, []).append(_Reader(draft.process.name, index, packing))
    for index, name in enumerate(graph.outputs):
        readers.setdefault(sources[name], []).append(_Reader(None, index, None))
    return readers


@dataclass(frozen=True)
class _Stream:
    """The values of a node in one packing, as output `index` of the producer (None: an input of the design)."""

    node: str
    type: FixedType
    packing: Packing
    producer: str | None
    index: int
    repacked: bool = False

    @property
    def key(self) -> str:
        """What names of FIFOs and processes end with."""
        return f"{self.packing.width}_{self.node}" if self.repacked else self.node


@dataclass
class _Wiring:
    """FIFOs and processes in the making; `takes` and `gives` hold FIFOs by process and index of its in- or output."""

    graph: Graph
    readers: Mapping[str, Sequence[_Reader]]
    fifos: list[Fifo] = field(default_factory=list)
    processes: list[Process] = field(default_factory=list)
    takes: dict[tuple[str | None, int], str] = field(default_factory=dict)
    gives: dict[tuple[str | None, int], str] = field(default_factory=dict)
    leaves: dict[str, str] = field(default_factory=dict)

    def add(self, process: Process) -> None:
        self.processes.append(process)

    def value(self, node: str, packing: Packing, producer: str | None, index: int) -> str:
        """Connect a value with everyone who reads it; return the FIFO in which it leaves its producer."""
        stream = _Stream(node, self.graph[node].fixed(), packing, producer, index)
        self.leaves[node] = self._spread(stream, self.readers.get(node, ()))
        return self.leaves[node]

    def finished(self) -> tuple[Process, ...]:
        """The processes with the names of their FIFOs."""
        return tuple(
            replace(p, inputs=tuple(self.takes[p.name, i] for i in range(p.schedule.reads.shape[1])),
                    outputs=tuple(self.gives[p.name, i] for i in range(p.schedule.writes.shape[1])))
            for p in self.processes
        )  # fmt: skip

    def _spread(self, stream: _Stream, readers: Sequence[_Reader]) -> str:
        """Connect a stream: repacked where that is wanted, cloned where it is not one process that reads it."""
        ends: list[_Reader] = []
        others: dict[Packing, list[_Reader]] = {}
        for reader in readers:
            if reader.packing is None or reader.packing == stream.packing:
                ends.append(reader)
            else:
                others.setdefault(_towards(stream.packing, reader.packing), []).append(reader)
        repacks = {packing: _repack(stream, packing) for packing in others}
        ends += [_Reader(process.name, 0, stream.packing) for process in repacks.values()]
        if len(ends) == 1 and (stream.producer, ends[0].process) != (None, None):
            first = self._fifo(f"stream_{stream.key}", stream, ends[0])
        else:
            first = self._clone(stream, ends)
        for packing, process in repacks.items():
            self.add(process)
            self._spread(replace(stream, packing=packing, producer=process.name, index=0, repacked=True),
                         others[packing])  # fmt: skip
        return first

    def _clone(self, stream: _Stream, ends: Sequence[_Reader]) -> str:
        packets = stream.packing.packets
        schedule = Schedule(np.ones((packets, 1), np.int64), np.ones((packets, len(ends)), np.int64))
        name = f"clone_{stream.key}"
        self.add(Process(name, "copies for all readers" if ends else "nobody reads this", (), (), Clone(), schedule,
                         MOVING if packets > 1 else 0))  # fmt: skip
        first = self._fifo(f"stream_{stream.key}", stream, _Reader(name, 0, stream.packing))
        for index, end in enumerate(ends):
            copy = f"output_{end.index}" if end.process is None else f"copy_{index + 1}_{stream.key}"
            self._fifo(copy, replace(stream, producer=name, index=index), end)
        return first

    def _fifo(self, name: str, stream: _Stream, reader: _Reader) -> str:
        self.fifos.append(Fifo(name, stream.node, stream.type, f"packet_{stream.key}", stream.packing, stream.producer,
                               reader.process))  # fmt: skip
        self.gives[stream.producer, stream.index] = self.takes[reader.process, reader.index] = name
        return name


def _towards(packing: Packing, wanted: Packing) -> Packing:
    """The next packing on the way: packets are cut into equal parts, or joined."""
    common = math.gcd(packing.width, wanted.width)
    if common in (packing.width, wanted.width):
        return wanted
    return Packing(packing.elements // common, common)


def _repack(stream: _Stream, to: Packing) -> Process:
    """The process that cuts or joins packets."""
    name = f"repack_{to.width}_{stream.node}"
    joins = to.width > stream.packing.width
    parts = max(to.width // stream.packing.width, stream.packing.width // to.width)
    firings = max(to.packets, stream.packing.packets)
    reads, writes = np.ones((firings, 1), np.int64), np.ones((firings, 1), np.int64)
    part = np.arange(firings) % parts
    if joins:
        writes[part < parts - 1] = 0
    else:
        reads[part > 0] = 0
    integers = {"packets": min(to.packets, stream.packing.packets), "parts": parts}
    config = Config(f"repack_config_{to.width}_{stream.node}", integers, {})
    call = Call("join_packets" if joins else "cut_packets", config, ("in_1",), "out_1")
    title = f"packets of {stream.packing.width} become packets of {to.width}"
    return Process(name, title, (), (), Kernel(Step("stream/packets.h", (call,))), Schedule(reads, writes), MOVING)
