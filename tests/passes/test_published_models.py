"""The published models: right by default, and the bits of hls4ml where every precision is given."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from kbuild import emulate
from kbuild.config import load_recipe, resolve_settings
from kbuild.fixed import to_float
from kbuild.frontend.keras import read_model
from kbuild.ir import Graph
from kbuild.passes.context import VALUE_WIDTH, Context, layer_infos
from kbuild.passes.pipeline import optimize

MODELS = Path(os.environ.get("KBUILD_MODELS", "/nonexistent"))
pytestmark = pytest.mark.skipif(not MODELS.is_dir(), reason="the published models (KBUILD_MODELS) are not here")

CLASSIFIERS = ["KERAS_3layer", "KERAS_3layer_batch_norm", "KERAS_dense_16x200x200x200x200x200x5"]
REGRESSIONS = {"KERAS_1layer": 0.01, "KERAS_dense_16x200x200x200x200x200x5": 0.01, "ad01": 0.475}


def read(name: str) -> Graph:
    folder = MODELS / name
    if (folder / f"{name}.json").exists():
        return read_model(folder / f"{name}.json", folder / f"{name}_weights.h5", None, name)
    return read_model(None, folder / f"{name}.h5", None, name)


def context_of(graph: Graph, folder: Path, hls_config: str = "{}") -> Context:
    """The context of a recipe that says nothing but this."""
    (folder / "model.h5").touch()
    (folder / "recipe.yml").write_text(f"KerasH5: model.h5\nBackend: Vivado\nHLSConfig: {hls_config}\n")
    (recipe,) = load_recipe(folder / "recipe.yml")
    return Context(resolve_settings(recipe, layer_infos(graph)), recipe.backend)


def predictions(name: str, calibrated: bool, folder: Path) -> tuple[Graph, np.ndarray, np.ndarray]:
    graph = read(name)
    golden = np.load(MODELS / name / "golden.npz")
    inputs = {graph.inputs[0].name: golden["x0"].astype(np.float64)}
    fixed = optimize(graph, replace(context_of(graph, folder), calibration=inputs if calibrated else {}))
    integers, _ = emulate.quantize_inputs(fixed, inputs)
    output = fixed[fixed.outputs[0]]
    y = emulate.run(fixed, integers).values[output.name]
    return fixed, to_float(y, output.fixed()), golden["y0"]


@pytest.mark.parametrize("calibrated", [True, False], ids=["data", "no data"])
@pytest.mark.parametrize("name", CLASSIFIERS)
def test_argmax_agrees_with_keras_by_default(name: str, calibrated: bool, tmp_path: Path) -> None:
    graph, y, golden = predictions(name, calibrated, tmp_path)
    assert (y.argmax(axis=1) == golden.argmax(axis=1)).mean() >= 0.99
    assert all(node.fixed().width <= VALUE_WIDTH for node in graph)


@pytest.mark.parametrize("calibrated", [True, False], ids=["data", "no data"])
@pytest.mark.parametrize("name", REGRESSIONS)
def test_error_against_keras_by_default(name: str, calibrated: bool, tmp_path: Path) -> None:
    """ad01: one per cent of its output's range."""
    graph, y, golden = predictions(name, calibrated, tmp_path)
    assert np.abs(y - golden).max() <= REGRESSIONS[name]
    assert all(node.fixed().width <= VALUE_WIDTH for node in graph)


@pytest.mark.parametrize(
    ("name", "precision", "file"),
    [
        ("KERAS_3layer", "ap_fixed<16,6>", "hls4ml-fixed16_6.npz"),
        ("KERAS_3layer_batch_norm", "ap_fixed<24,10>", "hls4ml-fixed24_10.npz"),
    ],
)
def test_explicit_precision_gives_the_bits_of_hls4ml(name: str, precision: str, file: str, tmp_path: Path) -> None:
    graph = read(name)
    wanted = f"{{Model: {{Precision: '{precision}', ReuseFactor: 1}}}}"
    fixed = optimize(graph, context_of(graph, tmp_path, wanted))
    golden = np.load(MODELS / name / file)
    integers, _ = emulate.quantize_inputs(fixed, {fixed.inputs[0].name: golden["x0"]})
    values = emulate.run(fixed, integers, [node.name for node in fixed]).values
    floats = {node.layer.name: to_float(values[node.name], node.fixed()) for node in fixed}
    softmax = fixed[fixed.outputs[0]]
    floats["logits"] = to_float(values[softmax.inputs[0]], fixed[softmax.inputs[0]].fixed())
    compared = [key for key in golden.files if key != "x0"]
    assert "logits" in compared
    for key in compared:
        assert np.array_equal(floats[key.removeprefix("layer/")], golden[key]), key
