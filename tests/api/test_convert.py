"""The Python API on models in files: what it shares with the command, and what it refuses."""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import kbuild
from kbuild.cli import main
from kbuild.resources import resource

KEYS: dict[str, Any] = {
    "KerasModel": "model.keras",
    "OutputDir": "out",
    "ProjectName": "digits",
    "Backend": "Vitis",
    "InputData": "x_test.npy",
    "HLSConfig": {"Model": {"Precision": "auto", "ReuseFactor": 1}},
}


@pytest.fixture(autouse=True)
def digits(own_folder: Path) -> Path:
    for file in ("model.keras", "x_test.npy", "y_test.npy"):
        shutil.copy(resource("recipes", "digits", file), own_folder)
    return own_folder


def inputs() -> Any:
    return np.load("x_test.npy")[:50]


def firmware(folder: str) -> dict[str, bytes]:
    root = Path(folder)
    files = sorted(path for path in (root / "firmware").rglob("*") if path.is_file())
    return {str(path.relative_to(root)): path.read_bytes() for path in files}


LARGE = {"keras", "tensorflow", "tf_keras", "jax", "torch", "matplotlib", "h5py", "da4ml", "rich", "graphviz"}


@pytest.mark.parametrize(
    ("code", "heavy"),
    [
        ("import kbuild", LARGE | {"numpy", "yaml", "jsonschema"}),
        ("import kbuild; kbuild.converters, kbuild.utils, kbuild.model, kbuild.model.profiling", LARGE),
        ("from kbuild.converters.keras_v2_to_hls import keras_handler", LARGE),
    ],
)
def test_importing_kbuild_is_light(code: str, heavy: set[str]) -> None:
    """Told by what is imported, which is the same on every machine. Measured, it is below 0.2 s."""
    code = f"import sys; {code}; print(*sorted({heavy!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_a_dictionary_and_yaml_give_the_same_firmware_and_predictions() -> None:
    Path("recipe.yml").write_text(
        "KerasModel: model.keras\nOutputDir: by_yaml\nProjectName: digits\nBackend: Vitis\nInputData: x_test.npy\n"
        "HLSConfig: {Model: {Precision: auto, ReuseFactor: 1}}\n"
    )
    from_yaml = kbuild.converters.convert_from_config("recipe.yml")
    from_dict = kbuild.converters.convert_from_config(KEYS)
    from_yaml.write()
    from_dict.write()
    assert firmware("by_yaml") == firmware("out") != {}
    assert main(["predict", "recipe.yml", "--input", "x_test.npy", "--output", "y.npy"]) == 0
    assert np.array_equal(np.load("y.npy")[:50], from_dict.predict(inputs()))


def test_nothing_is_written_before_it_is_asked_for() -> None:
    kbuild.converters.convert_from_config(KEYS).predict(inputs())
    assert not Path("out").exists()


def test_predictions_are_shaped_as_keras_shapes_them_and_are_exact() -> None:
    model = kbuild.converters.convert_from_config(KEYS)
    x = inputs()
    y = model.predict(x)
    (output,) = model.get_output_variables()
    assert y.dtype == np.float64 and y.shape == (50, *output.shape)
    scaled = y * 2.0**output.type.precision.fraction
    assert np.array_equal(scaled, np.round(scaled))
    assert np.array_equal(model.predict(x[:1]), y[:1])
    assert np.array_equal(model.predict(x[0]), y[0])  # one sample without its axis
    assert np.array_equal(model.predict([x]), y)
    assert np.array_equal(model.predict({model.get_input_variables()[0].name: x}), y)
    assert np.array_equal(model.predict(x.astype(np.float32).tolist()), model.predict(x.astype(np.float32)))


