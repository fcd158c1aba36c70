"""How deep FIFOs must be so that a design never stops, found before anything is written.

The processes form a Kahn network: each blocks on one FIFO at a time, in an order that does not depend on data (its
`Schedule`). With FIFOs of given depths such a network comes to its end in every execution or in none, so running it
once tells. It is run, packet by packet, with shallow FIFOs. When nothing can move, some processes wait for one another
in a circle; among the full FIFOs that one of them wants to write to, the one with the least memory is made deeper by a
packet (Parks' algorithm, on the circle only), and the run goes on. A circle lies within processes that are joined by
more than one path; all other FIFOs need no room beyond the least.

Hardware differs from that in one way: a pipelined process has taken more packets than it has given results for, and
pipelines of HLS stop, with results inside, when no packet comes. `Process.lag` is the number of firings whose results
may be held back like that. In the run a result takes its room in the FIFO at once and is seen `lag` firings later, or
when the process has ended; so the depths suffice for any pipeline that holds back as much or less. With no lag they
are exactly what the C simulation needs.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from kbuild.dataclass import dataclass, field
from kbuild.emit.hls.stream.process import Fifo, Network, Process

LEAST = 2  # a FIFO of one packet cannot be read and written in the same cycle


def depths(network: Network, lags: bool = True) -> dict[str, int]:
    """The depth of every FIFO that is not a port, by name: without `lags`, what suffices for processes that hold
    nothing back."""
    inner = [fifo for fifo in network.fifos if not fifo.is_port]
    found = {fifo.name: LEAST for fifo in inner}
    for fifos in _circles(network, inner):
        names = {name for fifo in fifos for name in (fifo.producer, fifo.consumer)}
        run = _Run([p for p in network.processes if p.name in names], fifos, [LEAST] * len(fifos), lags)
        while run.stuck() is not None:
            run.deepen()
        found |= {fifo.name: state.depth for fifo, state in zip(fifos, run.fifos, strict=True)}
    return found


def deadlock(network: Network, given: Mapping[str, int]) -> list[tuple[Fifo, bool]]:
    """The `circle` of the design with FIFOs of these depths, by name, as the C simulation runs it; or nothing."""
    inner = [fifo for fifo in network.fifos if not fifo.is_port]
    run = _Run(network.processes, inner, [given[fifo.name] for fifo in inner], lags=False)
    if run.stuck() is None:
        return []
    waits = {process.name: (inner[actor.waits].name, actor.writing)
             for process, actor in zip(network.processes, run.actors, strict=True) if not actor.done}  # fmt: skip
    return circle(network, waits)


def circle(network: Network, waits: Mapping[str, tuple[str, bool]]) -> list[tuple[Fifo, bool]]:
    """The FIFOs around which processes wait for one another, and whether each is full (else it is empty).

    waits: by the name of each process that cannot go on, the FIFO it waits for and whether it wants to write.
    """
    fifos = {fifo.name: fifo for fifo in network.fifos}
    at, path = next(iter(waits), None), list[str]()
    while at is not None and at in waits and at not in path:
        path.append(at)
        fifo, writing = fifos[waits[at][0]], waits[at][1]
        at = fifo.consumer if writing else fifo.producer
    around = path[path.index(at) :] if at in path else path
    return [(fifos[waits[name][0]], waits[name][1]) for name in around]


# ---- what lies on circles --------------------------------------------------------------------------------------


def _circles(network: Network, inner: Sequence[Fifo]) -> list[list[Fifo]]:
    """The FIFOs that are on circles, direction aside, in groups without a process in common."""
    edges: dict[str, list[int]] = {process.name: [] for process in network.processes}
    for index, fifo in enumerate(inner):
        edges[str(fifo.producer)].append(index)
        edges[str(fifo.consumer)].append(index)
    bridges = _bridges(inner, edges)
    groups: list[list[Fifo]] = []
    seen: set[str] = set()
    for start in edges:
        if start in seen:
            continue
        reached, group = [start], dict[int, None]()
        seen.add(start)
        for name in reached:
            for index in edges[name]:
                if index in bridges:
                    continue
                group[index] = None
                for other in (str(inner[index].producer), str(inner[index].consumer)):
                    if other not in seen:
                        seen.add(other)
                        reached.append(other)
        if group:
            groups.append([inner[index] for index in sorted(group)])
    return groups


def _bridges(inner: Sequence[Fifo], edges: dict[str, list[int]]) -> set[int]:
    """The FIFOs without which two parts would not be connected (Tarjan's algorithm, without recursion)."""
    order: dict[str, int] = {}
    low: dict[str, int] = {}
    bridges: set[int] = set()
    for start in edges:
        if start in order:
            continue
        order[start] = low[start] = len(order)
        stack = [(start, -1, iter(edges[start]))]
        while stack:
            name, came, rest = stack[-1]
            index = next(rest, None)
            if index is None:
                stack.pop()
                if stack:
                    above = stack[-1][0]
                    low[above] = min(low[above], low[name])
                    if low[name] > order[above]:
                        bridges.add(came)
            elif index != came:
                fifo = inner[index]
                other = str(fifo.consumer if fifo.producer == name else fifo.producer)
                if other in order:
                    low[name] = min(low[name], order[other])
                else:
                    order[other] = low[other] = len(order)
                    stack.append((other, index, iter(edges[other])))
    return bridges


# ---- the run ---------------------------------------------------------------------------------------------------


@dataclass
class _Queue:
    """A FIFO in the run. Counts are of packets since the start: seen by the reader, read, written."""

    depth: int
    bits: int
    producer: int
    consumer: int
    seen: int = 0
    read: int = 0
    written: int = 0


@dataclass
class _Actor:
    """A process in the run: what is left of its schedule, as runs of equal firings.

    `reads` and `writes` are (queue, packets) of one firing of the present run, `left` the firings left of it; `part`
    and `moved` say how far a firing has come that could not be completed at once: which of its transfers is next, and
    how many packets of it are done. `totals` are the packets written to each output after so many firings.
    """

    runs: list[tuple[int, tuple[int, ...], tuple[int, ...]]]
    inputs: list[int]
    outputs: list[int]
    totals: list[list[int]]
    lag: int
    run: int = -1
    left: int = 0
    reads: list[tuple[int, int]] = field(default_factory=list)
    writes: list[tuple[int, int]] = field(default_factory=list)
    fired: int = 0
    part: int = 0
    moved: int = 0
    done: bool = False
    waits: int = -1  # for the queue
    writing: bool = False

    def next_run(self) -> bool:
        """Go on to the next run of firings, if there is one."""
        self.run += 1
        if self.run == len(self.runs):
            return False
        self.left, reads, writes = self.runs[self.run]
        self.reads = [(q, n) for q, n in zip(self.inputs, reads, strict=True) if n and q >= 0]
        self.writes = [(q, n) for q, n in zip(self.outputs, writes, strict=True) if n and q >= 0]
        return True


class _Run:
    """Processes that are joined by more than one path, running; what is outside always gives and takes."""

    def __init__(
        self, processes: Sequence[Process], fifos: Sequence[Fifo], depths: Sequence[int], lags: bool
    ) -> None:
        index = {process.name: i for i, process in enumerate(processes)}
        queue = {fifo.name: i for i, fifo in enumerate(fifos)}
        self.fifos = [_Queue(depth, fifo.width_bits, index[str(fifo.producer)], index[str(fifo.consumer)])
                      for fifo, depth in zip(fifos, depths, strict=True)]  # fmt: skip
        self.actors = [_actor(process, queue, lags) for process in processes]
        self._ready = deque(range(len(processes)))
        self._queued = [True] * len(processes)

    def stuck(self) -> int | None:
        """Run as far as it goes; a process that has not come to its end, if there is one."""
        while self._ready:
            index = self._ready.popleft()
            self._queued[index] = False
            self._advance(self.actors[index])
        return next((i for i, actor in enumerate(self.actors) if not actor.done), None)

    def deepen(self) -> None:
        """One packet more for the FIFO with the least memory of those that are full on the circle."""
        path: list[int] = []
        stuck = next(i for i, actor in enumerate(self.actors) if not actor.done)
        while stuck not in path:
            path.append(stuck)
            actor = self.actors[stuck]
            queue = self.fifos[actor.waits]
            stuck = queue.consumer if actor.writing else queue.producer
        around = [self.actors[i] for i in path[path.index(stuck) :]]
        full = [actor.waits for actor in around if actor.writing]
        if not full:
            raise ValueError("processes wait for packets that none of them will write")
        chosen = self.fifos[min(full, key=lambda q: (self.fifos[q].depth * self.fifos[q].bits, q))]
        chosen.depth += 1
        self._wake(chosen.producer)

    def _wake(self, index: int) -> None:
        if not self._queued[index]:
            self._queued[index] = True
            self._ready.append(index)

    def _advance(self, actor: _Actor) -> None:
        """Let a process go on until it waits or ends."""
        if actor.done:
            return
        while actor.left or actor.next_run():
            firings = self._whole_firings(actor) if not (actor.part or actor.moved) else 0
            if firings:
                self._fire(actor, firings)
            elif not self._in_parts(actor):
                return
        actor.done = True
        for queue in actor.outputs:
            if queue >= 0:
                self._show(self.fifos[queue], self.fifos[queue].written)

    def _whole_firings(self, actor: _Actor) -> int:
        """How many firings can be completed now."""
        firings = actor.left
        for q, n in actor.reads:
            queue = self.fifos[q]
            firings = min(firings, (queue.seen - queue.read) // n)
        for q, n in actor.writes:
            queue = self.fifos[q]
            firings = min(firings, (queue.depth - queue.written + queue.read) // n)
        return firings

    def _fire(self, actor: _Actor, firings: int) -> None:
        for q, n in actor.reads:
            self._take(self.fifos[q], firings * n)
        for q, n in actor.writes:
            self.fifos[q].written += firings * n
        self._completed(actor, firings)

    def _completed(self, actor: _Actor, firings: int) -> None:
        actor.left -= firings
        actor.fired += firings
        for q, totals in zip(actor.outputs, actor.totals, strict=True):
            if q >= 0:
                self._show(self.fifos[q], totals[max(actor.fired - actor.lag, 0)])

    def _in_parts(self, actor: _Actor) -> bool:
        """One firing, as far as it goes; whether it was completed."""
        transfers = [*actor.reads, *actor.writes]
        while actor.part < len(transfers):
            q, n = transfers[actor.part]
            queue = self.fifos[q]
            writing = actor.part >= len(actor.reads)
            room = queue.depth - queue.written + queue.read if writing else queue.seen - queue.read
            packets = min(room, n - actor.moved)
            if packets and writing:
                queue.written += packets
                if not actor.lag:
                    self._show(queue, queue.written)
            elif packets:
                self._take(queue, packets)
            actor.moved += packets
            if actor.moved < n:
                actor.waits, actor.writing = q, writing
                return False
            actor.part, actor.moved = actor.part + 1, 0
        actor.part = 0
        self._completed(actor, 1)
        return True

    def _take(self, queue: _Queue, packets: int) -> None:
        queue.read += packets
        self._wake(queue.producer)

    def _show(self, queue: _Queue, total: int) -> None:
        if total > queue.seen:
            queue.seen = total
            self._wake(queue.consumer)


def _actor(process: Process, queue: dict[str, int], lags: bool) -> _Actor:
    reads, writes = process.schedule.reads, process.schedule.writes
    inputs = [queue.get(name, -1) for name in process.inputs]
    outputs = [queue.get(name, -1) for name in process.outputs]
    totals = [[0, *np.cumsum(column).tolist()] for column in writes.T]
    return _Actor(_runs(reads, writes), inputs, outputs, totals, process.lag if lags else 0)


def _runs(reads: NDArray[np.int64], writes: NDArray[np.int64]) -> list[tuple[int, tuple[int, ...], tuple[int, ...]]]:
    """A schedule as (number of equal firings, packets read from each input, packets written to each output)."""
    rows = np.concatenate([reads, writes], axis=1)
    if not len(rows):
        return []
    starts = np.flatnonzero(np.concatenate([[True], (rows[1:] != rows[:-1]).any(axis=1)]))
    ends = [*starts[1:], len(rows)]
    return [(int(end - start), tuple(reads[start].tolist()), tuple(writes[start].tolist()))
            for start, end in zip(starts, ends, strict=True)]  # fmt: skip
