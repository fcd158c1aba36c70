"""Figures of agreement, on numbers that can be checked by hand."""

import numpy as np
import pytest

from kbuild.fixed import FixedType, from_float
from kbuild.flow import metrics
from kbuild.ir import Graph, Layer, Node, Op
from kbuild.ops.input import Input
from kbuild.ops.relu import Relu
from kbuild.ops.reshape import Reshape
from kbuild.ops.softmax import Softmax


def test_argmax_agreement() -> None:
    reference = np.array([[0.1, 0.9], [0.6, 0.4], [0.2, 0.8], [0.7, 0.3]])
    fixed = np.array([[0.0, 1.0], [0.5, 0.5], [0.5, 0.5], [0.0, 1.0]])
    assert metrics.argmax_agreement(fixed, reference) == 0.5


@pytest.mark.parametrize(
    ("op", "shape", "remade"),
    [(Relu(), (2, 6), True), (Reshape((12,)), (12,), True), (Softmax(), (2, 6), False), (Reshape((3,)), (3,), False)],
)
def test_an_output_as_large_as_an_input_remakes_it(op: Op, shape: tuple[int, ...], remade: bool) -> None:
    layer = Layer("l", "Layer")
    nodes = (Node("x", Input((2, 6)), (), (2, 6), layer), Node("y", op, ("x",), shape, layer))
    assert metrics.remakes_input(Graph("m", nodes, ("y",))) == remade


def test_accuracy() -> None:
    assert metrics.accuracy(np.array([[1.0, 0], [0, 1], [1, 0]]), np.array([0, 1, 1])) == pytest.approx(2 / 3)


def test_r2() -> None:
    x = np.array([[1.0], [2.0], [3.0]])
    assert metrics.r2(x, x) == 1.0
    assert metrics.r2(np.full((3, 1), 2.0), x) == 0.0
    assert metrics.r2(np.array([[1.0], [2.0], [4.0]]), x) == 0.5
    assert metrics.r2(np.ones((3, 1)), np.ones((3, 1))) == 1.0
    assert metrics.r2(np.zeros((3, 1)), np.ones((3, 1))) == 0.0


@pytest.mark.parametrize("signed", [True, False])
def test_enough_integer_bits_is_enough_and_no_more(signed: bool) -> None:
    rng = np.random.default_rng(7)
    for _ in range(200):
        high = float(np.exp(rng.uniform(-5, 10)))
        low = -float(np.exp(rng.uniform(-5, 10))) if signed else 0.0
        of = FixedType(8, int(rng.integers(-2, 5)), signed)
        integer = metrics.enough_integer_bits(of, low, high)
        assert integer >= of.integer
        wide = FixedType(integer + of.fraction, integer, signed)
        assert from_float(low, wide) == np.floor(low * 2.0**of.fraction)
        assert from_float(high, wide) == np.floor(high * 2.0**of.fraction)
        if integer > of.integer:
            tight = FixedType(integer - 1 + of.fraction, integer - 1, signed)
            assert (
                from_float(low, tight) != np.floor(low * 2.0**of.fraction)
                or from_float(high, tight) != np.floor(high * 2.0**of.fraction)
            )


def test_first_difference() -> None:
    a = np.arange(12).reshape(3, 2, 2)
    b = a.copy()
    assert metrics.first_difference(a, b) is None
    b[1, 0, 1] = 7
    b[2, 0, 0] = 0
    assert metrics.first_difference(a, b) == ((1, 0, 1), 5, 7)
    assert metrics.differing_samples({"x": a}, {"x": b}, ["x"]) == 2


def test_integers_beyond_64_bits() -> None:
    a = np.array([[1 << 80, 1]], dtype=object)
    b = np.array([[1 << 80, 2]], dtype=object)
    assert metrics.first_difference(a, a) is None
    assert metrics.first_difference(a, b) == ((0, 1), 1, 2)
