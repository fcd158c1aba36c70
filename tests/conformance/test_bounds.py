"""The derived bounds notice what they are for: a value that is off by a few LSBs of its type."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from conformance.bounds import error_bounds
from kbuild import emulate
from kbuild.fixed import from_float, to_float
from kbuild.ir import Graph, Layer, Node, Tensor, verify
from kbuild.ops.dense import Dense
from kbuild.ops.input import Input
from kbuild.ops.lut import Lut
from kbuild.ops.normalize import Normalize
from kbuild.ops.relu import Relu
from kbuild.ops.rnn import SimpleRnn
from kbuild.ops.softmax import Softmax
from kbuild.passes import resolve_precision
from kbuild.passes.context import Context

RNG = np.random.default_rng(0)
OPS = {
    "dense": Dense(Tensor(RNG.normal(0, 0.7, (4, 3))), Tensor(RNG.normal(0, 1, 3))),
    "relu": Relu(slope=Tensor(np.full((1, 1), 0.3))),
    "lut": Lut("sigmoid"),
    "softmax": Softmax(),
    "normalize": Normalize(axes=(1,)),
    "simple_rnn": SimpleRnn(
        weight=Tensor(RNG.normal(0, 0.7, (4, 3))), recurrent_weight=Tensor(RNG.normal(0, 0.4, (3, 3)))
    ),
}


def graph_of(kind: str) -> Graph:
    op = OPS[kind]
    nodes = [Node("x", Input((5, 4)), (), (5, 4), Layer("x", "InputLayer"))]
    nodes.append(Node("y", op, ("x",), op.infer_shape([(5, 4)]), Layer("y", "Layer")))
    return verify(Graph("one", tuple(nodes), ("y",)))


@pytest.mark.parametrize("kind", OPS)
def test_a_bound_holds_and_is_tight(kind: str) -> None:
    """The error is below the bound, and the bound is a small part of the value with types of 16 bits."""
    graph = graph_of(kind)
    inputs = {"x": np.random.default_rng(1).normal(0, 1, (50, 5, 4))}
    fixed = verify(resolve_precision.run(graph, Context(calibration=inputs)))
    integers, _ = emulate.quantize_inputs(fixed, inputs)
    run = emulate.run(fixed, integers)
    overflowed = {name for name, count in run.overflows.items() if count}
    bound = error_bounds(graph, fixed, inputs, integers, overflowed)["y"]
    error = np.abs(to_float(run.values["y"], fixed["y"].fixed()) - bound.value)
    assert (error <= bound.error + 1e-12).all()
    assert bound.error.max() < 0.05 * np.abs(bound.value).max()
    off = np.abs(to_float(run.values["y"], fixed["y"].fixed()) + 0.06 * np.abs(bound.value).max() - bound.value)
    assert (off > bound.error).all()


def test_a_table_whose_type_ends_below_the_function() -> None:
    """The hyperbolic tangent of 6 is nearer to 1 than to what a type with one integer bit holds."""
    nodes = (Node("x", Input((4,)), (), (4,), Layer("x", "InputLayer")),
             Node("y", Lut("tanh"), ("x",), (4,), Layer("y", "Activation")))  # fmt: skip
    graph, inputs = verify(Graph("one", nodes, ("y",))), {"x": np.array([[6.0, -6.0, 0.5, 0.0]])}
    fixed = verify(resolve_precision.run(graph, Context(calibration=inputs)))
    integers, _ = emulate.quantize_inputs(fixed, inputs)
    value = to_float(emulate.run(fixed, integers).values["y"], fixed["y"].fixed())
    bound = error_bounds(graph, fixed, inputs, integers, set())["y"]
    error = np.abs(value - bound.value)
    assert (error <= bound.error + 1e-12).all()
    assert error[0, 0] > 0.5 * float(fixed["y"].fixed().lsb)  # beyond rounding


@pytest.mark.parametrize("kind", ["dense", "simple_rnn"])
def test_a_wrong_weight_is_noticed(kind: str) -> None:
    """The bound is that of the weights as they were rounded, not of others."""
    graph = graph_of(kind)
    inputs = {"x": np.random.default_rng(2).normal(0, 1, (50, 5, 4))}
    fixed = verify(resolve_precision.run(graph, Context(calibration=inputs)))
    op = fixed["y"].op
    assert isinstance(op, Dense | SimpleRnn)
    changed = op.weight.data.copy()
    changed[0, 0] = from_float(op.weight.floats()[0, 0] + 0.05, op.weight.fixed())
    node = replace(fixed["y"], op=replace(op, weight=Tensor(changed, op.weight.type)))
    integers, _ = emulate.quantize_inputs(fixed, inputs)
    run = emulate.run(fixed.with_nodes([fixed["x"], node]), integers)
    bound = error_bounds(graph, fixed, inputs, integers, {"y"})["y"]
    error = np.abs(to_float(run.values["y"], fixed["y"].fixed()) - bound.value)
    assert (error > bound.error).any()
