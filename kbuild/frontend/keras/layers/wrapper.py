"""TimeDistributed: a layer or a model applied to each step of a sequence.

Many layers do the same to each step when they are given one axis more: those that act on single elements or along the
last axis, and convolutions and poolings, for which the steps are a spatial axis that they do not look along. Every
other layer, and every model, is there once for each step, with the same weights.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping

from kbuild.dataclass import replace
from kbuild.fixed import FloatArray
from kbuild.frontend.keras.config import Config
from kbuild.frontend.keras.handler import Handler, LayerCall
from kbuild.frontend.keras.layers import convolution, pooling
from kbuild.frontend.keras.layers.activation import add_activation
from kbuild.frontend.keras.layers.core import filled
from kbuild.frontend.keras.layout import over_last_axis
from kbuild.frontend.keras.steps import each_step
from kbuild.ir import Node
from kbuild.ops.reduce import Reduce
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
    "SpatialDropout3D",
    "AlphaDropout",
    "GaussianDropout",
    "GaussianNoise",
    "ActivityRegularization",
    "Embedding",
)
_WITH_AXIS = {"BatchNormalization": -1, "LayerNormalization": -1, "UnitNormalization": -1, "Softmax": -1}  # defaults
_SPATIAL = re.compile(r"(Depthwise|Separable)?Conv[12]D(Transpose)?|(Max|Average)Pooling[12]D")
_GLOBAL = re.compile(r"Global(Max|Average|Avg)Pool(ing)?([123])D")
_SIZES = {"kernel_size": 1, "pool_size": 2, "strides": 1, "dilation_rate": 1}  # with their defaults
_UNITS = {**dict.fromkeys(_SIZES, 1), "output_padding": 0}  # what they are along the steps
_KERNELS = ("kernel", "depthwise_kernel", "pointwise_kernel")


def _inner(config: Config) -> tuple[Config, Handler]:
    """The settings of the inner layer and its handler."""
    from kbuild.frontend.keras.layers import handler_of  # this module is one of those that it lists

    inner = config.inner("layer")
    handler = handler_of(inner.class_name, config.keras)
    if handler is None or inner.class_name == "InputLayer" or inner.class_name.startswith("ops."):
        raise config.error(f"around a layer of class {inner.class_name[:60]}, which is not supported")
    return inner, handler


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
    weights = {name.removeprefix(_PREFIX): values for name, values in call.weights.items()}
    each = replace(call.configured(inner), weights=weights, arguments={})
    if inner.class_name == "Flatten" and inner.raw("data_format") in (None, "channels_last"):
        return call.add(Reshape((call.shape[0], math.prod(call.shape[1:]))))
    if inner.class_name == "Reshape":
        target = filled(call, call.shape[1:], inner.integers("target_shape"), "target_shape")
        return call.add(Reshape((call.shape[0], *target)))
    if inner.class_name in _WITH_AXIS:
        axis = _shifted(inner.values.get("axis", _WITH_AXIS[inner.class_name]))
        return handler.build(each.configured(_with(inner, {"axis": axis})))
    if inner.class_name in _LAST_AXIS:
        return handler.build(each)
    if (found := _GLOBAL.fullmatch(inner.class_name)) is not None:
        return _global(each, "max" if found[1] == "Max" else "mean", int(found[3]))
    if _SPATIAL.fullmatch(inner.class_name) and inner.raw("padding") != "causal":
        return _spatial(each)
    return each_step(call, lambda step: handler.build(each.on(step)))


def _global(call: LayerCall, operation: str, rank: int) -> Node:
    """The reduction over the spatial axes, which stand before the channels or after them."""
    first = call.config.has("data_format") and call.config.text("data_format", "") == "channels_first"
    if len(call.shape) != rank + 2:
        raise call.error(f"has an input of shape {call.shape}; it needs {rank + 2} axes beside the batch")
    axes = tuple(range(1 + first, 1 + first + rank))
    count = math.prod(call.shape[axis] for axis in axes)
    return call.add(Reduce(operation, axes, count, call.config.flag("keepdims", False)))


def _with(config: Config, values: Mapping[str, object]) -> Config:
    return Config(config.layer, config.class_name, {**config.values, **values}, config.keras)


def _spatial(call: LayerCall) -> Node:
    """A convolution or pooling over one spatial axis more, along which its windows have one element."""
    kind, rank, word = re.split(r"([12])D", call.config.class_name)
    found: Callable[[int], Callable[[LayerCall], Node]] = {**convolution.KINDS, **pooling.KINDS}[kind + word]
    values: dict[str, object] = {}
    for key, unit in _UNITS.items():
        if call.config.has(key):
            given = call.config.raw(key)
            sizes = call.config.sizes(key, int(rank)) if key in _SIZES else _numbers(call, key, given, int(rank))
            values[key] = [unit, *sizes]
    if "pool_size" not in values and word == "" and kind.endswith("Pooling"):
        values["pool_size"] = [1, *call.config.sizes("pool_size", int(rank), _SIZES["pool_size"])]
    first = call.config.has("data_format") and call.config.text("data_format", "") == "channels_first"
    weights: dict[str, FloatArray] = {
        name: value[None] if name in _KERNELS else value for name, value in call.weights.items()
    }
    lifted = replace(call.configured(_with(call.config, {**values, "data_format": None})), weights=weights)
    made = over_last_axis(lifted, 1, found(int(rank) + 1)) if first else found(int(rank) + 1)(lifted)
    return add_activation(call, made)


def _numbers(call: LayerCall, key: str, given: object, rank: int) -> list[int | None]:
    return [given] * rank if isinstance(given, int) else list(call.config.integers(key))


def _weights(config: Config) -> tuple[str, ...]:
    inner, handler = _inner(config)
    return tuple(f"{_PREFIX}{name}" for name in handler.weights(inner))


HANDLERS = {"TimeDistributed": Handler(_time_distributed, "around any supported layer, or a model", _weights)}
