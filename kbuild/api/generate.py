"""`config_from_keras_model`: a configuration to start from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kbuild.config import LayerInfo, recipe_from_dict
from kbuild.config.suggestions import nearest
from kbuild.errors import RecipeError
from kbuild.frontend.keras.live import read_live
from kbuild.passes.context import layer_infos

GRANULARITIES = ("model", "type", "name")
# Variables that are constants of the model: their types are the model's, where a layer says nothing else.
_CONSTANTS = ("weight", "recurrent_weight", "bias", "recurrent_bias", "scale", "embeddings", "slope", "threshold")


def config_from_keras_model(
    model: Any,
    granularity: str = "model",
    backend: str | None = None,
    default_precision: str = "auto",
    default_reuse_factor: int = 1,
    max_precision: str | None = None,
    bit_exact: bool | None = None,
) -> dict[str, Any]:
    """A configuration for `hls_config`: `Model`, and an entry for each layer type (`LayerType`) or layer (`LayerName`).

    granularity: `model`, `type` or `name`; backend: only checked; default_precision: a type for everything that is not
    named, `auto` derives each from weights and data; max_precision: the widest type that `auto` may choose;
    default_reuse_factor: of the model; bit_exact: see `BitExact` in the recipe reference.

    No `Strategy` is written, so that each layer has the one that fits its size; set one for the model, or a layer.
    The entry of a type or a layer has `Precision: auto` for what the layer computes, as in hls4ml: the type of `Model`
    then holds for inputs and weights, while accumulators, results and tables are derived. What an entry does not give
    is the model's, so a later change of `config["Model"]`, of its reuse factor for one, reaches every layer.
    Raises RecipeError, and UnsupportedModel for a model that cannot become hardware.
    """
    if granularity not in GRANULARITIES:
        match = nearest(str(granularity), GRANULARITIES)
        remedy = f"did you mean {match}?" if match else f"write one of {', '.join(GRANULARITIES)}"
        raise RecipeError(f'granularity: "{granularity}" is unknown; {remedy}')
    live = read_live(model)
    precision = {"default": default_precision} | ({} if max_precision is None else {"maximum": max_precision})
    general: dict[str, Any] = {
        "Precision": precision,
        "ReuseFactor": default_reuse_factor,
        "TraceOutput": False,
    }
    if bit_exact is not None:
        general["BitExact"] = bit_exact
    config: dict[str, Any] = {"Model": general}
    recipe_from_dict({"KerasModel": live, "Backend": backend, "HLSConfig": config}, Path.cwd())
    if granularity != "model":
        by_name = granularity == "name"
        config["LayerName" if by_name else "LayerType"] = _entries(layer_infos(live.graph("model")), by_name)
    return config


def _entries(layers: list[LayerInfo], by_name: bool) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for layer in layers:
        entry = found.setdefault(layer.name if by_name else layer.class_name, {"Precision": {}})
        if layer.class_name != "InputLayer":
            computed = (variable for variable in layer.variables if variable not in _CONSTANTS)
            entry["Precision"] |= dict.fromkeys(computed, "auto")
    return found
