"""Layers that networks of `keras.applications` define for themselves."""

from __future__ import annotations

from conformance.script import Script, Value, arguments, called


def made(s: Script, network: str, class_name: str, x: Value | list[Value], **settings: object) -> Value:
    """A layer of the module that builds a network."""
    return s.value(f"keras.src.applications.{network}.{class_name}({arguments(settings)})({called(x)})")


def layer_scale(s: Script) -> Value:
    x = s.source(s.shape())
    size = x.shape[-1] if s.chance(0.8) else 1
    y = made(s, "convnext", "LayerScale", x, init_values=s.number(0, 1), projection_dim=size)
    return s.layer("Add", [x, y]) if s.chance(0.4) else y


def stochastic_depth(s: Script) -> Value:
    x = s.source(s.shape())
    y = made(s, "convnext", "StochasticDepth", x, drop_path_rate=s.number(0, 0.9))
    return s.layer("Add", [x, y]) if s.chance(0.4) else s.layer("Dense", y, units=2)


def custom_scale(s: Script) -> Value:
    shape = s.shape()
    return made(s, "inception_resnet_v2", "CustomScaleLayer", [s.source(shape), s.source(shape)], scale=s.number(0, 1))


CASES = {
    "LayerScale": layer_scale,
    "StochasticDepth": stochastic_depth,
    "CustomScaleLayer": custom_scale,
}
