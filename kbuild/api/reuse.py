"""Reuse factors that do not fit their layer → the nearest that do, where the user asks for that."""

from __future__ import annotations

import warnings
from collections.abc import Iterator

from kbuild.config import LayerRules, Recipe, Setting
from kbuild.dataclass import replace
from kbuild.flow.build import Build
from kbuild.ir import Graph, Node
from kbuild.passes.context import Context
from kbuild.passes.resolve_strategy import chosen

_ORIGIN = "strict=False"
Key = tuple[str, str]  # name of a layer, field of its rules


def with_legal_reuse_factors(recipe: Recipe, allow_code: bool) -> Recipe:
    """The recipe with the nearest legal reuse factor for every layer; the user is warned of each that is changed.

    A layer that is used on several shapes gets one that fits all. Where none is legal the recipe is left as it is, to
    be refused.
    """
    build = Build(recipe, allow_code=allow_code)
    with build.cache.in_use():
        context = Context(build.settings(), backend=recipe.backend, io_type=recipe.io_type)
        graph = build.graph("parse")
    wanted: dict[Key, int] = {}
    legal: dict[Key, set[int]] = {}
    for node in graph:
        for key, reuse, fits in _reuse_factors(graph, node, context):
            wanted[key] = reuse
            legal[key] = legal.get(key, fits) & fits
    for (layer, field), fits in legal.items():
        reuse = wanted[layer, field]
        if fits and reuse not in fits:
            nearest = min(fits, key=lambda other: (abs(other - reuse), other))
            text = f"a reuse factor of {reuse} does not fit the layer {layer}; {nearest}, the nearest, is used"
            warnings.warn(text, stacklevel=4)
            recipe = _with_reuse_factor(recipe, layer, field, nearest)
    return recipe


def _reuse_factors(graph: Graph, node: Node, context: Context) -> Iterator[tuple[Key, int, set[int]]]:
    """The reuse factors of a node: whose they are, what they would be, and what is legal."""
    choice = chosen(graph, node, context)
    if choice is None:
        return
    fields = ("reuse_factor", "recurrent_reuse_factor")
    for field, reuse, legal in zip(fields, choice.reuse, choice.legal(), strict=False):
        yield (node.layer.name, field), reuse.value, set(legal)


def _with_reuse_factor(recipe: Recipe, layer: str, field: str, reuse: int) -> Recipe:
    rules = dict(recipe.hls.layer_name)
    own = next((name for name in rules if name.casefold() == layer.casefold()), layer)
    setting = Setting(reuse, _ORIGIN)
    old = rules.get(own, LayerRules())
    if field == "reuse_factor":
        rules[own] = replace(old, reuse_factor=setting)
    else:
        rules[own] = replace(old, recurrent_reuse_factor=setting)
    return replace(recipe, hls=replace(recipe.hls, layer_name=rules))
