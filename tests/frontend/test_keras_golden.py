"""Models saved by Keras 2 and Keras 3 (`make_models.py`) against Keras' own predictions, and the published models."""

import os
from pathlib import Path

import numpy as np
import pytest

from kbuild.emulate import run_float
from kbuild.frontend.keras import read_model
from kbuild.ir import Graph

DATA = Path(__file__).parent / "data"
FILES = sorted(
    path for path in DATA.iterdir() if path.suffix in (".h5", ".keras", ".json") and ".weights" not in path.name
)
PUBLISHED = os.environ.get("KBUILD_MODELS")


def read(path: Path) -> Graph:
    """The model of a file; a JSON file has its weights beside it."""
    if path.suffix == ".json":
        return read_model(path, path.with_suffix(".weights.h5"), None, path.stem)
    return read_model(None, path, None, path.stem) if path.suffix == ".h5" else read_model(None, None, path, path.stem)


def assert_agrees(graph: Graph, golden: Path, tolerance: float) -> None:
    """Every output within the tolerance of its largest magnitude."""
    with np.load(golden) as arrays:
        inputs = {node.name: arrays[f"x{i}"] for i, node in enumerate(graph.inputs)}
        expected = [arrays[f"y{i}"] for i in range(sum(name.startswith("y") for name in arrays.files))]
        assert len(inputs) == sum(name.startswith("x") for name in arrays.files)
    assert len(graph.outputs) == len(expected)
    values = run_float(graph, inputs)
    for i, (name, y) in enumerate(zip(graph.outputs, expected, strict=True)):
        assert values[name].shape == y.shape, f"output {i} ({name})"
        error = np.abs(values[name] - y).max() / max(np.abs(y).max(), 1e-6)
        assert error <= tolerance, f"output {i} ({name}): relative error {error:.2e}"


def test_all_files_are_there() -> None:
    assert len(FILES) >= 28


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_agrees_with_keras(path: Path) -> None:
    assert_agrees(read(path), DATA / f"{path.name.split('.')[0]}.npz", 1e-5)


# Models that others trained and published, by where their file is and what it holds
_READABLE = (
    "KERAS_1layer",
    "KERAS_3layer",
    "KERAS_3layer_batch_norm",
    "KERAS_conv1d_small",
    "KERAS_conv2d_model",
    "KERAS_dense_16x200x200x200x200x200x5",
    "ad01",
)


@pytest.mark.skipif(PUBLISHED is None, reason="KBUILD_MODELS does not name the folder of the published models")
@pytest.mark.parametrize("name", _READABLE)
def test_agrees_with_published_predictions(name: str) -> None:
    folder = Path(str(PUBLISHED)) / name
    h5, json = next(folder.glob("*.h5")), next(folder.glob("*.json"), None)
    assert_agrees(read_model(json, h5, None, name), folder / "golden.npz", 1e-5)
