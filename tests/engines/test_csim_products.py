"""Products of values, also with constants, along any axes: no strategy and no reuse factor changes an integer."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from random_graphs import Builder, random_inputs

from kbuild import emulate
from kbuild.emit.hls.products import value_step
from kbuild.emit.hls.steps import steps
from kbuild.emit.hls.stream.network import network
from kbuild.emit.hls.stream.process import Arrays, Packing
from kbuild.emit.hls.stream.text import function
from kbuild.engines import csim
from kbuild.engines.csim_stream import StreamCSim
from kbuild.fixed import FixedType, Overflow, Quantization, wide
from kbuild.ir import Graph, Layer, Node, Shape, verify
from kbuild.ops.einsum import Einsum
from kbuild.ops.input import Input
from kbuild.ops.multipliers import OF_VALUES, STRATEGIES
from kbuild.resources import resource

OF = FixedType(9, 4)
NARROW = FixedType(10, 5, True, Quantization.RND, Overflow.SAT)  # rounds each product, saturates on the way
VALUES = [("ab,bc->ac", (3, 4), (4, 6)), ("abc,acd->dba", (2, 3, 4), (2, 4, 3))]
CONSTANTS: list[tuple[str, Shape, Shape, Shape | None]] = [
    ("ab,bc->ac", (3, 4), (4, 6), (6,)),
    ("abc,bcd->ad", (2, 3, 4), (3, 4, 2), None),  # several axes of the value
    ("abc,cde->abde", (2, 3, 4), (4, 2, 3), (1, 2, 3)),  # and of the result: an attention's projection
    ("abc,acd->abd", (2, 3, 4), (2, 4, 3), (2, 1, 3)),  # a matrix for each element of an axis
    ("abc,acd->dba", (2, 3, 4), (2, 4, 3), None),
]


def graph_of(seed: int, most: int = 24) -> Graph:
    """Every strategy with up to `most` of its reuse factors, for each product; all of them, but for long lists."""
    b = Builder(np.random.default_rng(seed), (4, 12))
    given: dict[Shape, Node] = {}

    def value(shape: Shape) -> Node:
        if shape not in given:
            name = f"x{len(given)}"
            given[shape] = Node(name, Input(shape), (), shape, Layer(name, "InputLayer"), OF)
            b.nodes.append(given[shape])
        return given[shape]

    products = [(Einsum(equation), [value(one), value(two)]) for equation, one, two in VALUES]
    for equation, one, two, bias in CONSTANTS:
        weight = b.tensor(two, FixedType(6, 2))
        products.append((Einsum(equation, weight, None if bias is None else b.tensor(bias)), [value(one)]))
    for op, inputs in products:
        shapes = [x.shape for x in inputs]
        (matrix,) = op.matrices(shapes, "io_parallel")
        for strategy in op.strategies:
            legal = matrix.legal(strategy)
            for reuse in b.rng.permutation(legal)[:most].tolist():
                accum = (b.rng.choice(2) and NARROW) or op.sum_type([x.fixed() for x in inputs], shapes)
                b.add(replace(op, accum=accum).reusing(strategy, reuse), inputs, FixedType(12, 6))
    return verify(Graph("products", tuple(b.nodes), tuple(node.name for node in b.nodes if node.inputs)))


def assert_every_node_equal(graph: Graph, io_type: str, folder: Path) -> None:
    inputs, names = random_inputs(graph, 7, 20), [node.name for node in graph]
    wanted = emulate.run(graph, inputs, names).values
    library = csim.build(graph, folder, io_type=io_type)
    engine = csim.CSim(library, graph) if io_type == "io_parallel" else StreamCSim(library, graph)
    found = engine.run(inputs, names)
    same = {name: bool((wide(wanted[name]) == wide(found[name])).all()) for name in names}
    wrong = [f"{node.name}: {node}" for node in graph if not same[node.name]]
    assert not wrong, wrong[0]


@pytest.mark.parametrize("io_type", ["io_parallel", "io_stream"])
def test_no_reuse_factor_changes_the_result(io_type: str, tmp_path: Path) -> None:
    graph = graph_of(1, 2)
    ops = [node.op for node in graph if isinstance(node.op, Einsum)]
    for constant, strategies in ((True, STRATEGIES), (False, OF_VALUES)):
        drawn = {(op.strategy, op.reuse_factor > 1) for op in ops if (op.weight is not None) == constant}
        assert drawn >= {(name, True) for name in strategies if name != "distributed_arithmetic"}
        assert {name for name, _ in drawn} == {*strategies}
    assert_every_node_equal(graph, io_type, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize(("seed", "io_type"), [(s, io) for s in (2, 3) for io in ("io_parallel", "io_stream")])
def test_every_reuse_factor(seed: int, io_type: str, tmp_path: Path) -> None:
    assert_every_node_equal(graph_of(seed), io_type, tmp_path)


def test_the_kernels_are_told_the_reuse_factor() -> None:
    """Multipliers and cycles of each product, as docs/hls.md has them."""
    for node, step in steps(graph_of(4)):
        op = node.op
        if not isinstance(op, Einsum):
            continue
        (config,) = [call.config.integers for call in step.calls if call.kernel.endswith(op.strategy)]
        assert config["reuse_factor"] == op.reuse_factor
        if op.weight is None:
            each = config["terms"] * config["columns"]
            if op.strategy == "latency":
                assert config["multipliers"] == -(-config["batch"] * config["rows"] * each // op.reuse_factor)
            else:
                assert config["lanes"] * config["depth"] * op.reuse_factor == each
        elif op.strategy in ("latency", "unrolled"):
            all_products = config["rows"] * config["inputs"] * config["outputs"]
            assert config["multipliers"] == -(-all_products // op.reuse_factor)
        elif op.strategy == "resource":
            assert config["products"] * op.reuse_factor == config["inputs"] * config["outputs"]
    text = resource("backends", "hls", "einsum.h").read_text()
    latency, serial = text.split("void einsum_latency")[1].split("void einsum_resource")
    assert "PIPELINE II=C::reuse_factor" in latency and "instances=mul limit=C::multipliers" in latency
    assert "PIPELINE II=1" in serial and "n += C::lanes" in serial and "k += C::depth" in serial


def test_a_step_of_values_divides_both_sides() -> None:
    for terms, columns in itertools.product(range(1, 13), repeat=2):
        for reuse in (n for n in range(1, terms * columns + 1) if terms * columns % n == 0):
            lanes, depth = value_step(terms, columns, reuse)
            assert columns % lanes == 0 and terms % depth == 0 and lanes * depth * reuse == terms * columns


def test_a_stream_multiplies_one_position_after_the_other() -> None:
    """Where the constant is for the inner axes; a pipeline that takes one every `reuse_factor` cycles."""
    b = Builder(np.random.default_rng(0))
    x = Node("x", Input((5, 4)), (), (5, 4), Layer("x", "InputLayer"), OF)
    b.nodes.append(x)
    weight = b.tensor((4, 2, 3), OF)
    for strategy, reuse in (("latency", 4), ("resource", 4)):
        b.add(Einsum("ab,bcd->acd", weight, b.tensor((2, 3), OF), OF, strategy, reuse), [x], OF)
    moved = b.add(Einsum("ab,bcd->cad", weight, None, OF), [x], OF)
    made = network(verify(Graph("g", tuple(b.nodes), tuple(node.name for node in b.nodes[1:]))))
    bodies = {process.name: process.body for process in made.processes}
    for node, interval in zip(b.nodes[1:3], (4, 0), strict=True):
        body = bodies[f"process_{node.name}"]
        assert isinstance(body, Arrays) and (body.passes, body.interval) == (5, interval)
        assert {operand.packing for operand in (*body.each, *body.outputs)} == {Packing(1, 4), Packing(1, 6)}
    whole = bodies[f"process_{moved.name}"]
    assert isinstance(whole, Arrays) and whole.passes == 1


def test_values_of_a_stream_that_are_no_registers(tmp_path: Path) -> None:
    """They move one after the other, and what a step uses lies side by side."""
    b = Builder(np.random.default_rng(0))
    for name, shape in (("x", (60, 72)), ("z", (60, 70))):
        b.nodes.append(Node(name, Input(shape), (), shape, Layer(name, "InputLayer"), OF))
    one, two = b.nodes
    b.add(Einsum("ab,ac->cb", None, None, FixedType(24, 14), "resource", 30), [one, two], OF)
    b.add(Einsum("ab,ac->cb", b.tensor((60, 8), OF), None, FixedType(24, 14), "resource", 30), [one], OF)
    graph = verify(Graph("large", tuple(b.nodes), tuple(node.name for node in b.nodes[2:])))
    values, constant = network(graph).processes[-2:]
    fifos = network(graph).by_name()
    assert f"kbuild::transpose_in_turn<part_1_config_{b.nodes[2].name}>" in function(values, fifos)
    assert "variable=layer_z cyclic factor=140\n" in function(values, fifos)  # two of 60 terms of all 70 sums
    assert "variable=layer_x cyclic factor=72\n" in function(constant, fifos)
    assert_every_node_equal(graph, "io_stream", tmp_path)
