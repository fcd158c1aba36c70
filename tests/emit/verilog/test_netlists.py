"""Netlists of random graphs, evaluated in Python: every node equals the emulator, every bound and cycle holds."""

from __future__ import annotations

import itertools

import netlist_values
import numpy as np
import pytest
from random_graphs import ANY, NARROW, Builder, random_graph, random_inputs

from kbuild import emulate
from kbuild.emit import Target
from kbuild.emit.verilog import emit, lower, print_design
from kbuild.emit.verilog.cells import Add
from kbuild.errors import UnsupportedModel
from kbuild.fixed import FixedType, IntArray, Overflow, Quantization, wide
from kbuild.ir import Graph, Layer, Node, Tensor, verify
from kbuild.ops.dense import Dense
from kbuild.ops.identity import Identity
from kbuild.ops.input import Input
from kbuild.ops.quantize import Quantize

SAMPLES = 30


def target(period: float = 5.0, part: str = "LFE5U-85F-6BG381C") -> Target:
    return Target("Yosys", "myproject", part, period, 0.125, "io_parallel")


def given(name: str, shape: tuple[int, ...], type: FixedType) -> Node:
    return Node(name, Input(shape), (), shape, Layer(name, "InputLayer"), type)


def assert_every_node_equal(graph: Graph, inputs: dict[str, IntArray], to: Target) -> None:
    samples = len(next(iter(inputs.values())))
    found = netlist_values.run(lower(graph, to), inputs)
    wanted = emulate.run(graph, inputs, [node.name for node in graph]).values
    for node in graph:
        values = np.broadcast_to(wide(found[node.name]), (samples, int(np.prod(node.shape))))
        assert np.array_equal(values, wide(wanted[node.name]).reshape(samples, -1)), node