def test_predict_warns_of_inputs_outside_their_type() -> None:
    model = kbuild.converters.convert_from_config(KEYS)
    with pytest.warns(UserWarning, match="2 of 3200 values of the input .* are outside its type"):
        model.predict(np.concatenate([inputs()[:49].reshape(49, 64), np.array([[1e4, -1e4, *[0.0] * 62]])]))


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.zeros((5, 63)), "has shape (5, 63); it takes (samples, 64)"),
        (np.zeros((0, 64)), "has shape (0, 64); it takes (samples, 64)"),
        (np.full((2, 64), np.nan), "holds NaN or infinity, first in sample 0"),
        (np.full((2, 64), "a"), "values; give real numbers"),
        ({"nothing": np.zeros((5, 64))}, "no input is called nothing; the inputs of the model are"),
        ([np.zeros((5, 64))] * 2, "has shape (2, 5, 64); it takes (samples, 64)"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(x: Any, message: str) -> None:
    model = kbuild.converters.convert_from_config(KEYS)
    with pytest.raises(kbuild.RecipeError) as error:
        model.predict(x)
    assert message in str(error.value)


def test_compiled_and_emulated_predictions_are_the_same() -> None:
    model = kbuild.converters.convert_from_config(KEYS)
    emulated, traced = model.trace(inputs())
    model.compile()
    compiled, traced_again = model.trace(inputs())
    assert np.array_equal(emulated, compiled) and np.array_equal(model.predict(inputs()), compiled)
    assert traced.keys() == traced_again.keys()
    assert all(np.array_equal(traced[name], traced_again[name]) for name in traced)
    assert Path("out", "firmware").is_dir()


def test_layers_and_their_weights() -> None:
    model = kbuild.converters.convert_from_config(KEYS)
    layers = {layer.name: layer for layer in model.get_layers()}
    dense = [layer for layer in layers.values() if layer.class_name == "Dense"]
    assert dense
    for layer in dense:
        weights = layer.get_weights()
        assert weights["weight"].shape == (layer.get_input_variable().shape[-1], layer.get_output_variable().shape[-1])
        assert np.asarray(weights["bias"]).shape == layer.get_output_variable().shape
        assert layer.attributes["strategy"].lower() == "latency" and layer.attributes["reuse_factor"] == 1
    plain = next(layer for layer in layers.values() if layer.class_name == "InputLayer").get_weights()
    assert plain["weight"].shape == (0,) and len(plain) == 0
    with pytest.raises(KeyError, match="no weight is called wieght"):
        plain["wieght"]


def test_only_layers_with_trace_are_traced_where_some_have_it() -> None:
    layers = kbuild.converters.convert_from_config(KEYS).get_layers()
    name = next(layer.name for layer in layers if layer.class_name == "Dense")
    keys = {**KEYS, "HLSConfig": {"LayerName": {name: {"Trace": True}}}}
    assert list(kbuild.converters.convert_from_config(keys).trace(inputs())[1]) == [name]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"Bakend": "Vitis"}, "Bakend: unknown key; did you mean Backend?"),
        ({"Backend": "Vitos"}, 'Backend: "Vitos" is unknown; did you mean Vitis?'),
        ({"HLSConfig": {"Model": {"Precision": "fixed<16>"}}}, "HLSConfig.Model.Precision: "),
        ({"HLSConfig": {"LayerName": {"fc9": {"ReuseFactor": 1}}}}, "HLSConfig.LayerName.fc9: the model has no layer"),
        ({"KerasModel": "nothing.keras"}, 'KerasModel: there is no file "nothing.keras"'),
        ({"KerasModel": 3}, "KerasModel: an object of type int is no Keras model"),
    ],
)
def test_mistakes_are_refused_with_the_key(change: dict[str, Any], message: str) -> None:
    with pytest.raises(kbuild.RecipeError) as error:
        kbuild.converters.convert_from_config({**KEYS, **change})
    assert message in str(error.value)
    assert not Path("out").exists()


def test_a_reuse_factor_that_does_not_fit() -> None:
    keys = {**KEYS, "HLSConfig": {"Model": {"ReuseFactor": 7}}}
    with pytest.raises(kbuild.RecipeError, match=r"factor of 7 does not fit the layer .*legal ones near it are"):
        kbuild.converters.convert_from_config(keys)
    with pytest.warns(UserWarning, match=r"factor of 7 does not fit the layer .*; [0-9]+, the nearest, is used"):
        model = kbuild.converters.convert_from_config(keys, strict=False)
    factors = {layer.attributes["reuse_factor"] for layer in model.get_layers() if layer.class_name == "Dense"}
    assert 7 not in factors


def test_build_returns_the_report(capsys: pytest.CaptureFixture[str]) -> None:
    model = kbuild.converters.convert_from_config(KEYS)
    report = model.build(synth=False)
    assert report["schema"] == "kbuild/build/1" and report["reference"]["argmax_agreement"] >= 0.99
    assert "simulate: done" in capsys.readouterr().out


def test_the_configuration_can_be_read_back() -> None:
    config = kbuild.converters.convert_from_config(KEYS).config
    assert config.config["HLSConfig"] == KEYS["HLSConfig"]
    assert config.get_config_value("Backend") == "Vitis" and config.get_project_name() == "digits"
    assert config.get_output_dir() == Path("out").absolute()
