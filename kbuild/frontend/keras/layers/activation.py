"""Activations: as layers of their own, as the argument of `Activation`, and fused into another layer."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from kbuild.frontend.keras.config import Config
from kbuild.frontend.keras.handler import Handler, LayerCall
from kbuild.frontend.keras.layout import over_last_axis
from kbuild.frontend.keras.safety import quoted
from kbuild.ir import Node, Op, Tensor
from kbuild.ops.identity import Identity
from kbuild.ops.lut import Lut
from kbuild.ops.relu import Relu
from kbuild.ops.softmax import Softmax

_LINEAR = "linear"


def _number(value: float, rank: int = 0) -> Tensor:
    return Tensor(np.full((1,) * rank, value))


# Keras' functions by name (`keras.activations`), with their default arguments. Softmax is over the last axis.
_FUNCTIONS: dict[str, Callable[[int], Op]] = {
    _LINEAR: lambda rank: Identity(),
    "relu": lambda rank: Relu(),
    "relu6": lambda rank: Relu(max_value=_number(6.0)),
    "leaky_relu": lambda rank: Relu(slope=_number(0.2, rank)),
    "softmax": lambda rank: Softmax(),
    "sigmoid": lambda rank: Lut("sigmoid"),
    "tanh": lambda rank: Lut("tanh"),
    "elu": lambda rank: Lut("elu", (1.0,)),
    "selu": lambda rank: Lut("selu"),
    "softplus": lambda rank: Lut("softplus"),
    "softsign": lambda rank: Lut("softsign"),
    "gelu": lambda rank: Lut("gelu"),
    "silu": lambda rank: Lut("silu"),
    "swish": lambda rank: Lut("silu"),
    "mish": lambda rank: Lut("mish"),
    "exponential": lambda rank: Lut("exp"),
}
ACTIVATIONS = tuple(sorted(_FUNCTIONS))


def add_activation(call: LayerCall, source: Node) -> Node:
    """Add the layer's `activation` after `source`: nothing for none or linear in a layer with more to do.

    The argument is a name, a serialized function or a serialized activation layer.
    """
    alone = source is call.input
    value = call.config.raw("activation")
    if isinstance(value, Mapping) and value.get("class_name") in HANDLERS:
        class_name = str(value["class_name"])
        settings = value.get("config")
        inner = call if alone else call.fused(class_name.lower())
        config = Config(call.config.layer, class_name, settings if isinstance(settings, Mapping) else {})
        return HANDLERS[class_name].build(inner.on(source).configured(config))
    name = _name(call, value)
    if name == _LINEAR and not alone:
        return source
    return _apply(call if alone else call.fused(name), name, source)


def _name(call: LayerCall, value: object) -> str:
    """The function's name. Keras 3 writes a function as `{"class_name": "function", "config": name}`."""
    if value is None:
        return _LINEAR
    if isinstance(value, Mapping):
        config = value.get("config")
        value = config if value.get("class_name") == "function" else value.get("class_name")
    if not isinstance(value, str) or value not in _FUNCTIONS:
        raise call.error(f"no activation {quoted(value)}; there are {', '.join(ACTIVATIONS)}")
    return value


def _apply(call: LayerCall, name: str, source: Node) -> Node:
    if name == "softmax" and not source.shape:
        raise call.error("softmax needs an axis beside the batch")
    return call.add(_FUNCTIONS[name](len(source.shape)), source)


def _relu(call: LayerCall) -> Node:
    """Keras' ReLU(max_value, negative_slope, threshold), none of which may be negative."""
    slope = call.config.number("negative_slope", 0.0) if call.config.has("negative_slope") else 0.0
    threshold = call.config.optional_number("threshold") or 0.0
    top = call.config.optional_number("max_value")
    for key, value in (("negative_slope", slope), ("threshold", threshold), ("max_value", top)):
        if value is not None and value < 0:
            raise call.error(f"{key} is {value}, which is negative")
    return call.add(
        Relu(
            slope=_number(slope, len(call.shape)) if slope else None,
            threshold=_number(threshold) if threshold else None,
            max_value=None if top is None else _number(top),
        ),
        call.input,
    )


def _leaky_relu(call: LayerCall) -> Node:
    """The slope is `alpha` in Keras 2 and `negative_slope` in Keras 3; 0.3 by default in both."""
    key = "alpha" if call.config.has("alpha") else "negative_slope"
    return call.add(Relu(slope=_number(call.config.number(key, 0.3), len(call.shape))), call.input)


def _elu(call: LayerCall) -> Node:
    return call.add(Lut("elu", (call.config.number("alpha", 1.0),)), call.input)


def _softmax(call: LayerCall) -> Node:
    axis = call.config.raw("axis")
    axes = [axis] if isinstance(axis, int) else axis if isinstance(axis, list) and axis else [-1]
    if len(axes) != 1 or not isinstance(axes[0], int):
        raise call.error(f"axis is {quoted(axis)[1:-1]}; softmax is supported over one axis")
    return over_last_axis(call, call.axis(axes[0]), lambda inner: inner.add(Softmax()))


HANDLERS = {
    "ReLU": Handler(_relu, "max_value, negative_slope, threshold"),
    "LeakyReLU": Handler(_leaky_relu, "any slope"),
    "ELU": Handler(_elu, "any alpha"),
    "Softmax": Handler(_softmax, "over any one axis"),
}
