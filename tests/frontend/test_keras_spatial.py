"""Convolution, pooling and reshape layers: layouts, fixed-point accuracy and refusals.

That they are right in float is tested with the other models of Keras in `test_keras_golden.py`.
"""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest

from kbuild.config import load_recipe, resolve_settings
from kbuild.emulate import quantize_inputs, run, run_float
from kbuild.errors import UnsupportedModel
from kbuild.fixed import contains, to_float
from kbuild.frontend.keras import read_model
from kbuild.ir import Graph, Node, verify
from kbuild.ops.affine import Affine
from kbuild.ops.contraction import Contraction
from kbuild.ops.conv import Conv
from kbuild.ops.lut import Lut
from kbuild.passes import check_capability
from kbuild.passes.context import Context, layer_infos
from kbuild.passes.pipeline import PIPELINE

DATA = Path(__file__).parent / "data"
RANDOM = sorted(path for path in DATA.glob("keras?_spatial_*.keras") if "networks" not in path.name)


def read(path: Path) -> Graph:
    return read_model(None, None, path, path.stem)


def fixed(graph: Graph, inputs: dict[str, np.ndarray], rules: str, folder: Path) -> Graph:
    """With types, whether a backend can print it or not."""
    (folder / "model.keras").touch()
    (folder / "recipe.yml").write_text(f"KerasModel: model.keras\nBackend: Vitis\nHLSConfig:\n  {rules}\n")
    (recipe,) = load_recipe(folder / "recipe.yml")
    context = Context(resolve_settings(recipe, layer_infos(graph)), calibration=inputs)
    for step in PIPELINE:
        if step is not check_capability.run:
            graph = verify(step(graph, context))
    return graph


def inputs_of(graph: Graph, path: Path) -> dict[str, np.ndarray]:
    with np.load(path.with_suffix(".npz")) as arrays:
        return {node.name: arrays[f"x{i}"].astype(np.float64) for i, node in enumerate(graph.inputs)}


def error_bound(graph: Graph, node: Node, values: dict[str, np.ndarray]) -> float:
    """What rounding of constants, tables and results can make of a value that calibration data keep in range."""
    if node.op.kind == "input":
        return 0.0
    (source,) = graph.inputs_of(node)
    op, types = node.op, [source.fixed()]
    exact = op.is_finite(types) and contains(node.fixed(), op.infer_type(types))
    error, lsb = error_bound(graph, source, values), 0.0 if exact else float(node.fixed().lsb)
    largest = float(np.abs(values[source.name]).max())
    if isinstance(op, Contraction):
        gain = float(np.abs(op.matrix.floats()).sum(axis=0).max())
        bias = float(op.bias.fixed().lsb) if op.bias is not None else 0.0
        return error * gain + op.terms * (largest + error) * float(op.weight.fixed().lsb) + bias + lsb
    if isinstance(op, Affine):
        gain = float(np.abs(op.scale.floats()).max())
        return error * gain + (largest + error) * float(op.scale.fixed().lsb) + float(op.bias.fixed().lsb) + lsb
    if isinstance(op, Lut):  # a sigmoid: its slope is at most 1/4, and an entry stands for 2**shift inputs
        return error + float(source.fixed().lsb) * 2**op.shift / 4 + float(op.made().fixed().lsb) + lsb
    return error + (3 * lsb if op.kind == "softmax" else lsb)


@pytest.mark.parametrize("path", RANDOM, ids=lambda path: path.stem)
def test_fixed_with_ample_precision(path: Path, tmp_path: Path) -> None:
    graph = read(path)
    inputs = inputs_of(graph, path)
    typed = fixed(graph, inputs, "Model: {Precision: {maximum: 'fixed<24,8>'}}", tmp_path)
    names = [node.name for node in typed]
    floats = run_float(graph, inputs, [node.name for node in graph])
    integers, lost = quantize_inputs(typed, inputs)
    assert not any(lost.values())
    done = run(typed, integers, names)
    assert not any(done.overflows.values())
    for name in typed.outputs:
        node = typed[name]
        error = np.abs(to_float(done.values[name], node.fixed()) - floats[name]).max()
        bound = error_bound(typed, node, floats)
        assert error <= bound + 1e-12, (node.layer, error, bound)
        assert bound < 0.02 or "Activation" in node.layer.class_name or "Softmax" in node.layer.class_name


