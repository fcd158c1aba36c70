"""Values that share something in designs with streams: a FIFO, or the computation that they come from."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from random_graphs import Builder, random_inputs

from kbuild import emulate
from kbuild.engines import csim
from kbuild.engines.csim_stream import StreamCSim
from kbuild.fixed import FixedType, Overflow, Quantization
from kbuild.ir import Graph, Layer, Node, verify
from kbuild.ops.dense import Dense
from kbuild.ops.input import Input
from kbuild.ops.reshape import Reshape
from kbuild.ops.rnn import SimpleRnn


def assert_streams_as_emulated(graph: Graph, folder: Path) -> None:
    inputs = random_inputs(graph, 1, 20)
    names = [node.name for node in graph]
    wanted = emulate.run(graph, inputs, names).values
    found = StreamCSim(csim.build(graph, folder, io_type="io_stream"), graph).run_bounded(inputs, names).values
    assert [name for name in names if not np.array_equal(wanted[name], found[name])] == []


def test_a_reshape_that_differs_in_rounding_modes_only(tmp_path: Path) -> None:
    """What reads them reads packets of the input's type; one that is symmetric changes the least value, and is none."""
    builder = Builder(np.random.default_rng(3))
    of = FixedType(9, 4, True, Quantization.RND, Overflow.SAT)
    x = Node("x", Input((3, 4)), (), (3, 4), Layer("x", "InputLayer"), of)
    builder.nodes.append(x)
    first = builder.add(Reshape((2, 6)), [x], of.plain())
    symmetric = builder.add(Reshape((12,)), [first], of.with_modes(Quantization.RND_CONV, Overflow.SAT_SYM))
    again = builder.add(Reshape((4, 3)), [symmetric], of.with_modes(Quantization.TRN, Overflow.SAT_ZERO))
    weight, bias = builder.tensor((3, 2), FixedType(8, 2)), builder.tensor((2,), FixedType(8, 2))
    y = builder.add(Dense(weight, bias, FixedType(30, 12)), [again])
    graph = verify(Graph("alias", tuple(builder.nodes), (y.name, first.name)))
    assert_streams_as_emulated(graph, tmp_path)


def test_states_of_a_sequence_that_is_returned_backwards(tmp_path: Path) -> None:
    """Nodes of one recurrent computation are processes of their own, also where one of them is not step by step."""
    builder = Builder(np.random.default_rng(4))
    x = Node("x", Input((4, 3)), (), (4, 3), Layer("x", "InputLayer"), FixedType(8, 3))
    builder.nodes.append(x)
    table, state = builder.tensor((16,), FixedType(8, 1)), FixedType(9, 2)
    cell = SimpleRnn(
        weight=builder.tensor((3, 2), FixedType(6, 2)), recurrent_weight=builder.tensor((2, 2), FixedType(6, 1)),
        table=table, table_address=(-8, 9), accum=FixedType(16, 8), recurrent_accum=FixedType(16, 8), state=state,
        go_backwards=True, flip=True, return_sequences=True,
    )  # fmt: skip
    sequence = builder.add(cell, [x], state)
    last = builder.add(replace(cell, return_sequences=False, flip=False), [x], state)
    graph = verify(Graph("states", tuple(builder.nodes), (sequence.name, last.name)))
    assert_streams_as_emulated(graph, tmp_path)
