"""Models in memory: the same as from files, of Keras 3 and of Keras 2."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import kbuild
from kbuild.emulate import run_float
from kbuild.frontend.keras import extensions, read_model
from kbuild.frontend.keras.live import read_live

DATA = Path(__file__).parent.parent / "frontend" / "data"


def major(keras: Any) -> int:
    return int(keras.__version__.split(".")[0])


def saved_models(keras: Any) -> list[Path]:
    """The committed models of this Keras; one file with tensors as Keras itself no longer reads them is left out."""
    unreadable = ("keras3_operators.h5", "keras2_13_nested.keras")
    found = [path for path in DATA.glob(f"keras{major(keras)}_*.*") if ".weights" not in path.name]
    return sorted(path for path in found if path.suffix != ".npz" and path.name not in unreadable)


def loaded(keras: Any, path: Path) -> Any:
    if path.suffix != ".json":
        return keras.models.load_model(path, compile=False)
    model = keras.models.model_from_json(path.read_text(encoding="utf-8"))
    model.load_weights(path.with_suffix(".weights.h5"))
    return model


def test_every_saved_model_is_the_same_when_it_is_live(keras: Any) -> None:
    paths = saved_models(keras)
    assert len(paths) >= 25
    for path in paths:
        json = path if path.suffix == ".json" else None
        h5 = path.with_suffix(".weights.h5") if json else path if path.suffix == ".h5" else None
        archive = path if path.suffix == ".keras" else None
        assert read_live(loaded(keras, path)).graph("m") == read_model(json, h5, archive, "m"), path.name


def small(keras: Any) -> Any:
    keras.utils.set_random_seed(3)
    layers = keras.layers
    x = keras.Input((6,), name="x")
    hidden = layers.Dense(8, activation="relu", name="hidden")(x)
    gate = keras.Input((8,), name="gate")
    product = layers.Multiply(name="product")([hidden, gate])
    return keras.Model([x, gate], [layers.Dense(3, activation="softmax", name="class")(product), product], name="small")


def image(keras: Any) -> Any:
    keras.utils.set_random_seed(4)
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((6, 6, 2), name="x"),
            layers.Conv2D(3, 2, activation="relu", name="conv"),
            layers.BatchNormalization(name="norm"),
            layers.MaxPooling2D(name="pool"),
            layers.Flatten(name="flat"),
            layers.Dense(2, name="out"),
        ]
    )


def sequence(keras: Any) -> Any:
    keras.utils.set_random_seed(5)
    layers = keras.layers
    return keras.Sequential(
        [keras.Input((4, 3), name="x"), layers.LSTM(3, name="lstm"), layers.Dense(2, activation="tanh", name="out")]
    )


MODELS = {"small": small, "image": image, "sequence": sequence}


@pytest.mark.parametrize(
    ("name", "backend", "io_type"),
    [
        ("small", "Vitis", "io_parallel"),
        ("small", "Yosys", "io_parallel"),
        ("image", "Vivado", "io_stream"),
        ("sequence", "Vitis", "io_stream"),
    ],
)
def test_yaml_dictionary_and_live_model_give_the_same_firmware(
    keras: Any, name: str, backend: str, io_type: str
) -> None:
    """Of the model saved in either format of Keras, and in memory, before and after."""
    model = MODELS[name](keras)
    model.save("model.h5")
    model.save("model.keras")
    keys = {"ProjectName": "tiny", "Backend": backend, "IOType": io_type}
    config = {"Model": {"Precision": "auto", "ReuseFactor": 1}, "LayerType": {"Dense": {"Precision": "fixed<18,8>"}}}
    convert = kbuild.converters
    found = []

    def written(hls: Any) -> None:
        hls.write()
        found.append(files(str(hls.output_dir)))

    for file, key in (("model.h5", "KerasH5"), ("model.keras", "KerasModel")):
        given = {**keys, "HLSConfig": config, key: file, "OutputDir": f"by_yaml_{key}"}
        Path("recipe.yml").write_text(json.dumps(given))  # JSON is YAML
        written(convert.convert_from_config("recipe.yml"))
        written(convert.convert_from_config({**given, "OutputDir": f"by_dict_{key}"}))
        again = keras.models.load_model(file, compile=False)
        written(convert.convert_from_config({**given, key: None, "KerasModel": again, "OutputDir": f"live_{key}"}))
    written(convert.convert_from_keras_model(model, "own", "tiny", backend=backend, io_type=io_type, hls_config=config))
    assert found[0] and all(other == found[0] for other in found)


def files(folder: str) -> dict[str, bytes]:
    root = Path(folder, "firmware")
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_several_inputs_and_outputs(keras: Any) -> None:
    model = small(keras)
    hls = kbuild.converters.convert_from_keras_model(model, backend="Vitis")
    rng = np.random.default_rng(0)
    x, gate = rng.normal(0, 1, (40, 6)), rng.normal(0, 1, (40, 8))
    classes, product = hls.predict([x, gate])
    expected = model.predict([x.astype(np.float32), gate.astype(np.float32)], verbose=0)
    assert classes.shape == expected[0].shape and product.shape == expected[1].shape
    graph = hls.float_graph
    values = run_float(graph, {node.name: array for node, array in zip(graph.inputs, (x, gate), strict=True)})
    for name, wanted in zip(graph.outputs, expected, strict=True):
        assert np.abs(values[name] - wanted).max() <= 1e-5 * np.abs(wanted).max()
    by_name = hls.predict({"gate": gate, "x": x})
    assert all(np.array_equal(a, b) for a, b in zip(by_name, (classes, product), strict=True))
    one, _ = hls.predict([x[0], gate[0]])
    assert np.array_equal(one, classes[0])
    with pytest.raises(kbuild.RecipeError, match="the inputs have different numbers of samples: x 40, gate 39"):
        hls.predict([x, gate[1:]])
    with pytest.raises(kbuild.RecipeError, match="one array given; the model has 2 inputs, x, gate"):
        hls.predict(x)
    report = hls.build(synth=False)
    assert report["reference"]["source"] == "keras"


def test_a_conversion_keeps_the_weights_that_it_has_seen(keras: Any) -> None:
    model = small(keras)
    hls = kbuild.converters.convert_from_keras_model(model, backend="Vitis")
    x = [np.ones((1, 6)), np.ones((1, 8))]
    before = hls.predict(x)
    model.set_weights([weight * 2 for weight in model.get_weights()])
    hls.compile()
    assert all(np.array_equal(a, b) for a, b in zip(before, hls.predict(x), strict=True))
    report = hls.build(synth=False)
    assert report["reference"]["source"] == "float" and "changed after its conversion" in report["notes"][0]


def test_models_that_cannot_be_converted(keras: Any) -> None:
    layers = keras.layers
    convert = kbuild.converters.convert_from_keras_model
    with pytest.raises(kbuild.UnsupportedModel, match='"code" \\(Lambda\\)'):
        convert(keras.Sequential([keras.Input((3,)), layers.Lambda(lambda x: x, name="code")]))
    with pytest.raises(kbuild.UnsupportedModel, match="build"):
        convert(keras.Sequential([layers.Dense(3)]))

    class Twice(layers.Layer):  # type: ignore[name-defined,misc]
        def call(self, inputs: Any) -> Any:
            return inputs * 2

    with pytest.raises(kbuild.UnsupportedModel, match=r"Twice.*register a handler"):
        convert(keras.Sequential([keras.Input((3,)), Twice()]))

    class Own(keras.Model):  # type: ignore[name-defined,misc]
        def call(self, inputs: Any) -> Any:
            return inputs

    with pytest.raises(kbuild.UnsupportedModel, match=r"structure is code|cannot describe itself"):
        convert(Own())


def test_configuration_of_each_granularity(keras: Any) -> None:
    model = small(keras)
    make = kbuild.utils.config_from_keras_model
    assert make(model) == {
        "Model": {"Precision": {"default": "auto"}, "ReuseFactor": 1, "TraceOutput": False}
    }
    config = make(model, "name", "Vitis", "fixed<16,6>", 4, "fixed<24,12>", False)
    assert config["Model"]["Precision"] == {"default": "fixed<16,6>", "maximum": "fixed<24,12>"}
    assert config["Model"]["ReuseFactor"] == 4 and config["Model"]["BitExact"] is False
    assert set(config["LayerName"]) == {"x", "gate", "hidden", "hidden_relu", "product", "class", "class_softmax"}
    assert config["LayerName"]["hidden"] == {"Precision": {"accum": "auto", "result": "auto"}}
    assert set(make(model, granularity="type")["LayerType"]) == {"InputLayer", "Dense", "Activation", "Multiply"}
    with pytest.raises(kbuild.RecipeError, match='granularity: "names" is unknown; did you mean name'):
        make(model, granularity="names")
    with pytest.raises(kbuild.RecipeError, match=r"HLSConfig\.Model\.Precision\.default: "):
        make(model, default_precision="fixed<16>")
    with pytest.raises(kbuild.RecipeError, match="Backend: "):
        make(model, backend="Vivid")


def test_the_models_type_reaches_weights_and_inputs_of_a_generated_configuration(keras: Any) -> None:
    model = small(keras)
    config = kbuild.utils.config_from_keras_model(model, granularity="name")
    config["Model"]["Precision"] = "ap_fixed<12,4>"
    hls = kbuild.converters.convert_from_keras_model(model, hls_config=config)
    precision = hls.get_layer("hidden").attributes["precision"]
    assert precision["weight"] == "fixed<12,4>" and precision["accum"] != "fixed<12,4>"
    assert str(hls.get_input_variables()[0].type.precision) == "fixed<12,4>"


def test_strategy_stable_is_the_softmaxs_implementation(keras: Any) -> None:
    for layer, word in (("class_softmax", "Stable"), ("class_softmax", "Legacy"), ("class", "Argmax")):
        config = {"LayerName": {layer: {"Strategy": word}}}
        hls = kbuild.converters.convert_from_keras_model(small(keras), hls_config=config)
        assert hls.get_layer("class_softmax").attributes["implementation"] == word.lower()
        assert hls.get_layer("class").attributes["strategy"].lower() == "latency"
    with pytest.raises(kbuild.RecipeError, match="Stable is for softmax, which the layer hidden is not"):
        kbuild.converters.convert_from_keras_model(
            small(keras), hls_config={"LayerName": {"hidden": {"Strategy": "Stable"}}}
        )


def test_without_tensorflow() -> None:
    """`KBUILD_KERAS_PYTHON` is the Python of an environment with Keras 3 on NumPy or JAX, and without TensorFlow."""
    python = os.environ.get("KBUILD_KERAS_PYTHON")
    if python is None:
        pytest.skip("KBUILD_KERAS_PYTHON does not name a Python with Keras 3 and without TensorFlow")
    code = """
