"""Broken, hostile and unsupported model files: each has one exact sentence and exit code 2."""

from __future__ import annotations

import copy
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from kbuild.errors import UnsupportedModel
from kbuild.frontend.keras import read_model
from kbuild.frontend.keras.safety import MAX_JSON_DEPTH

DATA = Path(__file__).parent / "data"
Config = dict[str, Any]


def layer(class_name: str, name: str, *inputs: str, **config: Any) -> Config:
    """An entry of a Functional configuration of Keras 2, called once on the inputs."""
    nodes = [[[source, 0, 0, {}] for source in inputs]] if inputs else []
    return {"class_name": class_name, "name": name, "config": {"name": name, **config}, "inbound_nodes": nodes}


def functional(*layers: Config, inputs: tuple[str, ...] = ("x",), outputs: tuple[str, ...] = ("fc",)) -> Config:
    """A Functional model of these layers."""
    config = {
        "name": "model",
        "layers": list(layers),
        "input_layers": [[name, 0, 0] for name in inputs],
        "output_layers": [[name, 0, 0] for name in outputs],
    }
    return {"class_name": "Functional", "config": config}


X = layer("InputLayer", "x", batch_input_shape=[None, 3], dtype="float32")
FC = layer("Dense", "fc", "x", units=2, activation="relu", use_bias=True)
MODEL = functional(X, FC)
WEIGHTS = {"fc": {"fc/kernel:0": np.ones((3, 2)), "fc/bias:0": np.zeros(2)}}


def write(path: Path, config: object = MODEL, weights: dict[str, dict[str, Any]] = WEIGHTS) -> Path:
    """A file as `model.save("x.h5")` of Keras 2 makes."""
    with h5py.File(path, "w") as file:
        if config is not None:
            file.attrs["model_config"] = config if isinstance(config, str) else json.dumps(config)
        root = file.create_group("model_weights")
        root.attrs["layer_names"] = list(weights)
        for name, arrays in weights.items():
            group = root.create_group(name)
            group.attrs["weight_names"] = list(arrays)
            for dataset, array in arrays.items():
                group.create_dataset(dataset, data=array)
    return path


def refused(path: Path, **other: Path) -> str:
    """The message of a file that must be refused, without the file's name in front."""
    files: dict[str, Path | None] = {"json": None, "h5": None, "archive": None, **other}
    with pytest.raises(UnsupportedModel) as caught:
        read_model(files["json"], files["h5"], files["archive"], "broken")
    assert caught.value.exit_code == 2
    place, _, message = str(caught.value).partition(": ")
    assert place == str(path)
    return message


def refused_h5(path: Path) -> str:
    return refused(path, h5=path)


def refused_config(tmp_path: Path, config: object, weights: dict[str, dict[str, Any]] = WEIGHTS) -> str:
    return refused_h5(write(tmp_path / "model.h5", config, weights))


def test_the_base_of_these_tests_is_right(tmp_path: Path) -> None:
    graph = read_model(None, write(tmp_path / "model.h5"), None, "base")
    assert [node.name for node in graph] == ["x", "fc", "fc_relu"]


# Files


def test_no_such_file(tmp_path: Path) -> None:
    assert refused_h5(tmp_path / "none.h5") == "it cannot be read: No such file or directory"
    path = tmp_path / "none.keras"
    assert refused(path, archive=path) == "it cannot be read: No such file or directory"
    path = tmp_path / "none.json"
    assert refused(path, json=path, h5=path) == "it cannot be read: No such file or directory"


