"""What the recipe says in each trial of a case: ample precision, nothing at all, or random types for everything."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

from kbuild.config import LayerInfo, recipe_from_dict, resolve_settings
from kbuild.fixed import FixedType, Overflow, Quantization
from kbuild.ir import Graph
from kbuild.passes.context import Context, layer_infos

_HERE = Path(__file__).parent
TRIALS = ("ample", "auto", "explicit")
AMPLE = {"Model": {"Precision": {"maximum": "fixed<28,8>"}, "TableSize": 16384}}


def context_of(trial: str, graph: Graph, calibration: dict[str, Any], rng: random.Random) -> Context:
    """The context of a trial, with the inputs as calibration data. Raises RecipeError."""
    rules: dict[str, Any] = {"ample": AMPLE, "auto": {}}.get(trial, {})
    if trial == "explicit":
        rules = {"LayerName": {info.name: _rules(info, rng) for info in layer_infos(graph)}}
    hls = rules or {"Model": {}}
    recipe = recipe_from_dict({"KerasModel": object(), "Backend": "Vitis", "HLSConfig": hls}, _HERE)
    return Context(resolve_settings(recipe, layer_infos(graph)), recipe.backend, calibration=calibration)


def _rules(info: LayerInfo, rng: random.Random) -> dict[str, Any]:
    found: dict[str, Any] = {"Precision": {name: random_type(rng) for name in info.variables if rng.random() < 0.9}}
    if rng.random() < 0.3:
        found["TableSize"] = 2 ** rng.randint(3, 11)
    if rng.random() < 0.3:
        found["Strategy"] = rng.choice(["Latency", "Resource", "Unrolled"])
    if rng.random() < 0.15:
        found["ReuseFactor"] = rng.randint(2, 4)
    return found


def random_type(rng: random.Random) -> str:
    """Of any sign, position of the point and modes; mostly of few bits."""
    width = rng.randint(2, 18) if rng.random() < 0.85 else rng.randint(1, 40)
    integer = rng.randint(0, width) if rng.random() < 0.8 else rng.randint(-2, width + 2)
    overflow = rng.choice(list(Overflow)) if width > 1 else Overflow.WRAP
    return str(FixedType(width, integer, rng.random() < 0.75, rng.choice(list(Quantization)), overflow))
