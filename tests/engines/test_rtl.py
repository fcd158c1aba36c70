"""The RTL simulation against the emulator: every node of random graphs, as integers, with ==."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from random_graphs import ANY, MAKERS, NARROW, Builder, random_graph, random_inputs

from kbuild import emulate
from kbuild.emit import Target
from kbuild.emit.verilog import lower, print_design
from kbuild.emit.verilog.design import Design
from kbuild.engines import rtl
from kbuild.errors import StageError
from kbuild.fixed import FixedType, IntArray, Overflow, Quantization, wide
from kbuild.ir import Graph, Layer, Node, Tensor, verify
from kbuild.ops.dense import Dense
from kbuild.ops.identity import Identity
from kbuild.ops.input import Input
from kbuild.ops.lut import Lut
from kbuild.ops.relu import Relu
from kbuild.tools import verilator

TARGET = Target("Yosys", "myproject", "LFE5U-85F-6BG381C", 5.0, 0.125, "io_parallel")


def together(graphs: Sequence[Graph]) -> Graph:
    """Several graphs as one, so that they are compiled once."""
    nodes: list[Node] = []
    outputs: list[str] = []
    for index, graph in enumerate(graphs):
        nodes += [
            replace(n, name=f"g{index}_{n.name}", inputs=tuple(f"g{index}_{i}" for i in n.inputs)) for n in graph
        ]
        outputs += [f"g{index}_{name}" for name in graph.outputs]
    return verify(Graph("together", tuple(nodes), tuple(outputs)))


def same(a: IntArray, b: IntArray) -> bool:
    return a.shape == b.shape and bool((wide(a) == wide(b)).all())


def lint(design: Design, folder: Path) -> None:
    files = [folder / name for name in print_design(design)]
    verilator.lint([f for f in files if f.suffix == ".vlt"] + [f for f in files if f.suffix == ".v"], design.name,
                   log=folder / "lint.log")


def assert_every_node_equal(graph: Graph, folder: Path, samples: int = 40) -> None:
    design = lower(graph, TARGET)
    inputs = random_inputs(graph, 7, samples)
    names = [node.name for node in graph]
    wanted = emulate.run(graph, inputs, names).values
    engine = rtl.Rtl(rtl.build(design, folder), graph, design)
    found = engine.run(inputs, names)
    wrong = [f"{node.name}: {node}" for node in graph if not same(wanted[node.name], found[node.name])]
    assert not wrong, wrong[0]
    assert engine.latency == design.latency and engine.interval == design.interval == 1
    lint(design, folder)


def test_random_graphs(tmp_path: Path) -> None:
    seeds = [(seed, NARROW) for seed in range(1, 5)] + [(100, (33, 80))]
    graphs = [random_graph(seed, 9, widths=widths) for seed, widths in seeds]
    assert {node.op.kind for graph in graphs for node in graph} == {*MAKERS, "input"}
    assert_every_node_equal(together(graphs), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("first", range(1000, 1100, 10))
def test_more_random_graphs(first: int, tmp_path: Path) -> None:
    graphs = [random_graph(seed, widths=ANY if seed % 10 == 0 else NARROW) for seed in range(first, first + 10)]
    assert_every_node_equal(together(graphs), tmp_path)


def mlp() -> Graph:
    """A small network with a table behind it."""
    builder = Builder(np.random.default_rng(3))
    of = FixedType(8, 3, True, Quantization.RND, Overflow.SAT)
    builder.nodes.append(Node("x", Input((10,)), (), (10,), Layer("x", "InputLayer"), FixedType(8, 3)))
    for k, n in ((10, 8), (8, 4)):
        op = Dense(builder.tensor((k, n), FixedType(5, 1)), builder.tensor((n,), FixedType(6, 1)))
        op = replace(op, accum=op.sum_type(builder.nodes[-1].fixed()))
        builder.add(Relu(), [builder.add(op, [builder.nodes[-1]], of)], of)
    builder.add(Lut("tanh", (), Tensor(np.arange(256) - 128, of), -128), [builder.nodes[-2]], of)
    return verify(Graph("mlp", tuple(builder.nodes), (builder.nodes[-1].name, builder.nodes[-2].name)))


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> rtl.Rtl:
    graph = mlp()
    design = lower(graph, TARGET)
    return rtl.Rtl(rtl.build(design, tmp_path_factory.mktemp("mlp")), graph, design)


@pytest.mark.parametrize("samples", [0, 1, 2, 63, 64, 129, 1000])
def test_batches_of_any_size(engine: rtl.Rtl, samples: int) -> None:
    inputs = {"x": np.resize(random_inputs(engine.graph, 5, 300)["x"], (samples, 10))}
    found, wanted = engine.run(inputs), emulate.run(engine.graph, inputs).values
    assert list(found) == list(engine.graph.outputs)
    assert all(same(found[name], wanted[name]) for name in found)


def test_kept_values_only(engine: rtl.Rtl) -> None:
    inputs = random_inputs(engine.graph, 6, 5)
    assert set(engine.run(inputs, ["x", "relu2"])) == {"x", "relu2"}
    assert same(engine.run(inputs, ["x"])["x"], inputs["x"])


def test_a_wrong_shape_is_refused(engine: rtl.Rtl) -> None:
    with pytest.raises(ValueError, match=r"the input x has shape \(9,\), not \(10,\)"):
        engine.run({"x": np.zeros((3, 9), np.int64)})
    with pytest.raises(ValueError, match="the input x is missing"):
        engine.run({})


def test_a_design_that_loses_samples_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    of = FixedType(4, 4)
    node = Node("y", Identity(), ("x",), (1,), Layer("y", "Activation"), of)
    graph = verify(Graph("g", (Node("x", Input((1,)), (), (1,), Layer("x", "InputLayer"), of), node), ("y",)))
    design = lower(graph, TARGET)
    sources = {name: text.replace("valid <= in_valid", "valid <= in_valid & x[0]")
               for name, text in print_design(design).items()}
    monkeypatch.setattr(rtl, "print_design", lambda _: sources)
    broken = rtl.Rtl(rtl.build(design, tmp_path), graph, design)
    with pytest.raises(StageError, match="marked 2 outputs valid after 4 inputs"):
        broken.run({"x": np.array([[1], [2], [3], [4]])})