def test_a_folder(tmp_path: Path) -> None:
    assert refused_h5(tmp_path) == "it cannot be read: Is a directory"
    assert refused(tmp_path, archive=tmp_path) == "it cannot be read: Is a directory"


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"<html>not found</html>"])
def test_not_hdf5(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "model.h5"
    path.write_bytes(content)
    assert refused_h5(path) == "it is not an HDF5 file"


def test_truncated(tmp_path: Path) -> None:
    path = write(tmp_path / "model.h5")
    path.write_bytes(path.read_bytes()[:-1000])
    assert refused_h5(path).startswith("the HDF5 file is damaged: ")


def test_weights_without_a_model(tmp_path: Path) -> None:
    assert refused_config(tmp_path, None) == (
        "it holds weights but no model; give the architecture too (KerasJson), or save with model.save"
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"class_name": ', "the configuration is not valid JSON: Expecting value at line 1, column 16"),
        ("[" * 100_000, f"the configuration is nested more than {MAX_JSON_DEPTH} levels deep"),
        ("[" * 200 + "]" * 200, f"the configuration is nested more than {MAX_JSON_DEPTH} levels deep"),
        ("[1, 2]", 'the configuration has no "class_name" and "config"; it is not a Keras model'),
        (b"\xff\xfe\x00", "the configuration is not text in UTF-8"),
    ],
)
def test_json(tmp_path: Path, text: str | bytes, message: str) -> None:
    path = tmp_path / "model.json"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    assert refused(path, json=path, h5=write(tmp_path / "weights.h5")) == message


# Weights


def test_weights_of_another_model(tmp_path: Path) -> None:
    path = tmp_path / "weights.h5"
    json_path = tmp_path / "model.json"
    json_path.write_text(json.dumps(MODEL))
    write(path, None, {"dense_7": {}, "dense_8": {}})
    assert refused(path, json=json_path, h5=path) == (
        'it has no weights for 1 of 1 layers: "fc"; it holds "dense_7", "dense_8". Are these the weights of this model?'
    )


def test_weights_by_number_of_another_model() -> None:
    path = DATA / "keras3_shared.keras"
    json_path, h5 = DATA / "keras3_two_in_two_out.json", DATA / "keras3_nested.weights.h5"
    assert path.exists()
    assert refused(h5, json=json_path, h5=h5) == (
        'the weights of the layer "first" are those of a layer "dense"; are these the weights of this model?'
    )


def test_a_weight_is_missing(tmp_path: Path) -> None:
    weights = {"fc": {"fc/kernel:0": np.ones((3, 2))}}
    assert refused_config(tmp_path, MODEL, weights) == (
        'the layer "fc" has 1 weights in the file and 2 in the model (kernel, bias); '
        "are these the weights of this model?"
    )


def test_a_weight_has_another_name(tmp_path: Path) -> None:
    weights = {"fc": {"fc/kernel:0": np.ones((3, 2)), "fc/offset:0": np.zeros(2)}}
    assert refused_config(tmp_path, MODEL, weights) == (
        'it has no weights for 1 of 1 layers: "fc"; it holds "fc". Are these the weights of this model?'
    )


def test_a_weight_has_another_shape(tmp_path: Path) -> None:
    weights = {"fc": {"fc/kernel:0": np.ones((4, 2)), "fc/bias:0": np.zeros(2)}}
    assert refused_config(tmp_path, MODEL, weights) == (
        'the layer "fc" (Dense): the weight kernel has shape (4, 2), not (3, 2); are these the weights of this model?'
    )


def test_no_layout_of_keras(tmp_path: Path) -> None:
    path = tmp_path / "model.h5"
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = json.dumps(MODEL)
        file["data"] = np.ones(3)
    assert refused_h5(path) == "it holds no weights in a layout of Keras; save them with model.save_weights"


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_weights_that_are_not_numbers(tmp_path: Path, value: float) -> None:
    weights = {"fc": {"fc/kernel:0": np.full((3, 2), value), "fc/bias:0": np.zeros(2)}}
    assert refused_config(tmp_path, MODEL, weights) == (
        'the weights "/model_weights/fc/fc/kernel:0" hold NaN or infinity; train the model again'
    )


Change = Callable[[h5py.Group, Path], None]


