"""Reference predictions by Keras, in a process of its own: with a stand-in for Keras that says what it is asked."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kbuild.reference import predict

FAKE = """
import os
import numpy as np

class Tensor:
    shape = (None, 64)

class Model:
    inputs = [Tensor()]
    def predict(self, x, batch_size, verbose):
        assert x.dtype == np.float32 and x.shape[1:] == (64,)
        open(os.environ["ASKED"], "a").write(f"{len(x)} {os.environ['KERAS_BACKEND']}\\n")
        return np.tile(np.arange(10, dtype=np.float32) / 16, (len(x), 1))

class models:
    @staticmethod
    def load_model(path, compile):
        assert path.endswith(".keras") and compile is False
        if "BROKEN" in os.environ:
            raise ValueError("unknown layer")
        return Model()
"""


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    site = tmp_path / "site"
    for name, text in (("keras", FAKE), ("tensorflow", "")):
        (site / name).mkdir(parents=True)
        (site / name / "__init__.py").write_text(text)
        (site / f"{name}-3.0.dist-info").mkdir()
        (site / f"{name}-3.0.dist-info" / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 3.0\n")
    environment = {**os.environ, "PYTHONPATH": str(site), "ASKED": str(tmp_path / "asked")}
    environment.pop("KERAS_BACKEND", None)
    return environment


def build(recipe: Path, environment: dict[str, str], *words: str) -> Any:
    subprocess.run([sys.executable, "-m", "kbuild", "build", str(recipe), "--to", "simulate", *words],
                   env=environment, check=True, capture_output=True, timeout=300)  # fmt: skip
    return json.loads((recipe.parent / "out" / "reports" / "simulate.json").read_text())


def test_keras_is_asked_once(project: Callable[..., Path], environment: dict[str, str]) -> None:
    recipe = project()
    report = build(recipe, environment)
    assert report["reference"]["source"] == "keras" and report["notes"] == []
    assert report["reference"]["argmax_agreement"] < 0.2  # the stand-in always says nine
    build(recipe, environment, "--set", "HLSConfig.Model.Precision=fixed<18,8>")
    assert Path(environment["ASKED"]).read_text() == "360 tensorflow\n"


def test_a_keras_that_fails_is_told_and_does_not_fail_the_build(
    project: Callable[..., Path], environment: dict[str, str]
) -> None:
    report = build(project(), {**environment, "BROKEN": "1"})
    assert report["reference"]["source"] == "float"
    assert report["notes"] == [
        "Keras could not predict, so the reference is the graph in float64 (ValueError: unknown layer)"
    ]


class Stub:
    """A model of two inputs and the outputs given."""

    def __init__(self, outputs: object) -> None:
        class Tensor:
            def __init__(self, *shape: int | None) -> None:
                self.shape = shape

        self.inputs = [Tensor(None, 2, 3), Tensor(None, 4)]
        self.outputs = outputs

    def predict(self, x: list[Any], batch_size: int, verbose: int) -> object:
        assert [array.shape for array in x] == [(5, 2, 3), (5, 4)]
        return self.outputs


@pytest.mark.parametrize("kind", ["one", "list", "dict"])
def test_outputs_of_every_form(kind: str) -> None:
    a, b = np.ones((5, 2), np.float32), np.zeros((5, 3), np.float32)
    outputs = {"one": a, "list": [a, b], "dict": {"p": a, "q": b}}[kind]
    found = predict(Stub(outputs), [np.zeros((5, 6)), np.zeros((5, 4))])
    assert [array.shape for array in found] == ([(5, 2)] if kind == "one" else [(5, 2), (5, 3)])
    assert all(array.dtype == np.float64 for array in found)
