"""Names of hls4ml that code written for it reads from a converted model, and where it imports them from."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

import kbuild
from kbuild.utils.config import config_from_keras_model, create_config
from kbuild.utils.plot import plot_model


def convolutions(keras: Any) -> Any:
    keras.utils.set_random_seed(4)
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((9, 7, 3), name="x"),
            layers.Conv2D(4, (3, 2), strides=(2, 1), padding="same", activation="relu", name="conv"),
            layers.AveragePooling2D((2, 3), strides=(1, 2), padding="same", name="pool"),
            layers.Reshape((5 * 4, 4), name="flat"),
            layers.ZeroPadding1D((1, 2), name="pad"),
            layers.Conv1D(5, 3, dilation_rate=2, name="conv1"),
            layers.MaxPooling1D(2, name="pool1"),
            layers.GRU(6, name="gru"),
            layers.Dense(2, name="fc"),
            layers.Activation("tanh", name="bent"),
        ]
    )


def test_sizes_of_layers(keras: Any) -> None:
    found = kbuild.converters.convert_from_keras_model(convolutions(keras), output_dir="out").graph
    wanted: dict[str, dict[str, Any]] = {
        "x": {"class_name": "InputLayer", "input_shape": [9, 7, 3]},
        "conv": {
            "in_height": 9, "in_width": 7, "n_chan": 3, "n_filt": 4, "out_height": 5, "out_width": 7, "filt_height": 3,
            "filt_width": 2, "stride_height": 2, "stride_width": 1, "pad_top": 1, "pad_bottom": 1, "pad_left": 0,
            "pad_right": 1, "dilation_width": 1, "data_format": "channels_last", "activation": "relu",
        },
        "pool": {
            "in_height": 5, "in_width": 7, "out_height": 5, "out_width": 4, "pool_height": 2, "pool_width": 3,
            "stride_height": 1, "stride_width": 2, "pad_top": 0, "pad_bottom": 1, "pad_left": 1, "pad_right": 1,
            "n_filt": 4, "pool_op": "Average",
        },
        "pad": {"in_width": 20, "out_width": 23, "pad_left": 1, "pad_right": 2, "n_chan": 4},
        "conv1": {"in_width": 23, "out_width": 19, "filt_width": 3, "dilation_width": 2, "activation": "linear"},
        "pool1": {"n_in": 19, "n_out": 9, "n_filt": 5, "pool_width": 2, "pool_op": "Max"},
        "gru": {"n_sequence": 9, "n_in": 5, "n_out": 6, "activation": "tanh", "recurrent_activation": "sigmoid"},
        "fc": {"n_in": 6, "n_out": 2, "activation": "linear"},
        "bent": {"n_in": 2, "activation": "tanh"},
    }  # fmt: skip
    for name, attributes in wanted.items():
        assert {key: found[name].get_attr(key) for key in attributes} == attributes, name
    assert found["fc"].attributes["result_t"].precision == found["fc"].get_output_variable().type.precision
    assert list(found)[:2] == ["x", "conv"] and "conv_relu" in found


def test_weights_of_a_layer_by_name(keras: Any) -> None:
    layer = kbuild.converters.convert_from_keras_model(convolutions(keras), output_dir="out").graph["fc"]
    assert layer.get_weights("weight").shape == layer.weights["weight"].shape == layer.get_weights()["weight"].shape
    with pytest.raises(KeyError, match="no weight is called kernel"):
        layer.get_weights("kernel")


def test_modules_and_functions(keras: Any, own_folder: Path) -> None:
    model = convolutions(keras)
    config = create_config(output_dir="out", backend="Vitis")
    config |= {"KerasModel": model, "HLSConfig": config_from_keras_model(model)}
    converted = kbuild.converters.keras_v2_to_hls(config)
    assert converted.predict(np.zeros((1, 9, 7, 3))).shape == (1, 2)
    plot_model(converted, to_file="out.dot")
    assert Path("out.dot").exists()


def test_a_yaml_file_as_a_dictionary(keras: Any, own_folder: Path) -> None:
    folder = own_folder / "there"
    folder.mkdir()
    convolutions(keras).save(folder / "m.h5")
    text = {"KerasH5": "m.h5", "OutputDir": "out", "Backend": "Vitis", "HLSConfig": {"Model": {"ReuseFactor": 1}}}
    (folder / "recipe.yml").write_text(yaml.safe_dump(text))
    config = kbuild.converters.parse_yaml_config(folder / "recipe.yml")
    assert config["KerasH5"] == str(folder / "m.h5") and config["OutputDir"] == str(folder / "out")
    config["HLSConfig"]["Model"]["Precision"] = "fixed<20,8>"
    converted = kbuild.converters.convert_from_config(config)
    assert converted.graph["fc"].attributes["result_t"].precision.width == 20
    with pytest.raises(kbuild.RecipeError, match="no such file"):
        kbuild.converters.parse_yaml_config("nothing.yml")


@pytest.mark.parametrize("io_type", ["io_parallel", "io_stream"])
def test_automatic_results_are_as_wide_as_the_type_of_the_model(io_type: str, keras: Any) -> None:
    """Without data the range of inputs is that of their type, of which 16 bits would be little."""
    keras.utils.set_random_seed(5)
    model = keras.Sequential([keras.Input((8, 8, 3), name="x"), keras.layers.MaxPooling2D(name="pool"),
                              keras.layers.DepthwiseConv2D(3, name="conv")])  # fmt: skip
    config = config_from_keras_model(model, granularity="name", default_precision="fixed<32,12>", backend="Vitis")
    converted = kbuild.converters.convert_from_keras_model(
        model, hls_config=config, output_dir="out", backend="Vitis", io_type=io_type
    )
    x = np.random.default_rng(0).uniform(0, 1, (20, 8, 8, 3)).astype(np.float32)
    assert np.abs(converted.predict(x) - model.predict(x, verbose=0)).max() < 1e-4
    limited = config_from_keras_model(
        model, granularity="name", default_precision="fixed<32,12>", max_precision="fixed<18,12>"
    )
    converted = kbuild.converters.convert_from_keras_model(model, hls_config=limited, output_dir="out", io_type=io_type)
    assert converted.graph["conv"].attributes["result_t"].precision.width == 18


def test_a_softmax_that_is_skipped(keras: Any) -> None:
    keras.utils.set_random_seed(6)
    layers = keras.layers
    model = keras.Sequential([keras.Input((6,)), layers.Dense(4, name="fc"), layers.Activation("softmax", name="top")])
    config = config_from_keras_model(model, granularity="name")
    config["LayerName"]["top"] |= {"skip": True, "accum_t": "fixed<18,8>", "inv_inp_t": "fixed<18,8>"}
    converted = kbuild.converters.convert_from_keras_model(model, hls_config=config, output_dir="out")
    x = np.random.default_rng(0).normal(size=(50, 6))
    assert list(converted.graph)[-1] == "fc"
    kernel, bias = (np.asarray(w) for w in model.get_layer("fc").get_weights())
    assert np.abs(converted.predict(x) - (x @ kernel + bias)).max() < 0.01
    config["LayerName"]["fc"]["skip"] = True
    with pytest.raises(kbuild.RecipeError, match="a softmax may be left out, which the layer fc is not"):
        kbuild.converters.convert_from_keras_model(model, hls_config=config, output_dir="out")


def test_a_large_layer_needs_no_strategy_by_hand(keras: Any) -> None:
    """A generated configuration leaves the strategy open, which then is one that HLS tools can unroll."""
    model = keras.Sequential([keras.Input((100,)), keras.layers.Dense(90, name="fc")])
    config = config_from_keras_model(model, granularity="name", backend="Vitis")
    converted = kbuild.converters.convert_from_keras_model(model, hls_config=config, output_dir="out", backend="Vitis")
    assert converted.graph["fc"].attributes["strategy"].lower() == "resource"