def test_channels_first_costs_a_transposition_at_the_borders_only() -> None:
    """Two outputs keep channels first, Softmax and a user's Permute among them; flattening is in the weights."""
    graph = read(DATA / "keras3_spatial_networks.keras")
    inner = [node for node in graph if node.op.kind == "transpose" and node.name not in graph.outputs]
    of_user = [node for node in inner if node.layer.class_name == "Permute"]
    border = [node for node in inner if node.inputs == ("first",)]
    assert len(border) == 1 and set(inner) == {*border, *of_user}
    assert {node.shape[-1] for node in graph if isinstance(node.op, Conv) and node.layer.name == "f_conv"} == {4}


def saved(folder: Path, layers: list[tuple[str, dict[str, object]]], weights: dict[str, dict[str, np.ndarray]]) -> Path:
    """A Sequential archive as Keras 3 writes it; weights by layer group and number."""
    entries = [{"class_name": name, "config": {"name": f"l{i}", **config}} for i, (name, config) in enumerate(layers)]
    model = {"class_name": "Sequential", "config": {"name": "m", "layers": entries}}
    with h5py.File(folder / "w.h5", "w") as file:
        root = file.create_group("layers")
        for group, arrays in weights.items():
            for number, array in arrays.items():
                root.require_group(f"{group}/vars")[number] = array
    path = folder / "model.keras"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", json.dumps(model))
        archive.writestr("metadata.json", "{}")
        archive.write(folder / "w.h5", "model.weights.h5")
    return path


FIRST = {"data_format": "channels_first"}


def test_types_of_a_layer_are_not_those_of_its_transposed_input(tmp_path: Path) -> None:
    """The input is not cast to the result of the layer that wants it transposed."""
    layers = [
        ("InputLayer", {"batch_shape": [None, 2, 3]}),
        ("Conv1D", {"filters": 1, "kernel_size": 1, "use_bias": False, "activation": "relu", **FIRST}),
    ]
    kernel = np.array([[[4.0], [-4.0]]])
    graph = read(saved(tmp_path, layers, {"conv1d": {"0": kernel}}))
    x = np.arange(6.0).reshape(1, 2, 3)
    rules = "LayerName: {l1: {Precision: {result: 'fixed<4,4>'}}, l1_relu: {Precision: {result: 'fixed<9,9>'}}}"
    typed = fixed(graph, {"l0": x}, rules, tmp_path)
    integers, _ = quantize_inputs(typed, {"l0": x})
    y = run(typed, integers).values[typed.outputs[0]]
    exact = 4 * x[0, 0] - 4 * x[0, 1]  # -12 for each: 4 in four bits
    assert y.tolist() == [[[(int(v) + 8) % 16 - 8 for v in exact]]]
    assert [node.type and str(node.type) for node in typed if node.layer.name == "l1"] == ["fixed<4,4>"]


