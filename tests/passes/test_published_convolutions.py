"""The published convolutional models: right by default, and the bits of hls4ml where every precision is given."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from kbuild import emulate
from kbuild.config import load_recipe, resolve_settings
from kbuild.fixed import to_float
from kbuild.frontend.keras import read_model
from kbuild.ir import Graph, verify
from kbuild.passes import check_capability
from kbuild.passes.context import VALUE_WIDTH, Context, layer_infos
from kbuild.passes.pipeline import PIPELINE

MODELS = Path(os.environ.get("KBUILD_MODELS", "/nonexistent"))
pytestmark = pytest.mark.skipif(not MODELS.is_dir(), reason="the published models (KBUILD_MODELS) are not here")

NAMES = ("KERAS_conv1d_small", "KERAS_conv2d_model")
GIVEN = [
    ("KERAS_conv1d_small", "ap_fixed<16,6>", "hls4ml-fixed16_6-stream.npz"),
    ("KERAS_conv2d_model", "ap_fixed<18,8>", "hls4ml-fixed18_8-stream.npz"),
    ("KERAS_conv2d_model", "ap_fixed<18,8>", "hls4ml-fixed18_8.npz"),
]


def read(name: str) -> Graph:
    return read_model(MODELS / name / f"{name}.json", MODELS / name / f"{name}_weights.h5", None, name)


def optimize(graph: Graph, context: Context) -> Graph:
    """With types, whether a backend can print it or not."""
    for step in PIPELINE:
        if step is not check_capability.run:
            graph = verify(step(graph, context))
    return graph


@pytest.mark.parametrize("name", NAMES)
def test_argmax_agrees_with_keras_by_default(name: str) -> None:
    graph = read(name)
    golden = np.load(MODELS / name / "golden.npz")
    inputs = {graph.inputs[0].name: golden["x0"].astype(np.float64)}
    fixed = optimize(graph, Context(calibration=inputs))
    integers, _ = emulate.quantize_inputs(fixed, inputs)
    y = emulate.run(fixed, integers).values[fixed.outputs[0]]
    assert (y.argmax(axis=1) == golden["y0"].argmax(axis=1)).mean() >= 0.99
    assert np.abs(to_float(y, fixed[fixed.outputs[0]].fixed()) - golden["y0"]).max() < 0.002
    assert all(node.fixed().width <= VALUE_WIDTH for node in fixed)


@pytest.mark.parametrize(("name", "precision", "file"), GIVEN)
def test_explicit_precision_gives_the_bits_of_hls4ml(name: str, precision: str, file: str, tmp_path: Path) -> None:
    model = MODELS / name / name
    (tmp_path / "recipe.yml").write_text(
        f"KerasJson: {model}.json\nKerasH5: {model}_weights.h5\nBackend: Vivado\n"
        f"HLSConfig:\n  Model:\n    Precision: {precision}\n    ReuseFactor: 1\n"
    )
    (recipe,) = load_recipe(tmp_path / "recipe.yml")
    graph = read(name)
    fixed = optimize(graph, Context(resolve_settings(recipe, layer_infos(graph)), backend=recipe.backend))
    golden = np.load(MODELS / name / file)
    integers, _ = emulate.quantize_inputs(fixed, {fixed.inputs[0].name: golden["x0"]})
    values = emulate.run(fixed, integers, [node.name for node in fixed]).values
    floats = {node.layer.name: to_float(values[node.name], node.fixed()) for node in fixed}
    softmax = fixed[fixed.outputs[0]]
    floats["logits"] = to_float(values[softmax.inputs[0]], fixed[softmax.inputs[0]].fixed())
    compared = [key for key in golden.files if key != "x0"]
    assert "logits" in compared and len(compared) > 2
    for key in compared:
        assert np.array_equal(floats[key.removeprefix("layer/")], golden[key]), key
