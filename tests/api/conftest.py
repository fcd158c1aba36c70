"""A cache and a folder of its own for every test; Keras where it is installed."""

import importlib
import importlib.util
import os
from pathlib import Path
from typing import Any

import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("KBUILD_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(params=["keras", "tf_keras"])
def keras(request: pytest.FixtureRequest) -> Any:
    """Keras as installed (3, or 2 of an old TensorFlow), and Keras 2 beside it."""
    if importlib.util.find_spec(request.param) is None:
        pytest.skip(f"{request.param} is not installed here; make keras runs these tests with it")
    return importlib.import_module(request.param)
