"""`allow_da_fallback`: layers without a handler, traced by da4ml."""

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import kbuild
from kbuild.emulate import run_float

pytest.importorskip("da4ml", reason="da4ml has no wheel for this platform")


def exact(model: Any, backend: str, io_type: str = "io_parallel") -> kbuild.model.HlsModel:
    """Convert, check that the result is Keras' own to the last bit, and build: all engines are compared."""
    with pytest.warns(UserWarning, match=r"has no handler; da4ml traced it into logic: \d+ (additions|look-ups)"):
        hls = kbuild.converters.convert_from_keras_model(
            model, "out", backend=backend, io_type=io_type, hls_config={"Model": {"BitExact": True}}
        )
    rng = np.random.default_rng(0)
    inputs = [rng.normal(0, 1.5, (60, *tensor.shape[1:])).astype(np.float32) for tensor in model.inputs]
    given = inputs if len(inputs) > 1 else inputs[0]
    expected = model.predict(given, verbose=0)
    graph = hls.float_graph
    named = {node.name: x for node, x in zip(graph.inputs, inputs, strict=True)}
    assert np.array_equal(run_float(graph, named)[graph.outputs[0]], expected)
    assert np.array_equal(hls.predict(given), expected)
    report = hls.build(synth=False)
    assert report["reference"]["source"] == "keras" and report["reference"]["max_abs_error"] == 0
    return hls


@pytest.mark.parametrize("kind", ["QDenseT", "QConvT1D", "QConvT2D"])
def test_layers_of_hgq2_that_have_no_handler(kind: str) -> None:
    hgq = pytest.importorskip("hgq", reason="HGQ2 is not installed here; make keras runs this with it")
    keras = pytest.importorskip("keras")
    keras.utils.set_random_seed(7)
    make, shape = {
        "QDenseT": (lambda: hgq.layers.QDenseT(2, n_hl=1, d_hl=4, name="own"), (3,)),
        "QConvT1D": (lambda: hgq.layers.QConvT1D(2, 2, n_hl=1, d_hl=4, name="own"), (4, 2)),
        "QConvT2D": (lambda: hgq.layers.QConvT2D(2, 2, n_hl=1, d_hl=4, name="own"), (2, 3, 1)),
    }[kind]
    model = keras.Sequential([keras.Input(shape), make()])
    hls = exact(model, "Yosys" if kind == "QDenseT" else "Vitis", "io_stream" if kind == "QConvT1D" else "io_parallel")
    assert hls.get_layer("own").attributes["operations"] == ["logic"]
    with pytest.raises(kbuild.UnsupportedModel, match=f'"own" .*{kind}'):
        kbuild.converters.convert_from_keras_model(model, allow_da_fallback=False)


@pytest.fixture
def package(own_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """A package with layers of its own and with the plugin with which da4ml traces them, as if it were installed."""
    pytest.importorskip("keras")
    info = own_folder / "site" / "my_traced-1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: my-traced\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[dais_tracer.plugins]\nmy_traced = my_traced:Tracer\n")
    (own_folder / "site" / "my_traced.py").write_text(PACKAGE)
    monkeypatch.syspath_prepend(str(own_folder / "site"))
    import my_traced

    yield my_traced
    sys.modules.pop("my_traced", None)


PACKAGE = '''
import keras
import numpy as np
from da4ml.converter.plugin import DAISTracerPluginBase
from da4ml.trace.ops import quantize


class Absolute(keras.layers.Layer):
    """|q(x) - q(y)|, q saturating to steps of 1/8 in -4..4."""

    def call(self, inputs):
        x, y = (keras.ops.clip(keras.ops.floor(v * 8 + 0.5) / 8, -4, 3.875) for v in inputs)
        return keras.ops.abs(x - y)

    def compute_output_shape(self, shapes):
        return shapes[0]


class Unquantized(Absolute):
    pass


class Tracer(DAISTracerPluginBase):
    def apply_model(self, verbose, inputs):
        if type(self.model).__name__ == "Unquantized":
            return {"final": inputs[0] + inputs[1]}, ["final"]
        x, y = (quantize(v, 1, 2, 3, overflow_mode="SAT", round_mode="RND") for v in inputs)
        return {"final": np.abs(x - y)}, ["final"]
'''


def two_inputs(keras: Any, layer: Any) -> Any:
    x, y = keras.Input((4,), name="x"), keras.Input((4,), name="y")
    return keras.Model([x, y], layer([x, y]))


def test_a_plugin_of_the_layers_own_package(package: ModuleType) -> None:
    import keras

    model = two_inputs(keras, package.Absolute(name="own"))
    x, y = np.random.default_rng(0).normal(0, 3, (2, 60, 4))
    expected = model.predict([x.astype(np.float32), y.astype(np.float32)], verbose=0)
    config = {"LayerName": {name: {"Precision": "fixed<24,6>"} for name in ("x", "y")}}
    with pytest.warns(UserWarning, match=r'the layer "own" .* da4ml traced it into logic: \d+ additions'):
        hls = kbuild.converters.convert_from_keras_model(model, "out", backend="Vitis", hls_config=config)
    rounded = np.floor(np.stack([x, y]) * 2.0**18) / 2.0**18  # as the inputs are
    assert np.array_equal(hls.predict([x, y]), model.predict(list(rounded.astype(np.float64)), verbose=0))
    assert np.abs(hls.predict([x, y]) - expected).max() <= 0.25
    emulated = hls.predict([x, y])
    hls.compile()
    assert np.array_equal(hls.predict([x, y]), emulated)


def test_what_da4ml_cannot_trace(package: ModuleType) -> None:
    import keras

    model = two_inputs(keras, package.Unquantized(name="own"))
    with pytest.raises(kbuild.UnsupportedModel, match=r'"own" .* da4ml cannot trace it \(Cannot .* unquantized input'):
        kbuild.converters.convert_from_keras_model(model)
