"""Models and configurations → `HlsModel`: the same recipe and the same flow as the command's."""

from __future__ import annotations

import copy
import os
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kbuild.api.arrays import named, with_files
from kbuild.api.model import HlsModel
from kbuild.api.reuse import with_legal_reuse_factors
from kbuild.config import Recipe, load_recipe, mapping_of, recipe_from_dict
from kbuild.dataclass import replace
from kbuild.errors import RecipeError, UnsupportedModel
from kbuild.flow.imports import load_imports
from kbuild.frontend.keras.extensions import find
from kbuild.frontend.keras.layers import is_own
from kbuild.frontend.keras.live import is_model, read_live
from kbuild.frontend.keras.spec import ModelSpec

# A file, or an array, or several arrays in the order of the inputs or by their names.
Data = str | os.PathLike[str] | np.ndarray[Any, Any] | Sequence[Any] | Mapping[str, Any]
# hls4ml's names for arguments, where a recipe's key is not their plain spelling
_KEYS: Mapping[str, tuple[str, ...]] = {
    "board": ("Board",),
    "namespace": ("WriterConfig", "Namespace"),
    "write_weights_txt": ("WriterConfig", "WriteWeightsTxt"),
    "write_tar": ("WriterConfig", "WriteTar"),
    "write_emulation_constants": ("WriterConfig", "WriteEmulationConstants"),
    "tb_output_stream": ("WriterConfig", "TBOutputStream"),
}


def convert_from_keras_model(
    model: Any,
    output_dir: str | os.PathLike[str] = "my-hls-test",
    project_name: str = "myproject",
    *,
    backend: str = "Vivado",
    io_type: str = "io_parallel",
    hls_config: Mapping[str, Any] | None = None,
    part: str | None = None,
    clock_period: float = 5,
    clock_uncertainty: str | None = None,
    input_data_tb: Data | None = None,
    output_data_tb: Data | None = None,
    bit_exact: bool | None = None,
    allow_v2_fallback: bool = True,
    allow_da_fallback: bool = True,
    strict: bool = True,
    allow_code: bool = False,
    **keys: Any,
) -> HlsModel:
    """Convert a model in memory, of Keras 3 on any backend or of Keras 2, with the weights that it has now.

    output_dir: the project's folder, relative to the current one; project_name: its top function; backend: `Yosys`,
    `Vivado`, `Vitis` ...; io_type: `io_parallel` or `io_stream`; hls_config: `Model`, `LayerType`, `LayerName`, as
    under HLSConfig of a recipe (None: types are derived); part: None is the backend's default; clock_period in ns;
    clock_uncertainty as `"12.5%"`; input_data_tb, output_data_tb: inputs and predictions, files or arrays as `predict`
    takes them, InputData and OutputPredictions of a recipe: types are derived from the inputs. strict=False takes the
    nearest legal reuse factor where one does not fit its layer, with a warning. allow_v2_fallback=False refuses a layer
    of Keras 3 that only a handler for Keras 2 reads; otherwise a warning names it. allow_da_fallback=False refuses a
    layer that no handler reads; otherwise da4ml traces it into logic, where one of its plugins (such as that of HGQ2)
    knows the layer, and a warning says so. `keys` are other keys of a recipe, such as `Validation={"Minimum": 0.99}`.

    Raises RecipeError for arguments and settings that are wrong, UnsupportedModel for a model that cannot become
    hardware; both with all that is wrong, and before anything is written.
    """
    config = copy.deepcopy(dict(hls_config or {}))
    if bit_exact is not None:
        config["Model"] = {**(config.get("Model") or {}), "BitExact": bit_exact}
    recipe: dict[str, Any] = {
        "KerasModel": model,
        "OutputDir": output_dir,
        "ProjectName": project_name,
        "Backend": backend,
        "Part": part,
        "ClockPeriod": clock_period,
        "ClockUncertainty": clock_uncertainty,
        "IOType": io_type,
        "InputData": input_data_tb,
        "OutputPredictions": output_data_tb,
        "HLSConfig": config,
    }
    for name, value in keys.items():
        _put(recipe, _KEYS.get(name, (name,)), value)
    if is_model(model):
        recipe["KerasModel"] = live = read_live(model, allow_da_fallback)
        _check_fallbacks(live.spec, allow_v2_fallback)
        for note in live.notes:
            warnings.warn(note, stacklevel=2)
    return convert_from_config(recipe, strict=strict, allow_code=allow_code)


