"""Operations in netlists, one kind at a time: the ends of ranges and the ties that random networks seldom meet."""

from __future__ import annotations

import itertools
from dataclasses import replace

import netlist_values
import numpy as np
import pytest
from random_graphs import Builder, random_graph, random_inputs

from kbuild import emulate
from kbuild.emit import Target
from kbuild.emit.verilog import lower
from kbuild.emit.verilog.cells import Signal
from kbuild.emit.verilog.design import Bus, Module
from kbuild.emit.verilog.divide import floor
from kbuild.emit.verilog.netlist import Netlist
from kbuild.emit.verilog.timing import Clock
from kbuild.fixed import FixedType, IntArray, Overflow, Quantization, wide
from kbuild.ir import Graph, Layer, Node, Tensor, verify
from kbuild.ops.dense import Dense
from kbuild.ops.input import Input
from kbuild.ops.merge import Merge
from kbuild.ops.softmax import Softmax

TARGET = Target("Yosys", "myproject", "LFE5U-85F-6BG381C", 5.0, 0.125, "io_parallel")


def given(name: str, shape: tuple[int, ...], type: FixedType) -> Node:
    return Node(name, Input(shape), (), shape, Layer(name, "InputLayer"), type)


def assert_every_node_equal(nodes: list[Node], inputs: dict[str, IntArray]) -> None:
    read = {name for node in nodes for name in node.inputs}
    graph = verify(Graph("operations", tuple(nodes), tuple(n.name for n in nodes if n.name not in read)))
    found = netlist_values.run(lower(graph, TARGET), inputs)
    wanted = emulate.run(graph, inputs, [node.name for node in graph]).values
    for node in graph:
        values = wide(wanted[node.name])
        assert (wide(found[node.name]).reshape(-1, *node.shape) == values).all(), node


@pytest.mark.parametrize("kind", ["softmax", "merge", "step", "relu"])
def test_random_graphs_of_one_kind(kind: str) -> None:
    for seed in range(12):
        graph = random_graph(seed, 8, kinds=[kind])
        assert_every_node_equal(list(graph), random_inputs(graph, seed, 40))


@pytest.mark.parametrize("count", [3, 5, 6])
def test_every_mean(count: int) -> None:
    """In all rounding modes, at LSBs that leave ties and at finer ones."""
    builder = Builder(np.random.default_rng(count))
    builder.nodes += [given("s", (1,), FixedType(4, 2)), *(given(f"u{i}", (1,), FixedType(2, 1, signed=False))
                                                        for i in range(count - 1))]
    inputs = list(builder.nodes)
    for mode, overflow, fraction in itertools.product(Quantization, (Overflow.WRAP, Overflow.SAT), (-1, 0, 1, 3)):
        builder.add(Merge("average"), inputs, FixedType(3 + fraction, 3, True, mode, overflow))
    every = np.array(list(itertools.product(range(-8, 8), *[range(4)] * min(count - 1, 3))))
    columns = [every[:, min(i, every.shape[1] - 1), None] for i in range(count)]
    assert_every_node_equal(builder.nodes, {x.name: column for x, column in zip(inputs, columns, strict=True)})


def test_quotients_by_constants() -> None:
    """Of every range of a small integer: the scaled reciprocal must be exact at both ends."""
    of = FixedType(8, 8)
    for low, size, divisor in itertools.product((-9, -1, 0, 5), range(1, 34), (2, 3, 5, 6, 7, 9, 12)):
        net = Netlist(Clock.of("LFE5U", 5.0, 0.125), "m")
        x = net.port("x", 0, of.width, Signal("x", low, low + size, 0, 0, 0), (0, 0))
        quotient = floor(net, x, divisor)
        bus = Bus("x", "x", 1, of)
        module = Module("m", (), (bus,), replace(bus, port="y"), tuple(net.cells.items()), (quotient,), ())
        every = np.arange(low, low + size + 1, dtype=object)
        assert (netlist_values.module_values(module, [every[:, None]], {0})[:, 0] == every // divisor).all()


def test_a_symmetric_accumulator_saturates_at_its_least_integer() -> None:
    """A sum of exactly -2^(W-1) fits the bits, but not the range."""
    x = given("x", (2,), FixedType(2, 2))
    accum = FixedType(4, 4, True, overflow=Overflow.SAT_SYM)
    weight = Tensor(np.array([[2, 2], [2, -2]]), FixedType(3, 3))
    fc = Node("fc", Dense(weight, None, accum), ("x",), (2,), Layer("fc", "Dense"), FixedType(6, 6))
    every = np.array(list(itertools.product(range(-2, 2), repeat=2)))
    assert_every_node_equal([x, fc], {"x": every})


@pytest.mark.parametrize("length", range(2, 10))
def test_softmax_of_every_length(length: int) -> None:
    """Sums whose highest bit may be any from that of one exponential on; equal inputs, and nearly equal ones."""
    x = given("x", (length,), FixedType(3, 3))
    of = FixedType(5, 0, signed=False)
    exp = Tensor(np.array([16, 11, 8, 4, 2, 1, 0, 0]), of)
    inverse = Tensor(np.array([16, 14, 12, 11, 10, 9, 9, 8]), of)
    nodes = [x]
    for name, distinct in (("plain", False), ("apart", True)):
        op = Softmax("stable", exp, 0, 0, inverse, 1, distinct=distinct)
        nodes.append(Node(name, op, ("x",), (length,), Layer(name, "Softmax"), FixedType(3, 0, signed=False)))
    nodes.append(Node("first", Softmax("argmax"), ("x",), (length,), Layer("first", "Softmax"), FixedType(2, 2)))
    values = np.random.default_rng(length).integers(-4, 4, (150, length))
    values[:50] = np.clip(values[:50], 2, 3)
    assert_every_node_equal(nodes, {"x": values})
