"""kbuild: from a trained Keras model to verified FPGA hardware, from one YAML file."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from kbuild.errors import KbuildError, MissingTool, RecipeError, StageError, UnsupportedModel

if TYPE_CHECKING:
    from types import ModuleType

    from kbuild import converters, model, report, utils

__version__ = "0.1.0"

__all__ = [
    "KbuildError",
    "MissingTool",
    "RecipeError",
    "StageError",
    "UnsupportedModel",
    "__version__",
    "converters",
    "model",
    "report",
    "utils",
]

_API = ("converters", "model", "report", "utils")


def __getattr__(name: str) -> ModuleType:
    """The Python API's modules, imported when they are first used."""
    if name in _API:
        return importlib.import_module(f"kbuild.{name}")
    raise AttributeError(f"module 'kbuild' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
