"""Activations, recurrent layers, wrappers, normalizations and embeddings: fixed-point accuracy and refusals.

That they are right in float is tested with the other models of Keras in `test_keras_golden.py`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kbuild.emulate import quantize_inputs, run
from kbuild.errors import UnsupportedModel
from kbuild.fixed import FixedType, Overflow, Quantization, to_float
from kbuild.frontend.keras import read_model
from kbuild.frontend.keras.build import build_graph
from kbuild.frontend.keras.spec import Call, LayerSpec, ModelSpec, TensorRef
from kbuild.ir import Graph, Node, verify
from kbuild.ir.text import parse, to_text
from kbuild.ir.text import tensors as text_tensors
from kbuild.ops import op_class
from kbuild.ops.lstm import Lstm
from kbuild.ops.lut import Lut
from kbuild.ops.rnn import Recurrent
from kbuild.passes import check_capability, context, normalizing, ranges, recurrent, tables
from kbuild.passes.context import Context
from kbuild.passes.pipeline import PIPELINE

DATA = Path(__file__).parent / "data"
MADE = ("sequence_*", "operators_0", "attention_0", "wrapped_0")
FILES = sorted(path for name in MADE for path in DATA.glob(f"keras?_{name}.keras"))


def relative_errors(path: Path) -> dict[str, float]:
    """Of each output with automatic types, against Keras, relative to its largest magnitude or to one."""
    graph = read_model(None, None, path, path.stem)
    with np.load(path.with_suffix(".npz")) as arrays:
        inputs = {node.name: arrays[f"x{i}"].astype(np.float64) for i, node in enumerate(graph.inputs)}
        expected = [arrays[f"y{i}"].astype(np.float64) for i in range(len(graph.outputs))]
    for step in PIPELINE:
        if step is not check_capability.run:  # which backends can print is not the matter here
            graph = verify(step(graph, Context(calibration=inputs)))
    assert parse(to_text(graph), text_tensors(graph), op_class) == graph
    integers, _ = quantize_inputs(graph, inputs)
    values = run(graph, integers).values
    found = {}
    for name, y in zip(graph.outputs, expected, strict=True):
        error = np.abs(to_float(values[name], graph[name].fixed()) - y).max() / max(np.abs(y).max(), 1.0)
        found[name] = float(error)
    return found


def test_all_files_are_there() -> None:
    assert len(FILES) == 18


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_automatic_types_are_close_to_keras(path: Path) -> None:
    errors = relative_errors(path)
    assert max(errors.values()) <= 0.05, max(errors, key=lambda name: errors[name])


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_ample_precision_is_keras(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With 28 bits, the cells of tables are what is left: a 2**-16th of the range of a function's input.

    That range is below 64 here and no slope above two, so a table adds less than 1e-3; errors in states and in sums of
    several table values grow with the number of steps, which is five.
    """
    monkeypatch.setattr(context, "VALUE_WIDTH", 28)
    monkeypatch.setattr(ranges, "VALUE_WIDTH", 28)
    monkeypatch.setattr(tables, "TABLE_WIDTH", 28)
    monkeypatch.setattr(tables, "LUT_SIZE", 1 << 16)
    monkeypatch.setattr(recurrent, "TABLE_SIZE", 1 << 16)
    monkeypatch.setattr(normalizing, "TABLE_SIZE", 1 << 16)
    monkeypatch.setattr(normalizing, "ENTRY", FixedType(28, 1, signed=False))
    errors = relative_errors(path)
    assert max(errors.values()) <= 2e-3, max(errors, key=lambda name: errors[name])


LSTM: dict[str, Any] = {"units": 2, "activation": "tanh", "recurrent_activation": "sigmoid"}


def built(class_name: str, config: dict[str, Any], keras: int = 3, shape: tuple[int, ...] = (5, 3)) -> Graph:
    """A model of one layer with weights of ones for the cell of an LSTM."""
    cell = {"kernel": np.ones((3, 8)), "recurrent_kernel": np.ones((2, 8)), "bias": np.ones(8)}
    weights = {
        f"{side}cell/{name}": w for side in ("", "forward_layer/", "backward_layer/") for name, w in cell.items()
    }
    weights |= {"kernel": np.ones((3, 2)), "embeddings": np.ones((4, 2))}
    layer = LayerSpec("l", class_name, config, (Call((TensorRef("x"),)),), weights, keras=keras)
    source = LayerSpec("x", "InputLayer", {"batch_shape": [None, *shape]})
    return build_graph(ModelSpec("m", (source, layer), ("x",), (TensorRef("l"),)), "m")