def _external_link(group: h5py.Group, folder: Path) -> None:
    write(folder / "other.h5")
    group["kernel:0"] = h5py.ExternalLink(str(folder / "other.h5"), "/model_weights/fc/fc/kernel:0")


def _soft_link(group: h5py.Group, folder: Path) -> None:
    group["kernel:0"] = h5py.SoftLink("/model_weights/fc/fc/bias:0")


def _virtual(group: h5py.Group, folder: Path) -> None:
    layout = h5py.VirtualLayout((3, 2), dtype="f4")
    layout[:] = h5py.VirtualSource(write(folder / "other.h5"), "model_weights/fc/fc/kernel:0", (3, 2))
    group.create_virtual_dataset("kernel:0", layout)


def _external_data(group: h5py.Group, folder: Path) -> None:
    group.create_dataset("kernel:0", (3, 2), "f4", external=[(str(folder / "secret"), 0, 24)])


def _strings(group: h5py.Group, folder: Path) -> None:
    group.create_dataset("kernel:0", data=np.array([["a", "b"]] * 3, dtype=object), dtype=h5py.string_dtype())


def _oversized(group: h5py.Group, folder: Path) -> None:
    group.create_dataset("kernel:0", (10**6, 10**6), "f4")


def _empty(group: h5py.Group, folder: Path) -> None:
    group.create_dataset("kernel:0", (30_000, 10_000), "f4")


def _group(group: h5py.Group, folder: Path) -> None:
    group.create_group("kernel:0")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_external_link, '"/model_weights/fc/fc/kernel:0" is a link to elsewhere; save the weights in the file itself'),
        (_soft_link, '"/model_weights/fc/fc/kernel:0" is a link to elsewhere; save the weights in the file itself'),
        (
            _virtual,
            '"/model_weights/fc/fc/kernel:0" keeps its data in other files; save the weights in the file itself',
        ),
        (
            _external_data,
            '"/model_weights/fc/fc/kernel:0" keeps its data in other files; save the weights in the file itself',
        ),
        (_strings, '"/model_weights/fc/fc/kernel:0" holds values of type "object", not numbers'),
        (_oversized, 'the weights up to "/model_weights/fc/fc/kernel:0" exceed 8 GiB'),
        (
            _empty,
            '"/model_weights/fc/fc/kernel:0" claims 300000000 values, of which the file does not hold the data',
        ),
        (_group, '"/model_weights/fc/fc/kernel:0" is not a dataset'),
    ],
)
def test_data_that_is_not_there(tmp_path: Path, change: Change, message: str) -> None:
    path = write(tmp_path / "model.h5")
    with h5py.File(path, "r+") as file:
        group = file["model_weights/fc/fc"]
        del group["kernel:0"]
        change(group, tmp_path)
    assert refused_h5(path) == message


def test_a_linked_group(tmp_path: Path) -> None:
    path = write(tmp_path / "model.h5")
    with h5py.File(path, "r+") as file:
        del file["model_weights"]
        file["model_weights"] = h5py.ExternalLink(str(write(tmp_path / "other.h5")), "/model_weights")
    assert refused_h5(path) == '"/model_weights" is a link to elsewhere; save the weights in the file itself'


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int8", "uint16"])
def test_other_number_types_are_read(tmp_path: Path, dtype: str) -> None:
    kernel = np.arange(6).reshape(3, 2).astype(dtype)
    weights = {"fc": {"fc/kernel:0": kernel, "fc/bias:0": np.zeros(2, dtype)}}
    graph = read_model(None, write(tmp_path / "model.h5", MODEL, weights), None, "types")
    stored = graph["fc"].op
    assert np.array_equal(stored.weight.floats(), kernel)
    assert stored.weight.data.dtype == np.float64


# Archives


def archive(path: Path, **members: bytes) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members.items():
            file.writestr(name, content)
    return path