def test_batch_normalization_is_folded_into_a_convolution(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    layers = [
        ("InputLayer", {"batch_shape": [None, 3, 5, 4]}),
        ("DepthwiseConv2D", {"kernel_size": [2, 2], "depth_multiplier": 2, "use_bias": False, **FIRST}),
        ("BatchNormalization", {"axis": 1}),
        ("Conv2DTranspose", {"filters": 2, "kernel_size": [3, 3], "strides": [2, 2], **FIRST}),
        ("BatchNormalization", {"axis": 1}),
    ]
    weights = {
        "depthwise_conv2d": {"0": rng.normal(size=(2, 2, 3, 2))},
        "batch_normalization": {str(i): rng.uniform(0.5, 2, 6) for i in range(4)},
        "conv2d_transpose": {"0": rng.normal(size=(3, 3, 2, 6)), "1": rng.normal(size=2)},
        "batch_normalization_1": {str(i): rng.uniform(0.5, 2, 2) for i in range(4)},
    }
    graph = read(saved(tmp_path, layers, weights))
    x = {"l0": rng.normal(size=(4, 3, 5, 4))}
    typed = fixed(graph, x, "Model: {Precision: {maximum: 'fixed<30,8>'}}", tmp_path)
    assert [node.op.kind for node in typed] == ["input", "transpose", "conv", "conv", "transpose"]
    expected = run_float(graph, x)[graph.outputs[0]]
    integers, _ = quantize_inputs(typed, x)
    y = to_float(run(typed, integers).values[typed.outputs[0]], typed[typed.outputs[0]].fixed())
    assert np.abs(y - expected).max() < 0.01 * np.abs(expected).max()


CONV: dict[str, object] = {"filters": 2, "kernel_size": [2, 2], "use_bias": False}


@pytest.mark.parametrize(
    ("layer", "config", "sentence"),
    [
        ("MaxPooling3D", {}, "it needs 4 axes beside the batch"),
        ("UpSampling3D", {}, "it needs 4 axes beside the batch"),
        ("Conv2D", {**CONV, "padding": "causal"}, "padding is 'causal'"),
        ("Conv2D", {**CONV, "groups": 3}, "groups is 3, which does not divide"),
        ("Conv2D", {**CONV, "kernel_size": [9, 2]}, "the weight kernel has shape"),
        ("Conv2D", {**CONV, "strides": [0, 1]}, "strides is .* not a positive integer, or 2 of them"),
        ("Conv2D", {**CONV, "dilation_rate": [1 << 29, 1], "padding": "same"}, "values with its padding"),
        ("Conv2D", {**CONV, "dilation_rate": [9, 9]}, "larger than the input"),
        ("Conv2D", {**CONV, "data_format": "channels"}, "data_format is channels"),
        ("Conv1D", {**CONV, "kernel_size": [2]}, "it needs 2 axes beside the batch"),
        ("MaxPooling2D", {"pool_size": [9, 1]}, "larger than the input"),
        ("MaxPooling2D", {"pool_size": [1 << 40, 1], "padding": "same"}, "values with its padding"),
        ("AveragePooling2D", {"pool_size": "two"}, "pool_size is"),
        ("ZeroPadding2D", {"padding": [[1 << 40, 0], [0, 0]]}, "values with its padding"),
        ("ZeroPadding2D", {"padding": [[-1, 0], [0, 0]]}, "padding is"),
        ("Cropping2D", {"cropping": [[2, 2], [0, 0]]}, "leaves nothing"),
        ("UpSampling2D", {"size": 2, "interpolation": "bicubic"}, "nearest and bilinear are supported"),
        ("RepeatVector", {"n": 2}, "it needs one axis"),
        ("Permute", {"dims": [1, 1, 2]}, "is not an order of the axes"),
        ("Conv2DTranspose", {**CONV, "strides": [2, 2], "output_padding": [2, 0]}, "output_padding is not"),
        ("Conv2DTranspose", {**CONV, "padding": "causal"}, "has valid or same"),
    ],
)
def test_what_cannot_be_is_refused(layer: str, config: dict[str, object], sentence: str, tmp_path: Path) -> None:
    layers = [("InputLayer", {"batch_shape": [None, 4, 4, 2]}), (layer, config)]
    group = {"Conv2D": "conv2d", "Conv2DTranspose": "conv2d_transpose", "Conv1D": "conv1d"}.get(layer)
    weights = {group: {"0": np.zeros((2, 2, 2, 2))}} if group else {}
    with pytest.raises(UnsupportedModel, match=sentence):
        read(saved(tmp_path, layers, weights))
