"""The sentences about a simulation: what they say of agreement, of overflows and of inputs that were made up."""

from __future__ import annotations

import numpy as np
import pytest

from kbuild.fixed import FixedType
from kbuild.flow import findings
from kbuild.ir import Graph, Layer, Node
from kbuild.ops.input import Input
from kbuild.report.records import Accuracy, DataSet, LayerResult, Reference, SimulationReport


def layer(name: str, overflows: int = 0, enough: int | None = None) -> LayerResult:
    return LayerResult(name, "fixed<16,6>", overflows, 0.0, "Dense", enough)


def report(source: str, argmax: float | None, accuracy: Accuracy | None = None, data: str = "file") -> SimulationReport:
    reference = Reference(source, 500, argmax, 0.12345, 0.001, 17.0)
    return SimulationReport({}, DataSet(data, 500), reference, (), accuracy=accuracy)


MODEL = "against the model in floating point, on 500"


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (report("keras", None), "against Keras, on 500 inputs: largest error of an output 0.123 (mean 0.001"),
        (report("file", 0.984), "against the given predictions, on 500 inputs: argmax equal for 98.4 %, largest error"),
        (report("float", 1.0, data="random"), f"{MODEL} random inputs: argmax equal for 100 %, largest error"),
        (report("float", 0.5, Accuracy(9, 0.75, 0.5)), f"{MODEL} inputs: accuracy 50 % (there 75 %), argmax equal"),
    ],
)
def test_agreement(given: SimulationReport, text: str) -> None:
    assert findings.agreement(given).startswith(text)


def test_not_quite_all_is_never_all() -> None:
    assert "argmax equal for 99.99 %" in findings.agreement(report("float", 0.999999))


def test_overflows() -> None:
    assert findings.overflows([layer("a"), layer("b")]) is None
    assert findings.overflows([layer("a"), layer("b", 1, 7)]) == (
        "values overflow in b once in fixed<16,6> (7 integer bits are enough)"
    )
    text = findings.overflows([layer(name, 5, 8) for name in "abcde"])
    inside = findings.overflows([layer("b", 2)])
    assert inside == "values overflow in b 2 times in fixed<16,6> (in what it adds up, not in its result)"
    each = "{} 5 times in fixed<16,6> (8 integer bits are enough)"
    a, b, c = (each.format(name) for name in "abc")
    assert text == f"values overflow in {a}, then in {b}, {c} and 2 more layers (reports/simulate.json)"


def test_inputs_outside_their_type() -> None:
    of = FixedType(16, 6)
    graph = Graph("m", (Node("n_x", Input((2,)), (), (2,), Layer("x", "InputLayer"), of),), ("n_x",))
    values = {"n_x": np.array([[1.0, 4095.0], [-33.0, 2.0]])}
    assert findings.outside(graph, values, {"n_x": 0}) == []
    (text,) = findings.outside(graph, values, {"n_x": 2})
    assert text.startswith(
        "2 of 4 values of the input x (-33 to 4095) are outside its type fixed<16,6> (-32 to 32), and their samples"
    )
    assert "Calibration.Ranges" in text


def test_features_that_are_lost_in_their_type() -> None:
    """Energies of up to 4000 beside ratios of about 1; a flag is exact in any type with an LSB of at most 1."""
    of = FixedType(16, 13)
    graph = Graph("m", (Node("n_x", Input((3,)), (), (3,), Layer("x", "InputLayer"), of),), ("n_x",))
    rng = np.random.default_rng(0)
    energies, flags, ratios = rng.uniform(0, 4000, 50), rng.integers(0, 2, 50), rng.uniform(0.2, 1.1, 50)
    (text,) = findings.coarse(graph, {"n_x": np.stack([energies, flags, ratios], axis=1)})
    assert text.startswith("1 of 3 features of the input x have fewer than 32 steps in its type fixed<16,13>, as num")
    assert findings.coarse(graph, {"n_x": np.stack([energies, flags, 100 * ratios], axis=1)}) == []
    beyond = np.stack([4 * energies, flags, 100 * ratios], axis=1)  # has another sentence
    assert findings.coarse(graph, {"n_x": beyond}) == []


def test_random_inputs() -> None:
    inputs = {"x": np.array([[-2.0, 1.0]]), "y": np.array([[3.9999]])}
    text = findings.random_inputs(inputs, overflow=False)
    assert text == "the inputs are random, from -2 to 4: give InputData for figures that mean something"
    assert "your data may overflow less; Precision: auto" in findings.random_inputs(inputs, overflow=True)
