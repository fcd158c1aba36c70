"""Reuse factors that do not fit their layer → the nearest that do, where the user asks for that."""

from __future__ import annotations

import dataclasses
import warnings

from kbuild.config import LayerRules, Recipe, Setting
from kbuild.flow.build import Build
from kbuild.ops.contraction import Contraction
from kbuild.passes.resolve_strategy import legal_reuse_factors

_ORIGIN = "strict=False"


def with_legal_reuse_factors(recipe: Recipe) -> Recipe:
    """The recipe with the nearest legal reuse factor for every layer; the user is warned of each that is changed.

    Raises RecipeError for a model in which a layer has no legal one.
    """
    build = Build(recipe)
    with build.cache.in_use():
        settings, graph = build.settings(), build.graph("parse")
    legal: dict[str, set[int]] = {}
    for node in graph:
        if isinstance(node.op, Contraction) and node.layer.name in settings:
            strategy = settings[node.layer.name].strategy.value.lower()
            fits = set(legal_reuse_factors(strategy, node.op.terms, node.op.outputs))
            legal[node.layer.name] = legal.get(node.layer.name, fits) & fits
    for name, fits in legal.items():
        wanted = settings[name].reuse_factor.value
        if fits and wanted not in fits:
            nearest = min(fits, key=lambda reuse: (abs(reuse - wanted), reuse))
            warnings.warn(
                f"a reuse factor of {wanted} does not fit the layer {name}; {nearest} is used", stacklevel=4
            )
            recipe = _with_reuse_factor(recipe, name, nearest)
    return recipe


def _with_reuse_factor(recipe: Recipe, layer: str, reuse: int) -> Recipe:
    rules = dict(recipe.hls.layer_name)
    own = next((name for name in rules if name.casefold() == layer.casefold()), layer)
    rules[own] = dataclasses.replace(rules.get(own, LayerRules()), reuse_factor=Setting(reuse, _ORIGIN))
    return dataclasses.replace(recipe, hls=dataclasses.replace(recipe.hls, layer_name=rules))