@pytest.mark.parametrize(
    ("class_name", "config", "sentence"),
    [
        ("LSTM", {**LSTM, "stateful": True}, "stateful is true; set it to false"),
        ("LSTM", {**LSTM, "time_major": True}, "time_major is true; set it to false"),
        (
            "LSTM",
            {**LSTM, "activation": "softmax"},
            "activation is softmax, which is not a function of single elements",
        ),
        ("LSTM", {**LSTM, "recurrent_activation": "step"}, 'no activation "step"; there are'),
        ("LSTM", {**LSTM, "units": 3}, r"the weight cell/bias has shape \(8,\), not \(12,\)"),
        ("RNN", {"cell": {"class_name": "MyCell", "config": {}}}, "a cell of class MyCell; there are SimpleRNNCell"),
        ("RNN", {"cell": {"class_name": "StackedRNNCells", "config": {}}}, "a stack of no cells"),
        ("RNN", {"cell": None}, "cell is None, not a serialized layer"),
        ("Bidirectional", {"layer": {"class_name": "Dense", "config": {}}}, "around a layer of class Dense"),
        (
            "Bidirectional",
            {"layer": {"class_name": "LSTM", "config": {**LSTM, "stateful": True}}},
            "stateful is true; set it to false",
        ),
        ("Bidirectional", {"layer": {"class_name": "LSTM", "config": LSTM}, "merge_mode": "max"}, "merge_mode is max"),
        ("TimeDistributed", {"layer": {"class_name": "Lambda", "config": {}}}, "around a layer of class Lambda"),
        ("Masking", {"mask_value": -1.0}, "mask_value is not 0, so that it changes the steps; fill them with zeros"),
        ("LayerNormalization", {"rms_scaling": True}, "use RMSNormalization"),
        ("LayerNormalization", {"axis": [1, 1]}, "names an axis twice"),
        ("RMSNormalization", {"axis": 1}, "normalizes over others than the last axes"),
        ("EinsumDense", {"equation": "abc,cd", "output_shape": [5, 2]}, "is none that EinsumDense has"),
        ("EinsumDense", {"equation": "abc,ad->abd", "output_shape": [5, 2]}, "does not keep the batch"),
        ("EinsumDense", {"equation": "abc,cd->abd", "output_shape": [2]}, "does not give every axis of the output"),
        ("Dot", {"axes": 1, "normalize": False}, "is called with 1 inputs, not two"),
        ("GroupNormalization", {"groups": 2}, "groups is 2, which does not divide 3 channels"),
        ("ThresholdedReLU", {"theta": -1.0}, "theta is -1.0, which is negative"),
        ("Rescaling", {"scale": [1.0, 2.0]}, r"scale has shape \(2,\), which does not broadcast to \(5, 3\)"),
        ("Rescaling", {"scale": "big"}, "scale is neither a number nor a list of numbers"),
        ("Normalization", {"axis": -1, "mean": [0.0, 1.0], "variance": 1.0}, "mean has 2 values"),
        ("Normalization", {"axis": -1, "mean": 0.0, "variance": -1.0}, "its variance is negative"),
    ],
)
def test_refusals(class_name: str, config: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UnsupportedModel, match=sentence):
        built(class_name, config)


def test_recurrent_layers_need_a_sequence() -> None:
    with pytest.raises(UnsupportedModel, match=r"needs an input of shape \(steps, features\)"):
        built("LSTM", LSTM, shape=(3,))


def test_given_types_are_used_as_written() -> None:
    """Also where states and accumulators wrap: the values are those of the types, whatever they mean."""
    rng = np.random.default_rng(0)
    given = {
        "accum": FixedType(14, 5, True, Quantization.RND, Overflow.SAT),
        "recurrent_accum": FixedType(12, 4),
        "state": FixedType(9, 2, True, Quantization.RND_CONV, Overflow.SAT_SYM),
        "table": FixedType(10, 1, signed=False),
        "result": FixedType(7, 1, False, Quantization.TRN_ZERO, Overflow.SAT_ZERO),
    }

    class Given(Context):
        def type_of(self, node: Node, variable: str) -> FixedType | None:
            return given.get(variable) if node.layer.name == "l" else None

    x = rng.normal(0, 1, (20, 5, 3))
    graph = built("LSTM", {**LSTM, "return_sequences": True})
    context = Given(calibration={"x": x})
    for step in PIPELINE:
        if step is not check_capability.run:
            graph = verify(step(graph, context))
    op = graph["l"].op
    assert isinstance(op, Lstm) and graph["l"].type == given["result"]
    assert (op.accum, op.recurrent_accum, op.state, op.cell) == (*list(given.values())[:3], given["state"])
    assert all(t is not None and t.type == given["table"] for t in (op.table, op.recurrent_table, op.cell_table))
    values = run(graph, quantize_inputs(graph, {"x": x})[0]).values["l"]
    assert values.min() >= 0 and values.max() <= given["result"].max and values.any()


@pytest.mark.parametrize(("keras", "slope"), [(2, 0.2), (3, 1 / 6)])
def test_the_slope_of_the_hard_sigmoid_is_that_of_the_version(keras: int, slope: float) -> None:
    alone = built("Activation", {"activation": "hard_sigmoid"}, keras)["l"].op
    assert isinstance(alone, Lut) and alone.params[0] == slope
    inside = built("LSTM", {**LSTM, "recurrent_activation": "hard_sigmoid"}, keras)["l"].op
    assert isinstance(inside, Recurrent) and (slope, 0.5, 0.0, 1.0) in vars(inside).values()
