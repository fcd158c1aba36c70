"""The simulation of a design with streams in a build: the FIFOs it reports, differences, and deadlocks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from kbuild.emulate import run
from kbuild.engines import csim
from kbuild.engines.csim_stream import StreamCSim
from kbuild.errors import StageError
from kbuild.fixed import FixedType, to_float
from kbuild.flow import streams
from kbuild.ir import Graph, Layer, Node, Op, verify
from kbuild.ops.input import Input
from kbuild.ops.merge import Merge
from kbuild.ops.relu import Relu
from kbuild.ops.transpose import Transpose

OF = FixedType(8, 4)
X = np.random.default_rng(1).integers(-128, 128, (5, 9, 2))


def graph() -> Graph:
    """x + (the transpose of x, transposed), which takes all of x before it gives anything."""

    def node(name: str, op: Op, *inputs: str, shape: tuple[int, ...] = (9, 2)) -> Node:
        return Node(name, op, inputs, shape, Layer(name, op.kind), OF)

    return verify(Graph("g", (
        node("x", Input((9, 2))), node("there", Transpose((1, 0)), "x", shape=(2, 9)),
        node("back", Transpose((1, 0)), "there"), node("y", Merge("add"), "x", "back"), node("z", Relu(), "y"),
    ), ("z",)))  # fmt: skip


@pytest.fixture
def engine(tmp_path: Path) -> StreamCSim:
    return StreamCSim(csim.build(graph(), tmp_path, io_type="io_stream"), graph())


def test_fifos_are_reported(engine: StreamCSim) -> None:
    fifos, mismatch = streams.run_bounded(engine, graph(), {"x": to_float(X, OF)})
    assert mismatch is None
    assert {fifo.name for fifo in fifos} == {"copy_1_x", "copy_2_x", "stream_there", "stream_back", "stream_y"}
    skip = next(fifo for fifo in fifos if fifo.name == "copy_2_x")
    assert (skip.producer, skip.consumer, skip.width_bits) == ("clone_x", "process_y", 16)
    assert 7 <= skip.occupancy <= skip.depth <= 9


def test_a_deadlock_fails_and_names_the_fifo(engine: StreamCSim) -> None:
    made = engine.network
    engine.network = replace(made, fifos=tuple(replace(fifo, depth=2) for fifo in made.fifos))
    with pytest.raises(StageError, match=r"the FIFO copy_2_x \(from clone_x to process_y, depth 2\) is full"):
        streams.run_bounded(engine, graph(), {"x": to_float(X, OF)})


def test_a_difference_is_found(engine: StreamCSim, monkeypatch: pytest.MonkeyPatch) -> None:
    def spoiled(*arguments: object):  # type: ignore[no-untyped-def]
        found = run(*arguments)  # type: ignore[arg-type]
        found.values["y"][1, 3, 0] += 1
        return found

    monkeypatch.setattr(streams, "run", spoiled)
    _, mismatch = streams.run_bounded(engine, graph(), {"x": to_float(X, OF)})
    assert mismatch is not None
    assert (mismatch.engine, mismatch.layer, mismatch.sample, mismatch.position) == ("csim with FIFOs", "y", 1, (3, 0))
