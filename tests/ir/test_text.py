"""The text form and the files of a graph: they round-trip; wrong ones are errors with a line."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from kbuild.fixed import FixedType
from kbuild.ir import Graph, GraphError, Layer, Node, Tensor, verify
from kbuild.ir.files import load, save
from kbuild.ir.text import TextError, parse, tensors, to_text
from kbuild.ops import op_class
from kbuild.ops.constant import Constant
from kbuild.ops.dense import Dense
from kbuild.ops.input import Input
from kbuild.ops.lut import Lut
from kbuild.ops.merge import Merge
from kbuild.ops.relu import Relu

TYPE = FixedType.parse("fixed<16,6,RND,SAT>")


def example(of: FixedType | None) -> Graph:
    rng = np.random.default_rng(0)
    weight, bias = Tensor(rng.normal(size=(16, 5))), Tensor(rng.normal(size=5))
    slope = Tensor(np.array([0.25]))
    if of is not None:
        weight, bias = weight.quantized(of), bias.quantized(FixedType(100, 20))
        slope = slope.quantized(FixedType(4, 1, signed=False))
    layer = Layer('a "quoted" layer\n', "Dense")
    return Graph(
        "example",
        (
            Node("x", Input((16,)), (), (16,), layer, of),
            Node("d", Dense(weight, bias, None if of is None else FixedType(40, 12)), ("x",), (5,), layer, of),
            Node("r", Relu(slope, None, Tensor(np.array(6.0)) if of is None else None), ("d",), (5,), layer, of),
            Node("i", Relu(), ("d",), (5,), Layer("g_part", "GarNet", inner=True), of),
            Node("t", Lut("elu", (0.1 + 0.2, -1e-30)), ("r",), (5,), layer, of),
            Node("s", Merge("add"), ("d", "t"), (5,), layer, of),
        ),
        ("s", "d"),
    )


@pytest.mark.parametrize("of", [None, TYPE])
@pytest.mark.parametrize("inline", [0, 16, 1000])
def test_text_round_trip(of: FixedType | None, inline: int) -> None:
    graph = verify(example(of))
    again = parse(to_text(graph, inline), tensors(graph), op_class)
    assert again == graph
    assert to_text(again) == to_text(graph)


@pytest.mark.parametrize("of", [None, TYPE])
def test_files_round_trip(of: FixedType | None, tmp_path: Path) -> None:
    graph = example(of)
    save(graph, tmp_path)
    assert load(tmp_path, op_class) == graph


def test_files_are_reproducible(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        save(example(TYPE), tmp_path / name)
    a, b = ({path.relative_to(top): path.read_bytes() for path in top.rglob("*.*")} for top in tmp_path.iterdir())
    assert a == b
    assert len(a) > 1


@pytest.mark.parametrize("of", [None, TYPE])
def test_digests_of_files_are_those_of_their_bytes(of: FixedType | None, tmp_path: Path) -> None:
    wide = Tensor(np.array([1 << 70, -1], dtype=object), FixedType(72, 72))
    graph = example(of)
    graph = graph.with_nodes([*graph.nodes, Node("wide", Constant(wide), (), (2,), Layer("wide", "Any"), wide.type)])
    digests = save(graph, tmp_path)
    written = {path.relative_to(tmp_path).as_posix(): path.read_bytes() for path in tmp_path.rglob("*.npy")}
    assert {name: hashlib.sha256(content).hexdigest() for name, content in written.items()} == digests
    assert load(tmp_path, op_class) == graph


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("graph x {", "line 1: expected string, found 'x {'"),
        ('graph "g" {\n  %x = input() {shape = (2)} float[2]', "line 2: expected :, found 'float[2]'"),
        ('graph "g" {\n  %x = inputt() : float[2] @ "x" "I"\n return %x }', "no operation is called inputt"),
        ('graph "g" {\n  %x = input() {form = (2)} : float[2] @ "x" "I"\n return %x }', "unexpected keyword argument"),
        ('graph "g" {\n  %x = constant() {value = tensor float[2] #ab} : float[2] @ "x" "I" return %x }', "not among"),
    ],
)
def test_wrong_text(text: str, message: str) -> None:
    with pytest.raises(TextError) as caught:
        parse(text, {}, op_class)
    assert message in str(caught.value)


def node(name: str, inputs: tuple[str, ...] = (), shape: tuple[int, ...] = (2,), of: FixedType | None = None) -> Node:
    op = Input(shape) if not inputs else Merge("add")
    return Node(name, op, inputs, shape, Layer(name, "Any"), of)


@pytest.mark.parametrize(
    ("nodes", "outputs", "message"),
    [
        ((node("1x"),), ("1x",), "'1x' is not an identifier"),
        ((node("x"), node("x")), ("x",), "two nodes are called x"),
        ((node("y", ("x", "x")), node("x")), ("y",), "y reads x, x, not defined before it"),
        ((node("x"), node("y", ("x",))), ("y",), "y (merge): merge takes at least 2 inputs, not 1"),
        ((node("x"), node("y", ("x", "x"), (3,))), ("y",), "y (merge) has shape (3,), its op makes (2,)"),
        ((node("x"),), ("z",), "the output z is not defined"),
        ((node("x"),), (), "the graph has no output"),
        ((node("x", of=TYPE), node("y")), ("y",), "some values have a fixed-point type and some do not"),
    ],
)
def test_verify_refuses(nodes: tuple[Node, ...], outputs: tuple[str, ...], message: str) -> None:
    with pytest.raises(GraphError) as caught:
        verify(Graph("g", nodes, outputs))
    assert message in str(caught.value)
