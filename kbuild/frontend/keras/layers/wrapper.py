"""TimeDistributed: a layer applied to each step, which for most layers is the same layer with one axis more."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

from kbuild.frontend.keras.config import Config
from kbuild.frontend.keras.handler import Handler, LayerCall
from kbuild.ir import Node
from kbuild.ops.reshape import Reshape

_PREFIX = "layer/"
# Layers that act on single elements or on the last axis: on one axis more they do the same to each step.
_LAST_AXIS = (
    "Dense",
    "Activation",
    "ReLU",
    "LeakyReLU",
    "ELU",
    "ThresholdedReLU",
    "Rescaling",
    "Identity",
    "Dropout",
    "SpatialDropout1D",
    "SpatialDropout2D",
    "AlphaDropout",
    "GaussianDropout",
    "GaussianNoise",
    "ActivityRegularization",
    "Embedding",
)
_WITH_AXIS = {"BatchNormalization": -1, "LayerNormalization": -1, "UnitNormalization": -1, "Softmax": -1}  # defaults
_RESHAPES = ("Flatten", "Reshape")
_SUPPORTED = (*_LAST_AXIS, *_WITH_AXIS, *_RESHAPES)


def _inner(config: Config) -> tuple[Config, Handler]:
    """The settings of the inner layer, with axes counted for one axis more, and its handler."""
    from kbuild.frontend.keras.layers import handler_of  # this module is one of those that it lists

    inner = config.inner("layer")
    handler = handler_of(inner.class_name)
    if inner.class_name not in _SUPPORTED or handler is None:
        raise config.error(f"around a layer of class {inner.class_name}; there are {', '.join(_SUPPORTED)}")
    if inner.class_name not in _WITH_AXIS:
        return inner, handler
    values = {**inner.values, "axis": _shifted(inner.values.get("axis", _WITH_AXIS[inner.class_name]))}
    return Config(config.layer, inner.class_name, values, config.keras), handler


def _shifted(axis: object) -> object:
    """An axis, or a list of them, counted with one axis more after the batch."""
    if isinstance(axis, Mapping) and isinstance(axis.get("items"), list):
        axis = axis["items"]
    if isinstance(axis, list):
        return [_shifted(one) for one in axis]
    return axis + 1 if isinstance(axis, int) and axis > 0 else axis


def _time_distributed(call: LayerCall) -> Node:
    inner, handler = _inner(call.config)
    if len(call.shape) < 2:
        raise call.error("needs an input with an axis beside the steps")
    if inner.class_name == "Flatten":
        return call.add(Reshape((call.shape[0], math.prod(call.shape[1:]))))
    if inner.class_name == "Reshape":
        return _reshape(call, inner)
    weights = {name.removeprefix(_PREFIX): values for name, values in call.weights.items()}
    return handler.build(replace(call, config=inner, weights=weights))


def _reshape(call: LayerCall, inner: Config) -> Node:
    target = inner.integers("target_shape")
    size = math.prod(call.shape[1:])
    known = math.prod(n for n in target if n is not None and n > 0)
    free = sum(n in (None, -1) for n in target)
    if free > 1 or known < 1 or size % known or (not free and size != known):
        raise call.error(f"target_shape {target} does not hold the elements of a step of shape {call.shape[1:]}")
    filled = tuple(size // known if n in (None, -1) else n for n in target if n is None or n == -1 or n > 0)
    return call.add(Reshape((call.shape[0], *(n for n in filled if n is not None))))


def _weights(config: Config) -> tuple[str, ...]:
    inner, handler = _inner(config)
    return tuple(f"{_PREFIX}{name}" for name in handler.weights(inner))


HANDLERS = {
    "TimeDistributed": Handler(
        _time_distributed, f"around {', '.join(_SUPPORTED[:2])}, activations, normalizations and reshapes", _weights
    ),
}
