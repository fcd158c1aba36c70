"""The recipes of quantized models: what is built is what their library predicted, to the bit."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import kbuild
from kbuild.config import load_recipe
from kbuild.flow import scheduler
from kbuild.flow.build import Build
from kbuild.resources import resource

QUANTIZED = ("digits-qkeras", "digits-hgq2")
RIGHT = {"digits-qkeras": 355, "digits-hgq2": 350}  # of 360 images, as their documents say
ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A copy of a recipe as it is shipped."""
    found = tmp_path / request.param
    shutil.copytree(resource("recipes", request.param), found, ignore=shutil.ignore_patterns("build"))
    return found


def expected(name: str, folder: Path) -> np.ndarray:
    """The library's logits, which are right as often as the documents say."""
    logits, labels = np.load(folder / "predicted.npy"), np.load(folder / "y_test.npy")
    assert int((logits.argmax(axis=1) == labels).sum()) == RIGHT[name]
    return np.asarray(logits)


@pytest.mark.parametrize(("name", "folder"), [(name, name) for name in QUANTIZED], indirect=["folder"])
def test_the_logits_are_those_of_the_library(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    model = kbuild.converters.convert_from_config("recipe.yml")
    assert np.array_equal(model.predict(np.load("x_test.npy")), expected(name, folder))


@pytest.mark.slow
@pytest.mark.parametrize(("name", "folder"), [(name, name) for name in QUANTIZED], indirect=["folder"])
def test_it_builds(name: str, folder: Path) -> None:
    """All engines agree, on every image; the network of HGQ2 is synthesised by Yosys."""
    (build,) = [Build(one) for one in load_recipe(folder / "recipe.yml", [])]
    assert scheduler.run([build], scheduler.plan("report"), 2) == []
    found = json.loads((folder / "build" / "reports" / "simulate.json").read_text(encoding="utf-8"))
    engines = ("emulate", "csim", *(("rtl",) if name == "digits-hgq2" else ()))
    assert {engine: (run["samples"], run["mismatches"]) for engine, run in found["engines"].items()} == {
        engine: (360, 0) for engine in engines
    }
    assert found["validation"]["value"] == RIGHT[name] / 360
    if name == "digits-hgq2":
        resources = json.loads((folder / "build" / "reports" / "synthesize.json").read_text(encoding="utf-8"))[
            "resources"
        ]
        assert 7_300 < resources["lut"] < 8_200 and resources["dsp"] == resources["bram"] == 0


def test_the_environments_are_one() -> None:
    """The recipe was trained in what the random models of QKeras are made in."""
    if not (ROOT / "constraints").exists():
        pytest.skip("not a checkout")
    made, trained = ROOT / "constraints" / "keras2.txt", resource("recipes", "digits-qkeras", "requirements.txt")
    lines = [
        [line for line in path.read_text(encoding="utf-8").splitlines() if line[0] != "#"] for path in (made, trained)
    ]
    assert lines[1] and set(lines[1]) <= set(lines[0])  # the tests of live models need some more