def test_archives(tmp_path: Path) -> None:
    path = tmp_path / "model.keras"
    path.write_bytes(b"not a zip")
    assert refused(path, archive=path) == "it is not a .keras archive: File is not a zip file"
    archive(path, **{"metadata.json": b"{}"})
    assert refused(path, archive=path) == 'the archive has no config.json; it holds "metadata.json"'
    archive(path, **{"config.json": b"{}"})
    assert refused(path, archive=path) == 'the archive has no model.weights.h5; it holds "config.json"'
    archive(path, **{"config.json": b"{}", "model.weights.h5": b""})
    assert refused(path, archive=path) == 'the configuration has no "class_name" and "config"; it is not a Keras model'
    archive(path, **{"config.json": json.dumps(MODEL).encode(), "model.weights.h5": b"empty"})
    assert refused(path, archive=path) == "it is not an HDF5 file"


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd", "a\\..\\..\\b", "C:\\x"])
def test_paths_out_of_an_archive(tmp_path: Path, name: str) -> None:
    path = archive(tmp_path / "model.keras", **{name: b"", "config.json": b"{}", "model.weights.h5": b""})
    assert refused(path, archive=path) == (
        f'the archive has a member "{name}", a path outside it; it is not from Keras'
    )


def test_a_decompression_bomb(tmp_path: Path) -> None:
    path = archive(tmp_path / "model.keras", **{"config.json": b" " * (65 << 20), "model.weights.h5": b""})
    assert path.stat().st_size < 100_000
    assert refused(path, archive=path) == "config.json claims 68157440 bytes, which the archive cannot hold"


def test_a_damaged_member(tmp_path: Path) -> None:
    content = bytearray((DATA / "keras3_shared.keras").read_bytes())
    at = content.index(b"config.json") + 100
    content[at] ^= 255
    path = tmp_path / "model.keras"
    path.write_bytes(content)
    assert refused(path, archive=path) == "it is not a .keras archive: Bad CRC-32 for file 'config.json'"


# Graphs


def changed(**changes: Any) -> Config:
    """The base model with other fields in its configuration."""
    model = copy.deepcopy(MODEL)
    model["config"].update(changes)
    return model


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (
            {"class_name": "MyModel", "config": {}, "registered_name": "mine>MyModel"},
            'the model is of the class "mine>MyModel", whose structure is code and not in the file; '
            "save it as a Sequential or Functional model",
        ),
        (changed(layers=[]), 'the model "model" has no layers'),
        ({"class_name": "Sequential", "config": []}, 'the model "sequential" has no layers'),
        (changed(layers=[X, 3]), 'a layer of the model "model" is not an object with class_name and config'),
        (changed(input_layers=[]), 'the inputs of the model "model" are not a list of [layer, call, index]'),
        (changed(output_layers=None), 'the outputs of the model "model" are not a list of [layer, call, index]'),
        (changed(input_layers=[["fc", 0, 0]]), 'the input "fc" of the model "model" is not an InputLayer of it'),
        (changed(input_layers=[["x", 0, 0]] * 2), 'the model "model" names an input twice'),
        (
            changed(output_layers=[["y", 0, 0]]),
            '"outputs of the model model" reads "y", which is not a layer of the model',
        ),
        (
            changed(output_layers=[["fc", 1, 0]]),
            '"outputs of the model model" reads output 0 of call 1 of "fc", which the model does not have',
        ),
        (functional(X, layer("Dense", "fc", "z", units=2)), '"fc" reads "z", which is not a layer of the model'),
        (functional(X, FC, FC), 'two layers of the model "model" are called "fc"'),
        (
            functional(X, layer("Add", "fc", "x", "b"), layer("Activation", "b", "fc", activation="tanh")),
            'the graph has a cycle or reads what nothing computes, at "b", "fc"',
        ),
        (
            functional(X, layer("Activation", "other"), layer("Activation", "fc", "other", activation="tanh")),
            'the graph has a cycle or reads what nothing computes, at "fc"',
        ),
        (
            functional(X, layer("Dense", "fc", "x", "x", units=2)),
            'the layer "fc" (Dense): is called with 2 inputs, not one',
        ),
        (
            functional(X, layer("Dense", "fc", "x", units="many")),
            'the layer "fc" (Dense): units is "many", not an integer',
        ),
        (
            functional(X, layer("Activation", "fc", "x", activation="step")),
            'the layer "fc" (Activation): no activation "step"; '
            "there are binary_sigmoid, binary_tanh, celu, elu, exponential, gelu, hard_sigmoid, hard_silu, "
            "hard_swish, hard_tanh, leaky_relu, linear, log_sigmoid, mish, relu, relu1, relu6, selu, "
            "sigmoid, silu, soft_shrink, softmax, softplus, softsign, sparse_plus, sparse_sigmoid, "
            "squareplus, swish, tanh, tanh_shrink, ternary_tanh",
        ),
        (
            functional(X, layer("Reshape", "fc", "x", target_shape=[2, -1])),
            'the layer "fc" (Reshape): target_shape (2, -1) does not hold the elements of an input of shape (3,)',
        ),
        (
            functional(X, layer("Concatenate", "fc", "x", "x", axis=0)),
            'the layer "fc" (Concatenate): axis is 0, which is not an axis beside the batch of an input of rank 2',
        ),
        (
            functional(X, layer("Softmax", "fc", "x", axis=[1, 2])),
            'the layer "fc" (Softmax): axis is 2, which is not an axis beside the batch of an input of rank 2',
        ),
        (
            functional(X, layer("ReLU", "fc", "x", max_value=-1)),
            'the layer "fc" (ReLU): max_value is -1.0, which is negative',
        ),
        (
            functional(X, layer("Subtract", "fc", "x", "x", "x")),
            'the layer "fc" (Subtract): is called with 3 inputs, not two',
        ),
    ],
)
def test_models_that_cannot_be_read(tmp_path: Path, config: Config, message: str) -> None:

    assert refused_config(tmp_path, config) == message