@pytest.mark.parametrize("seed", range(24))
def test_random_graphs(seed: int) -> None:
    graph = random_graph(seed, widths=ANY if seed % 8 == 7 else NARROW)
    to = target(period=[2.0, 5.0, 20.0][seed % 3], part=["LFE5U-25F", "iCE40UP5K", "xcvu13p"][seed // 3 % 3])
    assert_every_node_equal(graph, random_inputs(graph, seed, SAMPLES), to)


@pytest.mark.slow
@pytest.mark.parametrize("first", range(100, 1100, 100))
def test_more_random_graphs(first: int) -> None:
    for seed in range(first, first + 100):
        graph = random_graph(seed, widths=ANY if seed % 10 == 0 else NARROW)
        assert_every_node_equal(graph, random_inputs(graph, seed, SAMPLES), target())


def test_every_cast() -> None:
    """All values of a type cast to other types in all modes."""
    builder = Builder(np.random.default_rng(6))
    builder.nodes += [given("s", (1,), FixedType(8, 4)), given("u", (1,), FixedType(7, 3, signed=False))]
    sources = list(builder.nodes)
    for source, quantization, overflow in itertools.product(sources, Quantization, Overflow):
        for width, integer, signed in ((4, 3, True), (5, 2, False), (12, 5, True), (3, -4, True), (2, 9, False)):
            builder.add(Identity(), [source], FixedType(width, integer, signed, quantization, overflow))
    names = tuple(node.name for node in builder.nodes[2:])
    values = np.arange(256)
    inputs = {"s": values[:, None] - 128, "u": values[:, None] % 128}
    assert_every_node_equal(verify(Graph("casts", tuple(builder.nodes), names)), inputs, target())


def test_every_accumulator() -> None:
    """Dense with all rounding and overflow modes of the accumulator, coarse and fine, signed or not."""
    builder = Builder(np.random.default_rng(5))
    x = given("x", (7,), FixedType(9, 4))
    builder.nodes.append(x)
    weight, bias = builder.tensor((7, 3), FixedType(8, 3)), builder.tensor((3,), FixedType(10, 5))
    for quantization, overflow, fraction in itertools.product(Quantization, Overflow, (3, 7, 12)):
        signed = len(builder.nodes) % 5 > 0
        accum = FixedType(fraction + 5, 5, signed, quantization, overflow)
        result = FixedType(9, 6, True, quantization, overflow) if len(builder.nodes) % 3 else accum.plain()
        builder.add(Dense(weight, None if len(builder.nodes) % 4 == 0 else bias, accum), [x], result)
    graph = verify(Graph("accumulators", tuple(builder.nodes), tuple(n.name for n in builder.nodes[1:])))
    assert_every_node_equal(graph, random_inputs(graph, 7, 100), target())


def dense(weight: Tensor, bias: Tensor | None, x: FixedType, result: FixedType | None = None) -> Graph:
    op = Dense(weight, bias)
    op = Dense(weight, bias, op.sum_type(x))
    k, n = weight.shape
    nodes = (given("x", (k,), x), Node("fc", op, ("x",), (n,), Layer("fc", "Dense"), result or op.accum))
    return verify(Graph("g", nodes, ("fc",)))


def test_a_shorter_clock_makes_a_longer_pipeline() -> None:
    builder = Builder(np.random.default_rng(1))
    graph = dense(builder.tensor((8, 4), FixedType(6, 1)), None, FixedType(8, 3))
    cycles = [lower(graph, target(period)).latency for period in (2.0, 5.0, 10.0, 40.0)]
    assert cycles == sorted(cycles, reverse=True) and cycles[0] > cycles[-1] == 2


def test_adders_of_known_matrices() -> None:
    of = FixedType(8, 8)

    def adders(columns: list[list[int]], bias: list[int] | None = None) -> int:
        weight = Tensor(np.array(columns).T, of)
        start = None if bias is None else Tensor(np.array(bias), of)
        return sum(module.adders for module in lower(dense(weight, start, of), target()).modules)

    assert adders([[0, 0], [1, 0], [0, -128]]) == 1  # nothing, a wire, and the negation of a shift
    assert adders([[1, 1], [2, 2], [1, -1]]) == 2
    assert adders([[5, 0], [10, 0], [40, 0]]) == 1
    assert adders([[1, 0]], [3]) == 1
    assert adders([[-1, 0]], [3]) == 1  # 3 - x
    assert adders([[0, 0]], [3]) == 0


def test_rounding_joins_the_bias() -> None:
    weight, bias = Tensor(np.array([[3], [5]]), FixedType(8, 4)), Tensor(np.array([7]), FixedType(8, 4))
    plain = lower(dense(weight, bias, FixedType(8, 4), FixedType(8, 6)), target()).modules[0].adders
    rounded = FixedType(8, 6, True, Quantization.RND)
    assert lower(dense(weight, bias, FixedType(8, 4), rounded), target()).modules[0].adders == plain


def test_low_bits_that_are_always_zero_are_not_added() -> None:
    """Values of coarser types than the one they have in common: each adder is as narrow as the coarser allows."""
    x, common = given("x", (3,), FixedType(8, 4)), FixedType(8, 4)
    cast = Quantize((FixedType(4, 4), FixedType(6, 4)), Tensor(np.array([0, 0, 1]), FixedType(2, 2)))
    weight = Tensor(np.array([[1], [1], [0]]), FixedType(2, 2))
    op = Dense(weight, None, Dense(weight, None).sum_type(common))
    nodes = (x, Node("q", cast, ("x",), (3,), Layer("q", "Quantizer"), common),
             Node("fc", op, ("q",), (1,), Layer("fc", "Dense"), op.accum))
    graph = verify(Graph("g", nodes, ("fc",)))
    design = lower(graph, target())
    sums = [signal for module in design.modules for signal, cell in module.cells if isinstance(cell, Add)]
    assert [(signal.width, signal.zeros) for signal in sums] == [(5, 0)]  # of two integers of four bits
    assert_every_node_equal(graph, random_inputs(graph, 1, 100), target())


def test_names_that_verilog_does_not_take() -> None:
    names = ["input", "clk", "Clk", "module", "x", "X", "kb_delay", "y"]
    of = FixedType(4, 4)
    nodes = [given("a", (1,), of)]
    for name in names:
        nodes.append(Node(name, Identity(), (nodes[-1].name,), (1,), Layer(name, "Activation"), of))
    graph = verify(Graph("g", tuple(nodes), tuple(names)))
    design = lower(graph, Target("Yosys", "module", "LFE5U-85F", 5.0, 0.1, "io_parallel"))
    ports = ["clk", "rst", "in_valid", "out_valid", *(bus.port for bus in (*design.inputs, *design.outputs))]
    assert len({port.casefold() for port in ports}) == len(ports) == len(names) + 5
    assert design.name == "module_2" and "input_2" in ports and "clk_2" in ports and "Clk_3" in ports
    files = [name.casefold() for name in print_design(design)]
    assert len(set(files)) == len(files)


def test_too_large_a_model_is_refused_at_once() -> None:
    weight = Tensor(np.random.default_rng(0).integers(-(1 << 15), 1 << 15, (300, 300)), FixedType(16, 1))
    with pytest.raises(UnsupportedModel, match=r"adds 4\d\d,\d\d\d terms in every cycle, more than the 120,000.*\(larg"
                                               r"est layers: fc 4\d\d,\d\d\d\).*fewer bits or prune.*ReuseFactor$"):
        lower(dense(weight, None, FixedType(8, 4)), target())


def test_the_same_bytes_every_time() -> None:
    graph = random_graph(3)
    assert emit(graph, target()) == emit(random_graph(3), target())


def test_testbench_and_makefile() -> None:
    graph = random_graph(3)
    files = emit(graph, target())
    assert {"tb/testbench.sv", "Makefile", "firmware/myproject.v", "firmware/kb_delay.v"} <= set(files)
    assert all(f"firmware/{name}" in files for name in print_design(lower(graph, target())))
    texts = [text for text in files.values() if isinstance(text, str)]
    assert len(texts) == len(files) and not any("@" in text.replace("@(posedge", "").replace("@(negedge", "")
                                                for text in texts)
