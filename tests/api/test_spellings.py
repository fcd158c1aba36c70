"""What hls4ml's documentation and its tutorials' notebooks type, with the package's name changed."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import kbuild
from kbuild.resources import resource


def tagger(keras: Any) -> Any:
    """The model of the first notebooks."""
    keras.utils.set_random_seed(2)
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((16,), name="fc1_input"),
            layers.Dense(12, name="fc1"),
            layers.Activation("relu", name="relu1"),
            layers.Dense(8, name="fc2"),
            layers.Activation("relu", name="relu2"),
            layers.Dense(5, name="output"),
            layers.Activation("softmax", name="softmax"),
        ]
    )
    return model


def data(samples: int = 200) -> Any:
    return np.random.default_rng(1).normal(0, 1, (samples, 16)).astype(np.float32)


def test_getting_started(keras: Any, capsys: pytest.CaptureFixture[str]) -> None:
    model, x = tagger(keras), data()
    config = kbuild.utils.config_from_keras_model(model, granularity="model", backend="Vitis")
    hls_model = kbuild.converters.convert_from_keras_model(
        model, hls_config=config, backend="Vitis", project_name="myproject", output_dir="model_1/hls4ml_prj",
        part="xcu250-figd2104-2L-e",
    )  # fmt: skip
    picture = kbuild.utils.plot_model(hls_model, show_shapes=True, show_precision=True, to_file=None)
    assert picture._repr_svg_().lstrip().startswith(("<svg", "<?xml"))
    hls_model.compile()
    y_keras = model.predict(x, verbose=0)
    y_hls = hls_model.predict(np.ascontiguousarray(x))
    assert np.mean(np.argmax(y_keras, axis=1) == np.argmax(y_hls, axis=1)) >= 0.99
    report = hls_model.build(csim=False, synth=False)
    assert report["schema"] == "kbuild/build/1"
    with pytest.raises(kbuild.RecipeError, match=r"there is no reports/synthesize.json; call build\(synth=True\)"):
        kbuild.report.read_vivado_report("model_1/hls4ml_prj/")


def test_the_report_of_a_synthesis(own_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copy(resource("recipes", "digits", "model.keras"), own_folder)
    (own_folder / "out" / "reports").mkdir(parents=True)
    (own_folder / "out" / "reports" / "synthesize.json").write_text(
        '{"timing": {"clock_period_ns": 5.0, "fmax_mhz": 250.0, "met": true}, "latency_cycles": 9,'
        ' "interval_cycles": 1, "resources": {"lut": 7, "ff": 6, "dsp": 5, "bram": 4, "available": {"lut": 70}}}'
    )
    kbuild.report.read_vivado_report("out")
    text = capsys.readouterr().out
    for line in ("CSynthesisReport:", "EstimatedClockPeriod: 4.0", "LUT: 7", "AvailableLUT: 70", "AvailableFF: unkno"):
        assert line in text
    assert kbuild.report.parse_vivado_report("out")["CSynthesisReport"]["IntervalMax"] == 1


def test_advanced_configuration(keras: Any) -> None:
    model, x = tagger(keras), data()
    config = kbuild.utils.config_from_keras_model(model, granularity="name", backend="Vitis")
    for layer in config["LayerName"]:
        config["LayerName"][layer]["Trace"] = True
    config["LayerName"]["fc1"]["Precision"]["weight"] = "ap_fixed<8,2>"
    config["LayerName"]["fc1"]["Precision"]["bias"] = "ap_fixed<8,2>"
    config["LayerName"]["fc2"]["Precision"] = "fixed<18,8>"
    config["LayerName"]["fc2"]["ReuseFactor"] = 2
    config["LayerName"]["relu1"]["Precision"]["result"] = "ap_ufixed<12,4,AP_RND,AP_SAT>"
    config["LayerName"]["softmax"]["exp_table_t"] = "ap_fixed<18,8>"
    config["LayerName"]["softmax"]["inv_table_t"] = "ap_fixed<18,4>"
    config["LayerName"]["softmax"]["Strategy"] = "Stable"
    config["Model"]["Precision"] = {"default": "ap_fixed<16,6>", "maximum": "ap_fixed<24,10>"}
    hls_model = kbuild.converters.convert_from_keras_model(
        model, hls_config=config, output_dir="model_1/hls4ml_prj_2", backend="Vitis"
    )
    hls_model.compile()
    _, hls4ml_trace = hls_model.trace(np.ascontiguousarray(x))
    keras_trace = kbuild.model.profiling.get_ymodel_keras(model, x)
    assert set(hls4ml_trace) == set(keras_trace) == {"fc1", "relu1", "fc2", "relu2", "output", "softmax"}
    assert all(hls4ml_trace[name].shape == keras_trace[name].shape for name in keras_trace)
    own = {layer.name: layer for layer in hls_model.get_layers()}
    assert own["fc1"].attributes["precision"]["weight"] == "fixed<8,2>"
    assert own["relu1"].attributes["precision"]["result"] == "ufixed<12,4,RND,SAT>"
    assert own["fc2"].attributes["reuse_factor"] == 2 and own["softmax"].attributes["implementation"] == "stable"
    assert str(own["softmax"].attributes["precision"]["exp_table"]).startswith("fixed<18,8")
    assert hls_model.config.config["HLSConfig"]["Model"]["Precision"]["maximum"] == "ap_fixed<24,10>"


def test_profiling(keras: Any) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed (kbuild[plot])")
    model, x = tagger(keras), data(50)
    hls_model = kbuild.converters.convert_from_keras_model(model, output_dir="out", backend="Vitis")
    assert kbuild.model.profiling.numerical(model=model, hls_model=hls_model, X=x) is not None
    figure = kbuild.model.profiling.compare(keras_model=model, hls_model=hls_model, X=x, plot_type="dist_diff")
    assert figure is not None


def test_a_dictionary_that_is_filled(keras: Any) -> None:
    model = tagger(keras)
    cfg = kbuild.converters.create_config(backend="Vivado", part="xcu250-figd2104-2L-e", clock_period=4)
    cfg["IOType"] = "io_stream"  # Must set this if using CNNs!
    cfg["HLSConfig"] = kbuild.utils.config_from_keras_model(model, granularity="name")
    cfg["HLSConfig"]["Model"]["Strategy"] = "Resource"
    cfg["KerasModel"] = model
    cfg["OutputDir"] = "model_2/"
    cfg["XilinxPart"] = cfg.pop("Part")
    hls_model = kbuild.converters.keras_to_hls(cfg)
    hls_model.compile()
    assert hls_model.predict(data()).shape == (200, 5)
    assert hls_model.config.get_config_value("Part") == "xcu250-figd2104-2L-e"
    assert hls_model.get_layer("fc1").attributes["strategy"].lower() == "resource"


def test_arguments_of_a_conversion(keras: Any) -> None:
    model, x = tagger(keras), data()
    np.save("X.npy", x)
    np.save("y.npy", model.predict(x, verbose=0))
    hls_model = kbuild.converters.convert_from_keras_model(
        model, output_dir="out", project_name="tagger", input_data_tb="X.npy", output_data_tb="y.npy", backend="Vitis",
        io_type="io_parallel", clock_period=10, clock_uncertainty="12.5%", namespace="jets", write_weights_txt=False,
        write_tar=False, bit_exact=None, allow_v2_fallback=True, allow_da_fallback=True,
    )  # fmt: skip
    assert hls_model.get_input_variables()[0].shape == (16,) and hls_model.get_output_variables()[0].shape == (5,)
    weights = hls_model.get_layer("fc1").get_weights()
    assert weights["weight"].shape == (16, 12) and weights["weight"].data.dtype == np.float64


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c.update(SkipOptimizers=["reshape_stream"]), r"HLSConfig\.SkipOptimizers: unknown key; kbuild's"),
        (lambda c: c.update(Optimizers=["x"]), r"HLSConfig\.Optimizers: unknown key; kbuild's passes are not chosen"),
        (lambda c: c["LayerName"]["fc1"].update(ReuseFactor=7), "7 does not fit the layer fc1 .*legal ones near"),
        (lambda c: c["LayerName"].update(fc9={"ReuseFactor": 1}), r"fc9: the model has no layer"),
        (lambda c: c["LayerName"]["fc1"].update(Strategy="Stable"), "Stable is for softmax"),
        (lambda c: c["LayerName"]["fc1"]["Precision"].update(weights="ap_fixed<8,2>"), "did you mean weight"),
        (lambda c: c["Model"].update(Precision="ap_fixed<16>"), r"HLSConfig\.Model\.Precision"),
    ],
)
def test_what_is_refused(change: Any, message: str, keras: Any) -> None:
    config = kbuild.utils.config_from_keras_model(tagger(keras), granularity="name")
    change(config)
    with pytest.raises(kbuild.RecipeError, match=message):
        kbuild.converters.convert_from_keras_model(tagger(keras), hls_config=config, output_dir="out")
    assert not Path("out").exists()


def test_what_kbuild_does_not_have() -> None:
    with pytest.raises(AttributeError, match=r"no optimizer: its passes are not chosen. Rounding and saturation"):
        _ = kbuild.model.optimizer
    with pytest.raises(AttributeError, match=r"has no attribute 'nothing'"):
        _ = kbuild.model.nothing
    assert not hasattr(kbuild.utils, "fetch_example_list")