def test_shapes_that_do_not_fit(tmp_path: Path) -> None:
    y = layer("InputLayer", "y", batch_input_shape=[None, 4], dtype="float32")
    config = functional(X, y, layer("Add", "fc", "x", "y"), inputs=("x", "y"))
    assert refused_config(tmp_path, config).startswith('the layer "fc" (Add): shape mismatch: ')


def test_a_variance_that_is_negative(tmp_path: Path) -> None:
    names = ("gamma", "beta", "moving_mean", "moving_variance")
    weights = {"fc": {f"fc/{name}:0": np.full(3, -1.0) for name in names}}
    config = functional(X, layer("BatchNormalization", "fc", "x", axis=[1], epsilon=0.001))
    assert refused_config(tmp_path, config, weights) == (
        'the layer "fc" (BatchNormalization): moving_variance + epsilon is not positive everywhere; '
        "train the model again"
    )


def test_a_sequential_that_was_never_built(tmp_path: Path) -> None:
    config = {"class_name": "Sequential", "config": [layer("Dense", "fc", units=2)]}
    assert refused_config(tmp_path, config) == (
        'one layer cannot become hardware:\n  "fc_input" (InputLayer): the model has no input shape; '
        "build it, or begin it with an InputLayer, and save it again"
    )


def test_models_nested_without_end(tmp_path: Path) -> None:
    model = MODEL
    for _ in range(20):
        model = functional(X, {**model, "name": "fc", "inbound_nodes": [[["x", 0, 0, {}]]]})
        model["config"]["output_layers"] = [["fc", 1, 0]]
    assert refused_config(tmp_path, model) == "models are nested more than 16 levels deep"


def test_nested_models_called_exponentially_often(tmp_path: Path) -> None:
    model = functional(X, layer("Activation", "fc", "x", activation="tanh"))
    for _ in range(14):
        calls = [[["x" if i == 0 else "fc", i, 0, {}]] for i in range(4)]
        model = functional(X, {**model, "name": "fc", "inbound_nodes": calls})
        model["config"]["output_layers"] = [["fc", 4, 0]]
    assert refused_config(tmp_path, model) == "the model has more than 10000 layer calls"


