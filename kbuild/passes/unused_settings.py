"""Sentences about settings that a recipe gives to layers to which they mean nothing, or not what they say."""

from __future__ import annotations

from collections.abc import Mapping

from kbuild.config.recipe import HlsConfig, Setting
from kbuild.config.settings import LayerSettings
from kbuild.ir import Graph
from kbuild.ops.multipliers import Multiplying
from kbuild.passes.context import Context, chooses_types
from kbuild.passes.resolve_strategy import chosen

_NOTHING: Mapping[str, tuple[object, str]] = {  # the values that ask for nothing, and what the setting is about
    "ReuseFactor": (1, "sums of products"),
    "Strategy": ("Latency", "sums of products"),
    "RecurrentReuseFactor": (1, "recurrent layers"),
    "ParallelizationFactor": (1, "convolutions"),
    "ConvImplementation": ("LineBuffer", "convolutions"),
}
_SHOWN = 6


def remarks(graph: Graph, context: Context) -> tuple[str, ...]:
    """About a graph fresh from the front end; none about what is said of the whole model, which is meant for others."""
    read: dict[str, set[str]] = {}
    for node in graph:
        read.setdefault(node.layer.name, set()).update(node.op.settings)
    found = []
    for name, (nothing, subject) in _NOTHING.items():
        idle = [layer for layer, settings in context.settings.items()
                if name not in read.get(layer, {name}) and _asks(name, settings, nothing)]  # fmt: skip
        if idle:
            why = f"it is about {subject}, of which there are none of its own"
            found.append(f"{name} has no effect on {_layers(idle)}: {why}")
    return (*found, *_about_constants(graph, context))


def about_types(graph: Graph, hls: HlsConfig) -> tuple[str, ...]:
    """About types of the whole model, where the model has types of its own."""
    given = [one for name, one in hls.model.precision.items() if one.value is not None and name != "maximum"]
    if not given or hls.bit_exact is False or not chooses_types(graph):
        return ()
    return (f"{given[0].key} has no effect: the model has a type of its own for every value; types of single layers "
            "have, and BitExact: false lets those of Model have, too",)  # fmt: skip


def _asks(name: str, settings: LayerSettings, nothing: object) -> bool:
    """Whether the recipe gives the setting to this layer, or its type, and with another value than the default."""
    given: Setting[object] = dict(settings.items())[name]
    return given.value != nothing and given.key.endswith(f".{name}") and not given.key.startswith("HLSConfig.Model.")


def _about_constants(graph: Graph, context: Context) -> list[str]:
    """About strategies that are about constants, where products of two values have none."""
    layers: dict[tuple[str, str], list[str]] = {}
    for node in graph:
        choice, settings = chosen(graph, node, context), context.settings_of(node)
        if choice is None or settings is None or not isinstance(node.op, Multiplying):
            continue
        asked = settings.strategy.value
        if asked.lower() not in node.op.strategies:
            layers.setdefault((asked, choice.strategy.value), []).append(node.layer.name)
    return [f"Strategy {asked} is about constants: the products of two values in {_layers(names)} are computed as "
            f"with {used}" for (asked, used), names in layers.items()]  # fmt: skip


def _layers(names: list[str]) -> str:
    unique = list(dict.fromkeys(names))
    more = f" and {len(unique) - _SHOWN} others" if len(unique) > _SHOWN else ""
    return f"the layer{'s' if len(unique) > 1 else ''} {', '.join(unique[:_SHOWN])}{more}"
