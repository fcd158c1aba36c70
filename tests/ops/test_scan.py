"""Loops over steps: against their steps spelled out one after the other, on integers and floats; and their text."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from random_graphs import Builder, add_scan, random_inputs

from kbuild import emulate
from kbuild.fixed import FixedType, Overflow, wide
from kbuild.ir import Graph, Interval, Layer, Node, Tensor, verify
from kbuild.ir.files import load, save
from kbuild.ir.text import parse, tensors, to_text
from kbuild.ops import op_class
from kbuild.ops.constant import Constant
from kbuild.ops.dense import Dense
from kbuild.ops.identity import Identity
from kbuild.ops.input import Input
from kbuild.ops.merge import Merge
from kbuild.ops.scan import Scan


def loops(seed: int) -> Graph:
    """Some loops of random operations over sequences, some from states that are given."""
    b = Builder(np.random.default_rng(seed))
    for shape in ((1, 3), (4, 2), (1,), (2,), (3,), (4,)):
        name = f"x{'_'.join(map(str, shape))}"
        b.nodes.append(Node(name, Input(shape), (), shape, Layer(name, "InputLayer"), b.type()))
    while not any(isinstance(node.op, Scan) for node in b.nodes):
        add_scan(b)
    return verify(Graph("loops", tuple(b.nodes), tuple(n.name for n in b.nodes if isinstance(n.op, Scan))))


def spelled_out(graph: Graph, node: Node, op: Scan, inputs: dict[str, np.ndarray]) -> np.ndarray:
    """The value of a loop: each step by a run of the emulator on its graph, with casts as nodes of their own."""
    sequence, *starts = (inputs[name] for name in node.inputs)
    types = [graph[name].fixed() for name in node.inputs]

    def cast(values: np.ndarray, of: FixedType, to: FixedType) -> np.ndarray:
        shape, layer = values.shape[1:], Layer("cast", "Cast")
        nodes = (Node("x", Input(shape), (), shape, layer, of), Node("y", Identity(), ("x",), shape, layer, to))
        return emulate.run(Graph("cast", nodes, ("y",)), {"x": values}).values["y"]

    zeros = [np.zeros((len(sequence), size), np.int64) for size in op.state_sizes()]
    to = op.state_types()
    states = [cast(q, of, its) for q, of, its in zip(starts, types[1:], to, strict=True)] if starts else zeros
    kept = []
    steps = range(sequence.shape[1])
    for t in reversed(steps) if op.go_backwards else steps:
        given = [cast(sequence[:, t], types[0], op.element.fixed()), *states]
        named = {inner.name: value for inner, value in zip(op.body.inputs, given, strict=True)}
        values = emulate.run(op.body, named).values
        states = [cast(values[after.name], after.fixed(), its) for after, its in zip(op.after, to, strict=True)]
        kept.append(cast(states[op.output], to[op.output], node.fixed()))
    returned = kept[::-1] if op.flip else kept
    return np.stack(returned, 1) if op.return_sequences else kept[-1]


@pytest.mark.parametrize("seed", range(40))
def test_integers_are_those_of_the_steps(seed: int) -> None:
    graph = loops(seed)
    inputs = random_inputs(graph, seed, 6)
    found = emulate.run(graph, inputs)
    for name in graph.outputs:
        op = graph[name].op
        assert isinstance(op, Scan)
        assert np.array_equal(wide(found.values[name]), wide(spelled_out(graph, graph[name], op, inputs)))


@pytest.mark.parametrize("seed", range(12))
def test_text_and_files(seed: int, tmp_path: Path) -> None:
    graph = loops(seed)
    text = to_text(graph)
    assert parse(text, tensors(graph), op_class) == graph
    assert len(text.splitlines()) == len(graph.nodes) + 3
    save(graph, tmp_path)
    assert load(tmp_path, op_class) == graph


def counter(bias: bool = True) -> Scan:
    """`h = x + h @ 1 (+ 1)` in floats."""
    layer = Layer("l", "Layer")
    one = Tensor(np.ones((1, 1)))
    nodes = (
        Node("x", Input((1,)), (), (1,), layer), Node("h", Input((1,)), (), (1,), layer),
        Node("sum", Dense(one, Tensor(np.ones(1)) if bias else None), ("h",), (1,), layer),
        Node("next", Merge("add"), ("x", "sum"), (1,), layer),
    )  # fmt: skip
    return Scan(body=Graph("inside", nodes, ("next",)))


def test_floats() -> None:
    x = np.arange(6.0).reshape(2, 3, 1)
    assert counter().eval_float([x]).tolist() == [[6.0], [15.0]]
    backwards = replace(counter(), go_backwards=True, return_sequences=True)
    assert backwards.eval_float([x])[0, :, 0].tolist() == [3.0, 5.0, 6.0]
    assert replace(backwards, flip=True).eval_float([x])[0, :, 0].tolist() == [6.0, 5.0, 3.0]
    assert counter(bias=False).eval_float([x, np.full((2, 1), 10.0)]).tolist() == [[13.0], [22.0]]
    inside = [(name, value[0].tolist()) for name, value in counter().values_inside([x])]
    assert inside[:4] == [("x", [0.0]), ("h", [0.0]), ("sum", [1.0]), ("next", [1.0])] and len(inside) == 12


def test_what_depends_on_the_states() -> None:
    assert counter().recurrent_nodes() == {"h", "sum", "next"}


def test_bounds_are_those_of_the_state() -> None:
    graph = loops(3)
    node = graph[graph.outputs[0]]
    op = node.op
    assert isinstance(op, Scan)
    bounds = op.interval([Interval(np.zeros(graph[name].shape), np.zeros(graph[name].shape)) for name in node.inputs])
    low, high = op.state_types()[op.output].range
    assert bounds.low.shape == node.shape and bounds.low.min() == float(low) and bounds.high.max() == float(high)


def returning(*names: str) -> Callable[[Scan], Scan]:
    return lambda op: replace(op, body=replace(op.body, outputs=names))


@pytest.mark.parametrize(
    ("change", "shapes", "words"),
    [
        (lambda op: op, [(3, 2)], "takes elements of shape (1,), not (2,)"),
        (lambda op: op, [(3,)], "not (steps, features)"),
        (lambda op: op, [(3, 1), (2,)], "an initial state has shape (2,)"),
        (lambda op: op, [(3, 1), (1,), (1,)], "one input and perhaps 1 states"),
        (lambda op: replace(op, output=1), [(3, 1)], "no state number 1"),
        (returning("h"), [(3, 1)], "an input of the body as it is"),
        (returning("next", "next"), [(3, 1)], "makes states of the shapes"),
        (returning("gone"), [(3, 1)], "the output gone is not defined"),
    ],
)
def test_what_is_no_loop(change, shapes, words: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError, match=r".") as error:
        change(counter()).verify(shapes)
    assert words in str(error.value)


def test_a_constant_overflows_in_every_sample_and_step() -> None:
    layer, wide_type, narrow = Layer("l", "Layer"), FixedType(8, 8), FixedType(3, 3, overflow=Overflow.SAT)
    nodes = (
        Node("x", Input((1,)), (), (1,), layer, narrow), Node("h", Input((1,)), (), (1,), layer, narrow),
        Node("c", Constant(Tensor(np.array([9]), wide_type)), (), (1,), layer, narrow),
        Node("next", Merge("minimum"), ("x", "c"), (1,), layer, narrow),
    )  # fmt: skip
    op = Scan(body=Graph("inside", nodes, ("next",)))
    outer = (Node("s", Input((5, 1)), (), (5, 1), layer, narrow), Node("y", op, ("s",), (1,), layer, narrow))
    found = emulate.run(verify(Graph("g", outer, ("y",))), {"s": np.ones((7, 5, 1), np.int64)})
    assert found.overflows["y"] == 5 * 7 and found.values["y"].tolist() == [[1]] * 7
