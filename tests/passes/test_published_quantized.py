"""The published quantized models: equal to Keras to the bit with no precision in the recipe, and to hls4ml with all.

`data/quantized_logits.npz` has what Keras 2.15 with QKeras 0.9.0 predicts before the last softmax, for the inputs that
are published with the models; HGQ's models have no softmax.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from kbuild import emulate
from kbuild.config import load_recipe, resolve_settings
from kbuild.fixed import FloatArray, to_float
from kbuild.frontend.keras import read_model
from kbuild.ir import Graph, Node
from kbuild.passes.context import Context, layer_infos
from kbuild.passes.pipeline import optimize

MODELS = Path(os.environ.get("KBUILD_MODELS", "/nonexistent"))
DATA = Path(__file__).parent / "data" / "quantized_logits.npz"
pytestmark = pytest.mark.skipif(not MODELS.is_dir(), reason="the published models (KBUILD_MODELS) are not here")


def read(name: str) -> Graph:
    folder = MODELS / name
    if (folder / f"{name}.json").exists():
        return read_model(folder / f"{name}.json", folder / f"{name}_weights.h5", None, name)
    return read_model(None, folder / f"{name}.h5", None, name)


def golden(name: str) -> tuple[FloatArray, FloatArray]:
    """Inputs and outputs, those before the softmax where there is one."""
    with np.load(MODELS / name / "golden.npz") as published, np.load(DATA) as logits:
        return published["x0"].astype(np.float64), logits[name] if name in logits else published["y0"]


def before_softmax(graph: Graph) -> Node:
    output = graph[graph.outputs[0]]
    return graph[output.inputs[0]] if output.op.kind == "softmax" else output


def values(graph: Graph, x: FloatArray) -> dict[str, FloatArray]:
    """Every value of the fixed graph, by node."""
    integers, _ = emulate.quantize_inputs(graph, {graph.inputs[0].name: x})
    found = emulate.run(graph, integers, [node.name for node in graph]).values
    return {node.name: to_float(found[node.name], node.fixed()) for node in graph}


@pytest.mark.parametrize("calibrated", [True, False], ids=["data", "no data"])
@pytest.mark.parametrize("name", ["qkeras_3layer", "qkeras_mnist_cnn", "hgq_jet_classifier", "hgq_mnist_homogeneous"])
def test_equal_to_keras_to_the_bit(name: str, calibrated: bool) -> None:
    """Keras' float32 rounds nothing in these models: their values have fewer than 24 bits."""
    graph, (x, wanted) = read(name), golden(name)
    io_type = "io_stream" if "mnist" in name else "io_parallel"
    fixed = optimize(graph, Context(io_type=io_type, calibration={graph.inputs[0].name: x} if calibrated else {}))
    node = before_softmax(fixed)
    assert max(n.fixed().width for n in fixed) <= 24
    found = values(fixed, x)
    assert np.array_equal(found[node.name], wanted)
    # The float graph is the reference of a build without Keras: it has the quantizers too.
    name = before_softmax(graph).name
    assert np.array_equal(emulate.run_float(graph, {graph.inputs[0].name: x}, [name])[name], wanted)
    # Behind the softmax the largest is the same, too, on every sample.
    assert np.array_equal(found[fixed.outputs[0]].argmax(axis=1), wanted.argmax(axis=1))


@pytest.mark.parametrize("name", ["KERAS_3layer_binary_smaller", "KERAS_3layer_binarydense_relu_max"])
def test_binary_models_by_default(name: str) -> None:
    graph, (x, wanted) = read(name), golden(name)
    fixed = optimize(graph, Context(calibration={graph.inputs[0].name: x}))
    found = values(fixed, x)[fixed.outputs[0]]
    assert (found.argmax(axis=1) == wanted.argmax(axis=1)).mean() >= 0.99
    kernels = [node.op.weight for node in fixed if node.op.kind == "dense"]
    assert len(kernels) == 4 and all(set(np.unique(w.data)) == {-1, 1} and w.fixed().width == 2 for w in kernels)


def test_explicit_precision_gives_the_bits_of_hls4ml(tmp_path: Path) -> None:
    graph = read("qkeras_3layer")
    (tmp_path / "model.h5").touch()
    (tmp_path / "recipe.yml").write_text(
        "KerasH5: model.h5\nBackend: Vivado\nHLSConfig: {Model: {Precision: 'ap_fixed<16,6>', ReuseFactor: 1}}\n"
    )
    (recipe,) = load_recipe(tmp_path / "recipe.yml")
    fixed = optimize(graph, Context(resolve_settings(recipe, layer_infos(graph)), recipe.backend))
    with np.load(MODELS / "qkeras_3layer" / "hls4ml-fixed16_6.npz") as wanted:
        found = values(fixed, wanted["x0"])
        layers = {fixed[name].layer.name: value for name, value in found.items()}
        assert np.array_equal(found[before_softmax(fixed).name], wanted["logits"])
        compared = [key for key in wanted.files if key.startswith("layer/")]
        assert len(compared) == 7
        for key in compared:
            assert np.array_equal(layers[key.removeprefix("layer/")], wanted[key]), key


@pytest.mark.parametrize("name", ["qkeras_3layer", "qkeras_mnist_cnn"])
def test_published_recipe(name: str, tmp_path: Path) -> None:
    """The configuration as it is published, but for its paths: its types are used exactly as written."""
    text = (MODELS / "yaml" / f"{name}_config.yml").read_text()
    (tmp_path / "recipe.yml").write_text(text.replace("keras/", f"{MODELS / name}/"))
    (recipe,) = load_recipe(tmp_path / "recipe.yml")
    graph = read(name)
    settings = resolve_settings(recipe, layer_infos(graph))
    fixed = optimize(graph, Context(settings, recipe.backend, recipe.io_type))
    for node in fixed:
        assert node.fixed() == settings[node.layer.name].type_of("result"), node.name
    x, wanted = golden(name)
    found = values(fixed, x)[before_softmax(fixed).name]
    assert (found.argmax(axis=1) == wanted.argmax(axis=1)).mean() >= 0.9


def test_the_port_of_qkeras_to_keras_3() -> None:
    """The same layers in a `.keras` archive, with weights of their own: float64 is exact here."""
    name = "qkeras-v3_3layer"
    graph = read_model(None, None, MODELS / name / f"{name}.keras", name)
    x, _ = golden("qkeras_3layer")
    fixed = optimize(graph, Context(calibration={graph.inputs[0].name: x}))
    node = before_softmax(fixed)
    assert [n.layer.class_name for n in fixed][1:3] == ["QDense", "QActivation"]
    floats = emulate.run_float(graph, {graph.inputs[0].name: x}, [node.name])
    assert np.array_equal(values(fixed, x)[node.name], floats[node.name])