import sys, keras, numpy as np, kbuild
model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, activation="relu")])
x = np.random.default_rng(0).normal(0, 1, (8, 4))
y = kbuild.converters.convert_from_keras_model(model, "out").predict(x)
assert np.abs(y - np.asarray(model.predict(x, verbose=0))).max() < 0.02
assert "tensorflow" not in sys.modules
print(keras.backend.backend())
"""
    for backend in ("numpy", "jax"):
        environment = {**os.environ, "KERAS_BACKEND": backend}
        done = subprocess.run([python, "-c", code], env=environment, capture_output=True, text=True)
        assert done.returncode == 0 and backend in done.stdout, done.stderr


def test_a_custom_layer_with_a_handler_of_its_own(keras: Any) -> None:
    from kbuild.converters import LayerCall, layer_handler
    from kbuild.ir import Node
    from kbuild.ops.concatenate import Concatenate
    from kbuild.ops.pad import Pad

    @keras.utils.register_keras_serializable("mine")
    class Reversed(keras.layers.Layer):  # type: ignore[name-defined,misc]
        def call(self, inputs: Any) -> Any:
            return inputs[:, ::-1]

    try:

        @layer_handler("Reversed")
        def build(call: LayerCall) -> Node:
            length, rest = call.shape[0], call.shape[1:]
            steps = [
                call.add(Pad(((-t, t + 1 - length), *((0, 0) for _ in rest)))) for t in reversed(range(length))
            ]
            return call.add(Concatenate(0), *steps)

        model = keras.Sequential([keras.Input((3, 2)), Reversed(name="backwards")])
        x = np.round(np.random.default_rng(0).normal(0, 1, (5, 3, 2)) * 64) / 64
        for converted in (
            kbuild.converters.convert_from_keras_model(model),
            kbuild.converters.convert_from_config(_saved(model)),
        ):
            assert np.array_equal(converted.predict(x), x[:, ::-1])
    finally:
        extensions.unregister("Reversed")


def _saved(model: Any) -> dict[str, str]:
    model.save("custom.h5")
    return {"KerasH5": "custom.h5", "OutputDir": "custom", "Backend": "Vitis"}


def test_handlers_as_hls4ml_has_them(keras: Any) -> None:
    from kbuild.converters import KerasV3LayerHandler, register_keras_v3_layer_handler
    from kbuild.converters.keras_v2_to_hls import get_weights_data, keras_handler, parse_default_keras_layer

    class MyDense(keras.layers.Dense):  # type: ignore[name-defined,misc]
        pass

    model = keras.Sequential([keras.Input((4,)), MyDense(3, activation="relu", name="mine")])
    x = np.random.default_rng(0).normal(0, 1, (20, 4)).astype(np.float32)
    expected = model.predict(x, verbose=0)
    convert = kbuild.converters.convert_from_keras_model
    try:

        @keras_handler("MyDense", weights=("kernel", "bias"))
        def parse(keras_layer: Any, input_names: Any, input_shapes: Any, data_reader: Any) -> Any:
            layer = parse_default_keras_layer(keras_layer, input_names)
            layer["class_name"], layer["units"] = "Dense", keras_layer["config"]["units"]
            names = ("kernel", "bias")
            layer["weight_data"], layer["bias_data"] = get_weights_data(data_reader, layer["name"], names)
            return layer, [*input_shapes[0][:-1], layer["units"]]

        if major(keras) == 2:
            assert np.abs(convert(model).predict(x) - expected).max() < 0.02
            return
        with pytest.warns(UserWarning, match="the layer mine .* of Keras 3 has a handler for Keras 2 only"):
            assert np.abs(convert(model).predict(x) - expected).max() < 0.02
        with pytest.raises(kbuild.UnsupportedModel, match="register one for Keras 3"):
            convert(model, allow_v2_fallback=False)

        @register_keras_v3_layer_handler
        class Handler(KerasV3LayerHandler):
            handles = ("my_package.MyDense",)

            def handle(self, layer: Any, in_tensors: Any, out_tensors: Any) -> Any:
                kernel, bias = layer.get_weights()
                first = {"class_name": "Dense", "units": layer.units, "weight_data": kernel, "bias_data": bias}
                return first, {"class_name": "Activation", "activation": layer.activation.__name__}

        assert np.abs(convert(model, allow_v2_fallback=False).predict(x) - expected).max() < 0.02
    finally:
        extensions.unregister("MyDense")


def test_a_handler_that_describes_no_operation_is_refused(keras: Any) -> None:
    from kbuild.converters import register_keras_v2_layer_handler

    class Mystery(keras.layers.Layer):  # type: ignore[name-defined,misc]
        def call(self, inputs: Any) -> Any:
            return inputs

    def parse(keras_layer: Any, input_names: Any, input_shapes: Any, data_reader: Any) -> Any:
        return {"class_name": "Mystery"}, input_shapes[0]

    register_keras_v2_layer_handler("Mystery", parse)
    try:
        model = keras.Sequential([keras.Input((4,)), Mystery(name="what")])
        with pytest.warns() if major(keras) == 3 else pytest.raises(kbuild.UnsupportedModel, match="no operation"):
            with pytest.raises(kbuild.UnsupportedModel, match="no operation of kbuild is"):
                kbuild.converters.convert_from_keras_model(model)
            if major(keras) == 2:
                kbuild.converters.convert_from_keras_model(model)
    finally:
        extensions.unregister("Mystery")
