"""Arrays where a recipe has files of data: kept in the cache by their content, so that the flow reads them as files."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from kbuild.config import Recipe
from kbuild.dataclass import replace
from kbuild.errors import RecipeError
from kbuild.flow.cache import Cache

_KEYS = (
    ("InputData",), ("OutputPredictions",), ("Calibration", "Data"),
    ("Validation", "Data"), ("Validation", "Reference"), ("Validation", "Labels"),
)  # fmt: skip
_KIND = "array"


def with_files(config: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """The configuration with files in place of arrays, and what to call each array, by key.

    An array, or a list or mapping (by input name) of arrays, as `predict` takes them. Raises RecipeError.
    """
    found = dict(config)
    names: dict[str, str] = {}
    for *above, last in _KEYS:
        holder = found.get(above[0]) if above else found
        value = holder.get(last) if isinstance(holder, Mapping) else None
        if value is None or isinstance(value, (str, Path)) or hasattr(value, "__fspath__"):
            continue
        key = ".".join((*above, last))
        path, names[key] = _stored(key, value)
        if above:
            found[above[0]] = {**found[above[0]], last: path}
        else:
            found[last] = path
    return found, names


def named(recipe: Recipe, names: Mapping[str, str]) -> Recipe:
    """The recipe whose settings name the arrays by their content, not by where the cache has them."""
    settings = {
        key: replace(setting, value=names[key]) if key in names else setting
        for key, setting in recipe.settings.items()
    }
    return replace(recipe, settings=settings)


def _stored(key: str, value: Any) -> tuple[str, str]:
    arrays = _arrays(key, value)
    digest = hashlib.sha256()
    for name, array in arrays.items():
        digest.update(f"{name} {array.dtype.str} {array.shape}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    single = list(arrays) == [""]
    file = "data.npy" if single else "data.npz"

    def make(folder: Path) -> None:
        if single:
            np.save(folder / file, arrays[""], allow_pickle=False)
        else:
            np.savez(folder / file, **arrays)

    shape = ", ".join(str(array.shape) for array in arrays.values())
    artifact = Cache().get(_KIND, digest.hexdigest(), make)
    return str(artifact.path(file)), f"array {shape} {digest.hexdigest()[:16]}"


def _arrays(key: str, value: Any) -> dict[str, Any]:
    """By name; a single one is called ''."""
    if isinstance(value, Mapping):
        named = {str(name): array for name, array in value.items()}
    elif isinstance(value, (list, tuple)) and value and all(hasattr(item, "__array__") for item in value):
        named = {f"arr_{number}": array for number, array in enumerate(value)}
    else:
        named = {"": value}
    found = {name: np.asarray(array) for name, array in named.items()}
    for array in found.values():
        if array.dtype.kind not in "biuf" or array.ndim == 0:
            raise RecipeError(f"{key}: give an array of numbers, several of them, or the name of a file")
    return found
