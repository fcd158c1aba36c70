"""The command, run in this process; a cache and a project of its own for every test."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from kbuild.cli import main
from kbuild.resources import resource


@dataclass(frozen=True)
class Done:
    """What a run of the command gave."""

    code: int
    out: str
    err: str


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv("KBUILD_CACHE", str(folder))
    return folder


@pytest.fixture
def kbuild(capfd: pytest.CaptureFixture[str]) -> Callable[..., Done]:
    """Runs `kbuild` with the words given."""

    def run(*words: object) -> Done:
        capfd.readouterr()
        try:
            code = main([str(word) for word in words])
        except SystemExit as exit_:
            code = int(exit_.code or 0)
        captured = capfd.readouterr()
        return Done(code, captured.out, captured.err)

    return run


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The model of recipes/digits with a recipe for Vitis, in the current folder."""
    folder = tmp_path / "digits"
    folder.mkdir()
    for file in ("model.keras", "x_test.npy", "y_test.npy"):
        shutil.copy(resource("recipes", "digits", file), folder)
    path = folder / "recipe.yml"
    path.write_text(
        "KerasModel: model.keras\nOutputDir: out\nProjectName: digits\nBackend: Vitis\nInputData: x_test.npy\n"
    )
    monkeypatch.chdir(folder)
    return path