def convert_from_config(
    config: str | os.PathLike[str] | Mapping[str, Any], *, strict: bool = True, allow_code: bool = False
) -> HlsModel:
    """Convert what a recipe describes: a YAML file, or a dictionary of the same keys.

    In a dictionary `KerasModel` may be a live model, files of data may be arrays, and paths are relative to the
    current folder. strict=False takes
    the nearest legal reuse factor where one does not fit its layer, with a warning; allow_code=True runs the modules
    that it imports. Raises as `convert_from_keras_model`.
    """
    recipe = _recipe_of(config)
    load_imports(recipe, allow_code)
    if recipe.live_model is not None:
        live = read_live(recipe.live_model)
        if live is not recipe.live_model:
            for note in live.notes:
                warnings.warn(note, stacklevel=2)
        recipe = replace(recipe, live_model=live)
    return HlsModel(recipe if strict else with_legal_reuse_factors(recipe, allow_code), allow_code)


def create_config(output_dir: str = "my-hls-test", project_name: str = "myproject", backend: str = "Vivado",
                  **keys: Any) -> dict[str, Any]:  # fmt: skip
    """A dictionary to add keys to, such as `KerasModel` and `HLSConfig`, for `convert_from_config`.

    `keys` are as in `convert_from_keras_model`: `part`, `clock_period`, `io_type` ..., or keys of a recipe.
    """
    recipe: dict[str, Any] = {"OutputDir": output_dir, "ProjectName": project_name, "Backend": backend}
    plain = {"part": ("Part",), "clock_period": ("ClockPeriod",), "clock_uncertainty": ("ClockUncertainty",),
             "io_type": ("IOType",)}  # fmt: skip
    for name, value in keys.items():
        _put(recipe, {**_KEYS, **plain}.get(name, (name,)), value)
    return recipe


def parse_yaml_config(config_file: str | os.PathLike[str]) -> dict[str, Any]:
    """The dictionary of a YAML file, to be changed and given to `convert_from_config`; its paths are absolute.

    Raises RecipeError.
    """
    return mapping_of(Path(config_file))


def keras_to_hls(config: Mapping[str, Any]) -> HlsModel:
    """`convert_from_config` of a dictionary."""
    return convert_from_config(config)


def _check_fallbacks(spec: ModelSpec, allowed: bool) -> None:
    """Say which layers of Keras 3 a handler for Keras 2 reads, or refuse them."""
    for layer in spec.layers:
        if layer.model is not None:
            _check_fallbacks(layer.model, allowed)
        extension = None if layer.keras == 2 or is_own(layer.class_name) else find(layer.class_name, layer.keras)
        if extension is None or layer.keras in extension.keras:
            continue
        text = f"the layer {layer.name} ({layer.class_name}) of Keras 3 has a handler for Keras 2 only"
        if not allowed:
            raise UnsupportedModel(f"{text}; register one for Keras 3, or allow_v2_fallback=True")
        warnings.warn(f"{text}, which reads it", stacklevel=3)


def _recipe_of(config: str | os.PathLike[str] | Mapping[str, Any]) -> Recipe:
    if isinstance(config, Mapping):
        files, names = with_files(config)
        return named(recipe_from_dict(files, Path.cwd()), names)
    if not isinstance(config, (str, os.PathLike)):
        raise RecipeError(f"a configuration is a dictionary or the path of a YAML file, not a {type(config).__name__}")
    recipes = load_recipe(Path(config))
    if len(recipes) != 1:
        raise RecipeError(f"{config}: the file holds {len(recipes)} recipes; give a file with one")
    return recipes[0]


def _put(recipe: dict[str, Any], path: tuple[str, ...], value: Any) -> None:
    for name in path[:-1]:
        recipe = recipe.setdefault(name, {})
    recipe[path[-1]] = value
