"""A cache of its own for every test, and a recipe that builds in a second."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from kbuild.resources import resource


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv("KBUILD_CACHE", str(folder))
    return folder


@pytest.fixture
def project(tmp_path: Path) -> Callable[..., Path]:
    """Makes a folder with the model of recipes/digits and a recipe for Vitis; keywords replace lines of it."""

    def make(name: str = "project", **keys: str) -> Path:
        folder = tmp_path / name / "digits"
        folder.mkdir(parents=True)
        for file in ("model.keras", "x_test.npy", "y_test.npy"):
            shutil.copy(resource("recipes", "digits", file), folder)
        lines = {
            "KerasModel": "model.keras",
            "OutputDir": "out",
            "ProjectName": "digits",
            "Backend": "Vitis",
            "ClockPeriod": "5",
            "InputData": "x_test.npy",
        } | keys
        recipe = folder / "recipe.yml"
        recipe.write_text("".join(f"{key}: {value}\n" for key, value in lines.items() if value))
        return recipe

    return make
