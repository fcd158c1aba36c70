"""Types of inputs of integers, and of numbers that are only compared."""

from __future__ import annotations

import numpy as np
import pytest

from kbuild.frontend.keras.build import build_graph
from kbuild.frontend.keras.graph_config import read_config
from kbuild.ir import Graph, Interval, Layer, Node, Tensor
from kbuild.ops.affine import Affine
from kbuild.ops.input import Input
from kbuild.ops.lut import Lut
from kbuild.ops.repeat import Repeat
from kbuild.ops.step import Step
from kbuild.passes.context import Context, layer_infos
from kbuild.passes.pipeline import optimize

LAYER = Layer("l", "Layer")


def of_dtype(dtype: str) -> Graph:
    layers = [
        {"class_name": "InputLayer", "config": {"batch_input_shape": [None, 3], "dtype": dtype, "name": "x"}},
        {"class_name": "ReLU", "config": {"name": "relu"}},
    ]
    config = {"class_name": "Sequential", "config": {"name": "m", "layers": layers}, "keras_version": "2.15.0"}
    return build_graph(read_config(config), "m")


@pytest.mark.parametrize(
    ("dtype", "of"),
    [
        ("bool", "ufixed<1,1,TRN_ZERO,SAT>"),
        ("uint8", "ufixed<8,8,TRN_ZERO,SAT>"),
        ("int8", "fixed<8,8,TRN_ZERO,SAT>"),
        ("uint16", "ufixed<16,16,TRN_ZERO,SAT>"),
        ("int32", "fixed<16,16,TRN_ZERO,SAT>"),
        ("int64", "fixed<16,16,TRN_ZERO,SAT>"),
        ("float16", "fixed<16,6,RND,SAT>"),
        ("float32", "fixed<16,6,RND,SAT>"),
    ],
)
def test_an_input_of_integers_without_data_holds_them(dtype: str, of: str) -> None:
    graph = of_dtype(dtype)
    assert str(optimize(graph, Context()).inputs[0].fixed()) == of
    data = {graph.inputs[0].name: np.array([[0.0, 2.0, 5.0]])}
    assert optimize(graph, Context(calibration=data)).inputs[0].fixed().width == 3
    ranges = {graph.inputs[0].name: (-1.0, 1.0)}
    assert optimize(graph, Context(ranges=ranges)).inputs[0].fixed().integer == 2


def compared(thresholds: list[float], other: bool = False) -> Graph:
    """An input that is compared with a number in each of its copies, and perhaps multiplied."""
    step = Step(Tensor(np.array(thresholds)[:, np.newaxis]), Tensor(np.array([0.0, 1.0])))
    count = len(thresholds)
    nodes = [
        Node("x", Input((1,)), (), (1,), LAYER),
        Node("r", Repeat((count,)), ("x",), (count,), LAYER),
        Node("s", step, ("r",), (count,), LAYER),
    ]
    if other:
        nodes.append(Node("a", Affine(Tensor([0.3]), Tensor([0.0])), ("x",), (1,), LAYER))
    return Graph("m", tuple(nodes), ("s", "a") if other else ("s",))


def test_a_number_that_is_only_compared_needs_no_more_than_the_largest_of_them() -> None:
    default = "fixed<16,6,RND,SAT>"
    assert str(optimize(compared([1, 2, 9]), Context()).inputs[0].fixed()) == "ufixed<4,4,TRN_ZERO,SAT>"
    assert str(optimize(compared([1, 2.5, 9]), Context()).inputs[0].fixed()) == default
    assert str(optimize(compared([0, 2, 9]), Context()).inputs[0].fixed()) == default
    assert str(optimize(compared([1, 2, 9], other=True), Context()).inputs[0].fixed()) == default


def test_a_table_that_bends_at_zero_is_bounded_there() -> None:
    bounds = Lut("gaussian").interval([Interval(np.array([-100.0, 0.5]), np.array([30.0, 2.0]))])
    assert bounds.high.tolist() == [1.0, float(np.exp(-0.25))]
    assert bounds.low[1] == np.exp(-4.0)


def test_a_layer_without_an_activation_has_the_name_of_the_linear_one() -> None:
    parts = [("fc", "Dense"), ("fc_relu", "Activation"), ("out", "Dense")]
    shape = Tensor(np.zeros((1,))), Tensor(np.zeros((1,)))
    nodes = [Node("x", Input((1,)), (), (1,), Layer("x", "InputLayer"))]
    for name, kind in parts:
        nodes.append(Node(name, Affine(*shape), (nodes[-1].name,), (1,), Layer(name, kind)))
    aliases = {info.name: info.aliases for info in layer_infos(Graph("m", tuple(nodes), ("out",)))}
    assert aliases["fc"] == aliases["x"] == ()
    assert aliases["out"] == ("out_linear",)
