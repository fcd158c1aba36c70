"""Inputs without data that the model normalizes: its own constants say their range."""

from __future__ import annotations

import numpy as np
import pytest

from kbuild.emulate import quantize_inputs, run, run_float
from kbuild.fixed import to_float
from kbuild.flow.data import random_values
from kbuild.ir import Graph, Layer, Node, Op, Tensor
from kbuild.ops.affine import Affine
from kbuild.ops.input import Input
from kbuild.ops.relu import Relu
from kbuild.ops.reshape import Reshape
from kbuild.passes.context import Context
from kbuild.passes.normalized import SPREAD, normalized_bounds
from kbuild.passes.pipeline import optimize

LAYER = Layer("l", "BatchNormalization")
RESCALING = Layer("r", "Rescaling")
MEAN, DEVIATION = np.array([2000.0, 0.5]), np.array([100.0, 4.0])


def normalized(*others: tuple[str, Op, tuple[int, ...]], outputs: tuple[str, ...] = ("n",)) -> Graph:
    """Samples of two features, each normalized by its own mean and deviation; `others` read the input, too."""
    op = Affine(Tensor((1 / DEVIATION)[np.newaxis]), Tensor((-MEAN / DEVIATION)[np.newaxis]))
    nodes = [Node("x", Input((3, 2)), (), (3, 2), LAYER), Node("n", op, ("x",), (3, 2), LAYER)]
    nodes += [Node(name, other, ("x",), shape, LAYER) for name, other, shape in others]
    return Graph("m", tuple(nodes), outputs)


def test_the_range_is_what_comes_to_the_spread() -> None:
    graph = normalized()
    bounds = normalized_bounds(graph, graph["x"])
    assert bounds is not None
    low, high = bounds
    assert low.shape == high.shape == (3, 2)
    np.testing.assert_allclose(low[0], MEAN - SPREAD * DEVIATION)
    np.testing.assert_allclose(high[2], MEAN + SPREAD * DEVIATION)
    assert str(optimize(graph, Context()).inputs[0].fixed()) == "fixed<16,13,RND,SAT>"


def test_it_is_found_behind_a_reshape_and_is_that_of_all_readers() -> None:
    unit = Affine(Tensor(np.full((1,), 0.01)), Tensor(np.zeros(1)))
    graph = normalized(("r", Reshape((6,)), (6,)), outputs=("n", "d"))
    graph = Graph("m", (*graph.nodes, Node("d", unit, ("r",), (6,), RESCALING)), ("n", "d"))
    bounds = normalized_bounds(graph, graph["x"])
    assert bounds is not None
    np.testing.assert_allclose(bounds[0][1], [-200, -200])
    np.testing.assert_allclose(bounds[1][1], [3600, 200])


@pytest.mark.parametrize("outputs", [("n", "relu"), ("n", "relu", "x")])
def test_an_input_with_another_reader_has_the_default(outputs: tuple[str, ...]) -> None:
    graph = normalized(("relu", Relu(), (3, 2)), outputs=outputs)
    assert normalized_bounds(graph, graph["x"]) is None
    assert str(optimize(graph, Context()).inputs[0].fixed()) == "fixed<16,6,RND,SAT>"


def test_what_is_known_of_an_input_counts_for_more() -> None:
    graph = normalized()
    assert optimize(graph, Context(ranges={"x": (0.0, 4095.0)})).inputs[0].fixed().integer == 12
    data = np.full((1, 3, 2), 3.0)
    assert str(optimize(graph, Context(calibration={"x": data})).inputs[0].fixed()) == "ufixed<2,2,RND,SAT>"


def test_a_scale_of_zero_says_nothing() -> None:
    op = Affine(Tensor(np.array([0.0, 0.5])), Tensor(np.array([1.0, 1.0])))
    graph = Graph("m", (Node("x", Input((2,)), (), (2,), LAYER), Node("n", op, ("x",), (2,), LAYER)), ("n",))
    bounds = normalized_bounds(graph, graph["x"])
    assert bounds is not None
    assert bounds[0].tolist() == [-16, -34] and bounds[1].tolist() == [16, 30]


def test_random_inputs_are_those_that_the_types_are_for() -> None:
    graph = normalized()
    fixed = optimize(graph, Context())
    x = random_values(fixed, {})
    low, high = x["x"].min(axis=(0, 1)), x["x"].max(axis=(0, 1))
    np.testing.assert_allclose([low, high], [MEAN - SPREAD * DEVIATION, MEAN + SPREAD * DEVIATION], rtol=0.02)
    integers, outside = quantize_inputs(fixed, x)
    found = to_float(run(fixed, integers).values["n"], fixed["n"].fixed())
    assert outside == {"x": 0}
    step = float(fixed.inputs[0].fixed().lsb) / DEVIATION.min()
    np.testing.assert_allclose(found, run_float(graph, x)["n"], atol=step)


def test_given_a_narrow_type_they_fill_it() -> None:
    graph = normalized()
    fixed = optimize(graph, Context(ranges={"x": (-1.0, 1.0)}))
    x = random_values(fixed, {})["x"]
    assert -2 <= x.min() < -1.99 and 1.99 < x.max() < 2  # of fixed<16,2>
