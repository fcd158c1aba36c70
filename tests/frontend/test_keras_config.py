"""Spellings of configurations through the years, names and orders. Written by hand: no Keras makes them now."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from kbuild.emulate import run_float
from kbuild.frontend.keras import read_model, supported_layers
from kbuild.frontend.keras.weights import snake_case
from kbuild.ir import Graph

KERNEL, BIAS = np.arange(6.0).reshape(3, 2), np.array([1.0, -1.0])
WEIGHTS = {"fc": {"fc/kernel:0": KERNEL, "fc/bias:0": BIAS}}
X = np.array([[1.0, 2.0, -3.0], [0.5, 0.0, 4.0]])
Y = X @ KERNEL + BIAS

DENSE = {"name": "fc", "units": 2, "activation": "linear", "use_bias": True}
INPUT = {"name": "x", "batch_input_shape": [None, 3]}


def tensor(*history: Any) -> dict[str, Any]:
    """A tensor as Keras 3 writes it."""
    return {"class_name": "__keras_tensor__", "config": {"keras_history": list(history)}}


def read(tmp_path: Path, config: object, weights: dict[str, dict[str, Any]] = WEIGHTS) -> Graph:
    """The graph of a JSON file and weights."""
    (tmp_path / "model.json").write_text(json.dumps(config))
    with h5py.File(tmp_path / "weights.h5", "w") as file:
        file.attrs["layer_names"] = np.array([name.encode() for name in weights])  # as early Keras: fixed-length bytes
        for name, arrays in weights.items():
            group = file.create_group(name)
            group.attrs["weight_names"] = np.array([dataset.encode() for dataset in arrays])
            for dataset, array in arrays.items():
                group.create_dataset(dataset, data=array)
    return read_model(tmp_path / "model.json", tmp_path / "weights.h5", None, "spelling")


def assert_computes(graph: Graph, expected: np.ndarray = Y) -> None:
    """The only output for X on the only input."""
    (name,) = graph.outputs
    assert np.array_equal(run_float(graph, {graph.inputs[0].name: X})[name], expected)


@pytest.mark.parametrize(
    "config",
    [
        [{"class_name": "Dense", "config": {**DENSE, "batch_input_shape": [None, 3]}}],
        {"name": "s", "layers": [{"class_name": "Dense", "config": {**DENSE, "batch_input_shape": [None, 3]}}]},
        {"name": "s", "layers": [{"class_name": "Dense", "config": DENSE}], "build_input_shape": [None, 3]},
        {"name": "s", "layers": [{"class_name": "Dense", "config": {**DENSE, "input_shape": [3]}}]},
        {"name": "s", "layers": [{"class_name": "Dense", "config": {**DENSE, "input_shape": [3], "use_bias": 1}}]},
        {"layers": [{"class_name": "InputLayer", "config": {"batch_shape": [8, 3]}, "name": "x"},
                    {"class_name": "keras.layers>Dense", "config": DENSE}]},
    ],
    ids=["bare list", "batch_input_shape", "build_input_shape", "input_shape", "use_bias 1", "InputLayer"],
)  # fmt: skip
def test_sequential(tmp_path: Path, config: object) -> None:
    assert_computes(read(tmp_path, {"class_name": "Sequential", "config": config}))


@pytest.mark.parametrize(
    "inbound",
    [
        [[["x", 0, 0]]],
        [[["x", 0, 0, {}]]],
        [["x", 0, 0, {}]],
        [[["x", 0, 0, {"training": False, "mask": None}]]],
        [{"args": [tensor("x", 0, 0)], "kwargs": {}}],
        [{"args": [[tensor("x", 0, 0)]], "kwargs": {"training": None, "mask": None}}],
        [{"args": [{"class_name": "__tuple__", "items": [tensor("x", 0, 0)]}], "kwargs": {}}],
        [{"args": [], "kwargs": {"inputs": tensor("x", 0, 0)}}],
    ],
)
@pytest.mark.parametrize("ends", [([["x", 0, 0]], [["fc", 0, 0]]), (["x", 0, 0], {"only": ["fc", 0, 0]})])
@pytest.mark.parametrize("class_name", ["Model", "Functional"])
def test_functional(tmp_path: Path, inbound: object, ends: tuple[object, object], class_name: str) -> None:
    layers = [
        {"class_name": "Dense", "config": {**DENSE, "trainable": True}, "name": "fc", "inbound_nodes": inbound},
        {"class_name": "InputLayer", "config": INPUT, "name": "x", "inbound_nodes": []},
    ]
    config = {"name": "m", "layers": layers, "input_layers": ends[0], "output_layers": ends[1]}
    assert_computes(read(tmp_path, {"class_name": class_name, "config": config}))


@pytest.mark.parametrize(
    ("activation", "layer"),
    [
        ("relu", "fc_relu"),
        ({"class_name": "function", "config": "relu", "module": "builtins"}, "fc_relu"),
        ({"class_name": "ReLU", "config": {"name": "re_lu"}, "module": "keras.layers"}, "fc_relu"),
        (None, "fc"),
        ("linear", "fc"),
    ],
)
def test_fused_activations(tmp_path: Path, activation: object, layer: str) -> None:
    dense = {"class_name": "Dense", "config": {**DENSE, "activation": activation, "batch_input_shape": [None, 3]}}
    graph = read(tmp_path, {"class_name": "Sequential", "config": [dense]})
    last = graph[graph.outputs[0]]
    assert (last.name, last.layer.name) == (layer, layer)
    assert last.layer.class_name == ("Activation" if layer != "fc" else "Dense")
    assert_computes(graph, np.maximum(Y, 0) if layer != "fc" else Y)


def test_a_fused_activation_does_not_take_the_name_of_a_layer(tmp_path: Path) -> None:
    layers = [
        {"class_name": "Dense", "config": {**DENSE, "activation": "relu", "batch_input_shape": [None, 3]}},
        {"class_name": "Activation", "config": {"name": "fc_relu", "activation": "tanh"}},
    ]
    graph = read(tmp_path, {"class_name": "Sequential", "config": layers})
    assert [(node.op.kind, node.layer.name) for node in graph][1:] == [
        ("dense", "fc"), ("relu", "fc_relu_2"), ("lut", "fc_relu")
    ]  # fmt: skip


@pytest.mark.parametrize(
    "datasets", [("kernel:0", "bias:0"), ("fc/kernel", "fc/bias"), ("a/fc_1/kernel:0", "a/fc_1/bias:0")]
)
def test_names_of_weights(tmp_path: Path, datasets: tuple[str, str]) -> None:
    weights = {"fc": dict(zip(datasets, (KERNEL, BIAS), strict=True))}
    dense = {"class_name": "Dense", "config": {**DENSE, "batch_input_shape": [None, 3]}}
    assert_computes(read(tmp_path, {"class_name": "Sequential", "config": [dense]}, weights))


def test_lists_of_names_in_pieces(tmp_path: Path) -> None:
    """Keras splits attributes that are too long for HDF5."""
    dense = {"class_name": "Dense", "config": {**DENSE, "batch_input_shape": [None, 3]}}
    read(tmp_path, {"class_name": "Sequential", "config": [dense]})
    with h5py.File(tmp_path / "weights.h5", "r+") as file:
        for owner, name in ((file, "layer_names"), (file["fc"], "weight_names")):
            values = list(owner.attrs[name])
            del owner.attrs[name]
            for number, value in enumerate(values):
                owner.attrs[f"{name}{number}"] = np.array([value])
    assert_computes(read_model(tmp_path / "model.json", tmp_path / "weights.h5", None, "pieces"))


def test_batch_normalization_is_computed_in_float64(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    gamma, beta, mean = (rng.normal(size=3).astype(np.float32) for _ in range(3))
    variance = rng.uniform(0.1, 2, 3).astype(np.float32)
    names = {"gamma": gamma, "beta": beta, "moving_mean": mean, "moving_variance": variance}
    layer = {"name": "bn", "axis": [1], "epsilon": 1e-5, "batch_input_shape": [None, 3]}
    config = {"class_name": "Sequential", "config": [{"class_name": "BatchNormalizationV1", "config": layer}]}
    graph = read(tmp_path, config, {"bn": {f"bn/{name}:0": value for name, value in names.items()}})
    op = graph["bn"].op
    scale = gamma.astype(np.float64) / np.sqrt(variance.astype(np.float64) + 1e-5)
    assert np.array_equal(op.scale.floats(), scale)
    assert np.array_equal(op.bias.floats(), beta.astype(np.float64) - mean.astype(np.float64) * scale)


def test_snake_case_is_that_of_keras() -> None:
    names = {"Dense": "dense", "PReLU": "p_re_lu", "BatchNormalization": "batch_normalization", "Conv2D": "conv2d"}
    names |= {"Functional": "functional", "LSTM": "lstm", "SeparableConv1D": "separable_conv1d", "ReLU": "re_lu"}
    assert {name: snake_case(name) for name in names} == names


def test_supported_layers() -> None:
    found = supported_layers()
    assert {"Dense", "BatchNormalization", "Concatenate", "InputLayer", "Softmax", "GaussianNoise"} <= set(found)
    assert found["Dense"].family == "core"
    assert list(found) == sorted(found)
    assert all(support.note for support in found.values())


def test_a_model_needs_files() -> None:
    with pytest.raises(ValueError, match="give an archive, or an HDF5 file, or a JSON file and an HDF5 file"):
        read_model(Path("model.json"), None, None, "none")
