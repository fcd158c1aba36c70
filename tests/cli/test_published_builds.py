"""Published convolutional models from the recipe to the C simulation, by the command."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

MODELS = Path(os.environ.get("KBUILD_MODELS", "/nonexistent"))


@pytest.mark.skipif(not MODELS.is_dir(), reason="the published models (KBUILD_MODELS) are not here")
@pytest.mark.parametrize(
    ("io_type", "settings"),
    [("io_parallel", "{}"), ("io_parallel", "{Model: {Strategy: Resource}}"), ("io_stream", "{}")],
)
@pytest.mark.parametrize("name", ["KERAS_conv1d_small", "KERAS_conv2d_model"])
def test_convolutions(name: str, io_type: str, settings: str, kbuild: Callable, tmp_path: Path) -> None:
    model = MODELS / name / name
    golden = np.load(MODELS / name / "golden.npz")
    np.save(tmp_path / "x.npy", golden["x0"])
    np.save(tmp_path / "y.npy", golden["y0"].argmax(axis=1))
    (tmp_path / "recipe.yml").write_text(
        f"KerasJson: {model}.json\nKerasH5: {model}_weights.h5\nBackend: Vitis\nOutputDir: out\nInputData: x.npy\n"
        f"IOType: {io_type}\n"
        f"HLSConfig: {settings}\nValidation: {{Data: x.npy, Labels: y.npy, Metric: accuracy, Minimum: 0.99}}\n"
    )
    done = kbuild("build", tmp_path / "recipe.yml", "--to", "simulate")
    assert done.code == 0, done.err
    report = json.loads((tmp_path / "out" / "reports" / "simulate.json").read_text())
    assert report["engines"]["csim"]["samples"] == len(golden["x0"])
    assert report["engines"]["csim"]["mismatches"] == 0
    assert bool(report["fifos"]) == (io_type == "io_stream")
    assert report["validation"]["met"] and report["validation"]["value"] >= 0.99