def test_everything_that_is_not_supported_is_told_at_once(tmp_path: Path) -> None:
    config = functional(
        layer("InputLayer", "x", batch_input_shape=[None, None, 3]),
        layer("Lambda", "scale", "x", function=["4wEAAAA=", None, None]),
        layer("Masking", "mask", "scale", mask_value=0.0),
        layer("LSTM", "memory", "mask", units=4, stateful=True),
        layer("ConvLSTM2D", "lstm", "memory", filters=4, stateful=False),
        layer("mine>Gate", "gate", "lstm"),
        {**layer("Dense", "other", "gate", units=3), "module": "my.package", "registered_name": "Dense"},
        {**layer("Dropout", "drop", rate=0.1), "inbound_nodes": [[["other", 0, 0, {"training": True}]]]},
        {**layer("Dense", "fc"), "inbound_nodes": [[["drop", 0, 0, {"attention": [["x", 0, 0]]}]]]},
    )
    assert refused_config(tmp_path, config) == (
        "8 layers cannot become hardware:\n"
        '  "x" (InputLayer): has a shape that is not fixed, (None, None, 3); give every axis but the batch a size\n'
        '  "scale" (Lambda): its code is not in the file; write it with Keras layers such as Multiply, Add or '
        "Activation\n"
        '  "memory" (LSTM): keeps its state between calls; set stateful=False\n'
        '  "lstm" (ConvLSTM2D): this class is not supported; kbuild layers lists those that are\n'
        '  "gate" (mine>Gate): a custom class, its code is not in the file; write it with Keras layers, or '
        'register a handler for it\n'
        '  "other" (my.package>Dense): a custom class, its code is not in the file; write it with Keras layers, or '
        'register a handler for it\n'
        '  "drop" (Dropout): is called with training=True; call it without\n'
        '  "fc" (Dense): is called with the argument "attention", which is not supported; call it on tensors only'
    )


def test_strange_inputs(tmp_path: Path) -> None:
    for changes, message in (
        ({"dtype": "string"}, "is an input of strings; encode them as numbers before the model"),
        ({"sparse": True}, "is a sparse or ragged input; use a dense one of a fixed shape"),
        ({"ragged": True}, "is a sparse or ragged input; use a dense one of a fixed shape"),
    ):
        x = copy.deepcopy(X)
        x["config"].update(changes)
        assert refused_config(tmp_path, functional(x, FC)) == f'the layer "x" (InputLayer): {message}'


def test_hostile_names_become_identifiers(tmp_path: Path) -> None:
    names = [
        "../../x",
        '"; rm -rf ~; "',
        "a" * 5000,
        "größe 名前",
        "1st",
        "__init__",
        "\u202egnp.exe",
        "A",
        "a",
        "x\n%y",
    ]
    entries, source = [X], "x"
    for name in names:
        entries.append(layer("Activation", name, source, activation="tanh"))
        source = name
    graph = read_model(None, write(tmp_path / "model.h5", functional(*entries, outputs=(source,)), {}), None, "names")
    assert [node.name for node in graph] == [
        "x", "x_2", "rm_rf", "a" * 48, "gr_e", "layer_1st", "init", "gnp_exe", "A", "a_2", "x_y"
    ]  # fmt: skip
    assert [node.layer.name for node in graph][1:] == names


def test_hostile_names_in_messages(tmp_path: Path) -> None:
    config = functional(X, layer("Evil\x1b[31m\nClass", "name\nof two lines" + "x" * 100, "x"), outputs=("x",))
    assert refused_config(tmp_path, config) == (
        'one layer cannot become hardware:\n  "name?of two lines' + "x" * 40 + '..." (Evil?[31m?Class): '
        "this class is not supported; kbuild layers lists those that are"
    )
