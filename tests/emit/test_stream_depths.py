"""Depths of FIFOs: on networks whose needs are known, for pipelines that hold packets back, and for large designs."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest
from hls_projects import OF, source
from random_graphs import Builder

from kbuild.emit.hls.stream.depths import LEAST, deadlock, depths
from kbuild.emit.hls.stream.network import connected
from kbuild.emit.hls.stream.process import Clone, Fifo, Network, Packing, Process, Schedule
from kbuild.ir import Graph, Node, Shape, Tensor, verify
from kbuild.ops.conv import Conv
from kbuild.ops.merge import Merge
from kbuild.ops.relu import Relu

Edge = tuple[str | None, str | None]  # producer, consumer


def network(edges: Sequence[Edge], schedules: Mapping[str, Schedule], lag: int = 0) -> Network:
    """Processes in the order of `schedules`, with a FIFO for each edge, called "<producer> <consumer>"."""
    fifos = tuple(Fifo(f"{a} {b}", "x", OF, "packet_x", Packing(1, 1), a, b) for a, b in edges)
    processes = tuple(
        Process(name, "", tuple(f.name for f in fifos if f.consumer == name),
                tuple(f.name for f in fifos if f.producer == name), Clone(), schedule, lag)
        for name, schedule in schedules.items()
    )  # fmt: skip
    return Network(processes, fifos, (), (), {})


def each(packets: int, inputs: int = 1, outputs: int = 1) -> Schedule:
    """A packet from every input, then one to every output."""
    return Schedule(np.ones((packets, inputs), np.int64), np.ones((packets, outputs), np.int64))


def delayed(schedule: Schedule, firings: int) -> Schedule:
    """The results come so many firings later: what a pipeline does that holds as many back."""
    (_, inputs), (_, outputs) = schedule.reads.shape, schedule.writes.shape
    return Schedule(np.concatenate([schedule.reads, np.zeros((firings, inputs), np.int64)]),
                    np.concatenate([np.zeros((firings, outputs), np.int64), schedule.writes]))  # fmt: skip


DIAMOND: list[Edge] = [(None, "clone"), ("clone", "f"), ("clone", "merge"), ("f", "merge"), ("merge", None)]


def diamond(held: int, lag: int = 0, packets: int = 50) -> Network:
    """x and f(x) meet; f holds `held` packets back."""
    schedules = {"clone": each(packets, 1, 2), "f": delayed(each(packets), held), "merge": each(packets, 2)}
    return network(DIAMOND, schedules, lag)


@pytest.mark.parametrize("held", [0, 1, 2, 3, 10, 40])
def test_a_path_around_a_delay(held: int) -> None:
    """The merge takes one packet of x and waits; f has then `held` packets, and must be given one more, which the clone
    writes before its copy."""
    made = diamond(held)
    found = depths(made)
    assert found == {"clone f": LEAST, "clone merge": max(held - 1, LEAST), "f merge": LEAST}
    if held > LEAST:
        stuck = {fifo.name: full for fifo, full in deadlock(made, {**found, "clone merge": held - 2})}
        assert stuck == {"clone merge": True, "f merge": False, "clone f": False}


def test_chains_and_trees_need_nothing() -> None:
    late = Schedule(np.array([[30]]), np.array([[30]]))
    edges: list[Edge] = [(None, "a"), ("a", "b"), ("b", "c"), ("b", "d"), ("c", None), ("d", None)]
    made = network(edges, {"a": each(30), "b": replace(late, writes=np.array([[30, 30]])), "c": late, "d": each(30)}, 9)
    assert set(depths(made).values()) == {LEAST}


def test_the_least_memory_is_chosen() -> None:
    """Of two FIFOs in a row around a delay it is the narrow one that grows."""
    edges: list[Edge] = [(None, "clone"), ("clone", "f"), ("clone", "g"), ("f", "merge"), ("g", "merge"),
                         ("merge", None)]  # fmt: skip
    schedules = {"clone": each(60, 1, 2), "f": delayed(each(60), 30), "g": each(60), "merge": each(60, 2)}
    made = network(edges, schedules)
    widths = {"clone g": 100}
    fifos = tuple(replace(fifo, packing=Packing(1, widths.get(fifo.name, 1))) for fifo in made.fifos)
    found = depths(replace(made, fifos=fifos))
    assert found["clone g"] == LEAST and found["g merge"] > 20


def random_network(rng: np.random.Generator, lag: int) -> Network:
    """A graph of processes of equal rates, of such that need rows, and of such that take everything first."""
    packets, count = 24, int(rng.integers(4, 10))
    edges: list[Edge] = [(None, "p0")]
    for i in range(1, count):
        for j in rng.choice(i, size=min(i, int(rng.integers(1, 3))), replace=False):
            edges.append((f"p{j}", f"p{i}"))
    schedules = {}
    for i in range(count):
        inputs = sum(b == f"p{i}" for _, b in edges)
        outputs = sum(a == f"p{i}" for a, _ in edges)
        made = each(packets, inputs, outputs)
        choice = rng.random()
        if choice < 0.3:
            made = delayed(made, int(rng.integers(1, 12)))
        elif choice < 0.4:
            made = Schedule(np.full((1, inputs), packets), np.full((1, outputs), packets))
        elif choice < 0.6:  # rows of four
            made = Schedule(np.full((6, inputs), 4), np.full((6, outputs), 4))
        schedules[f"p{i}"] = made
    return network(edges, schedules, lag)


@pytest.mark.parametrize("seed", range(6))
def test_depths_suffice_for_every_pipeline_up_to_the_lag(seed: int) -> None:
    rng = np.random.default_rng(seed)
    for _ in range(12):
        lag = int(rng.integers(1, 9))
        made = random_network(rng, lag)
        found = depths(made)
        for _ in range(8):
            holds = rng.choice([0, lag, int(rng.integers(lag + 1))], size=len(made.processes))
            processes = tuple(replace(p, schedule=delayed(p.schedule, int(n)))
                              for p, n in zip(made.processes, holds, strict=True))  # fmt: skip
            assert deadlock(replace(made, processes=processes), found) == []


@pytest.mark.parametrize("seed", range(4))
def test_depths_without_margin_suffice_and_the_last_packet_is_needed(seed: int) -> None:
    rng = np.random.default_rng(100 + seed)
    for _ in range(15):
        made = random_network(rng, 5)
        found = depths(made, lags=False)
        assert deadlock(made, found) == []
        deep = [name for name, depth in found.items() if depth > LEAST]
        assert not deep or any(deadlock(made, {**found, name: found[name] - 1}) for name in deep)


# ---- designs ---------------------------------------------------------------------------------------------------


class Images:
    """Residual networks of convolutions over images, 16-bit channels."""

    def __init__(self, shape: Shape) -> None:
        self.b = Builder(np.random.default_rng(0))
        self.b.nodes.append(source("x", shape))

    def conv(self, x: Node, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> Node:
        """With padding "same"."""
        padding = []
        for n in x.shape[:2]:
            total = max((-(-n // stride) - 1) * stride + kernel - n, 0)
            padding.append((total // 2, total - total // 2))
        weight = Tensor(np.zeros((kernel, kernel, x.shape[-1] // groups, outputs), np.int64), OF)
        return self.b.add(Conv(weight, None, OF, strides=(stride, stride), padding=tuple(padding), dilation=(1, 1),
                               input_dilation=(1, 1), groups=groups), [x], OF)  # fmt: skip

    def relu(self, x: Node) -> Node:
        return self.b.add(Relu(), [x], OF)

    def network(self) -> Network:
        return connected(verify(Graph("images", tuple(self.b.nodes), (self.b.nodes[-1].name,))))


def residual() -> Network:
    """As large as the ResNet of MLPerf Tiny."""
    n = Images((32, 32, 3))
    x = n.relu(n.conv(n.b.nodes[0], 16, 3))
    for channels, stride in ((16, 1), (32, 2), (64, 2)):
        y = n.conv(n.relu(n.conv(x, channels, 3, stride)), channels, 3)
        around = x if stride == 1 else n.conv(x, channels, 1, stride)
        x = n.relu(n.b.add(Merge("add"), [around, y], OF))
    return n.network()


def separable() -> Network:
    """As large as MobileNetV1 0.25, with a way around all of its first half."""
    n = Images((96, 96, 3))
    x = n.relu(n.conv(n.b.nodes[0], 8, 3, 2))
    first = x
    for channels, stride in ((16, 1), (32, 1), (32, 1), (8, 1), (64, 2), (128, 2), *[(128, 1)] * 5, (256, 2), (256, 1)):
        x = n.relu(n.conv(x, x.shape[-1], 3, stride, groups=x.shape[-1]))
        x = n.relu(n.conv(x, channels, 1))
        if channels == 8:
            x = n.b.add(Merge("add"), [first, x], OF)
    return n.network()


@pytest.mark.parametrize("design", [residual, separable])
def test_networks_of_convolutions(design: Callable[[], Network]) -> None:
    """The FIFO around most layers, at half its depth, is the full one of a circle."""
    made = design()
    began = time.process_time()
    found = depths(made)
    assert time.process_time() - began < 10  # about 0.2 s
    assert deadlock(made, found) == []
    deepest = max(found, key=lambda name: found[name])
    stuck = {fifo.name: full for fifo, full in deadlock(made, {**found, deepest: found[deepest] // 2})}
    assert [name for name, full in stuck.items() if full] == [deepest]


def test_depths_grow_with_the_rows_only() -> None:
    """A 3 x 3 convolution waits for a row and two pixels, wherever the image is cut."""

    def skip(rows: int, columns: int) -> int:
        n = Images((rows, columns, 2))
        x = n.relu(n.b.nodes[0])
        n.b.add(Merge("add"), [x, n.conv(x, 2, 3)], OF)
        return max(depths(n.network(), lags=False).values())

    assert skip(10, 16) == skip(40, 16) and skip(10, 32) == skip(10, 16) + 16
