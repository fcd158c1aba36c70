"""Activations: as layers of their own, as the argument of `Activation`, and fused into another layer."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np

from kbuild.fixed import FixedType
from kbuild.frontend.keras.config import Config
from kbuild.frontend.keras.handler import Handler, LayerCall
from kbuild.frontend.keras.layout import over_last_axis
from kbuild.frontend.keras.operands import function, on_tensor, tensor
from kbuild.frontend.keras.safety import quoted
from kbuild.ir import Node, Op, Tensor
from kbuild.ops.identity import Identity
from kbuild.ops.lut import Lut
from kbuild.ops.relu import Relu
from kbuild.ops.reshape import Reshape
from kbuild.ops.softmax import Softmax
from kbuild.ops.step import Step

_LINEAR = "linear"


def _number(value: float, rank: int = 0) -> Tensor:
    return Tensor(np.full((1,) * rank, value))


_POSITIVE = float(np.nextafter(0.0, 1.0))  # x >= this where x > 0


def _steps(thresholds: list[float], values: list[int]) -> Step:
    return Step(Tensor(np.array(thresholds)), Tensor(np.array(values), FixedType(2, 2)))


_HARD_SIGMOID = (0.5, 0.0, 1.0)  # offset and ends of the hard sigmoid, whose slope is the version's
_HARD_SLOPE = {2: 0.2, 3: 1 / 6}

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
    "celu": lambda rank: Lut("celu", (1.0,)),
    "selu": lambda rank: Lut("selu"),
    "softplus": lambda rank: Lut("softplus"),
    "softsign": lambda rank: Lut("softsign"),
    "soft_shrink": lambda rank: Lut("soft_shrink", (0.5,)),
    "tanh_shrink": lambda rank: Lut("tanh_shrink"),
    "squareplus": lambda rank: Lut("squareplus", (4.0,)),
    "sparse_plus": lambda rank: Lut("sparse_plus"),
    "sparse_sigmoid": lambda rank: Lut("clipped_line", (0.5, *_HARD_SIGMOID)),
    "log_sigmoid": lambda rank: Lut("log_sigmoid"),
    "gelu": lambda rank: Lut("gelu"),
    "silu": lambda rank: Lut("silu"),
    "swish": lambda rank: Lut("silu"),
    "hard_silu": lambda rank: Lut("hard_silu"),
    "hard_swish": lambda rank: Lut("hard_silu"),
    "hard_tanh": lambda rank: Lut("clipped_line", (1.0, 0.0, -1.0, 1.0)),
    "mish": lambda rank: Lut("mish"),
    "exponential": lambda rank: Lut("exp"),
    # of the classic binary and ternary layers
    "binary_tanh": lambda rank: _steps([_POSITIVE], [-1, 1]),
    "binary_sigmoid": lambda rank: _steps([_POSITIVE], [0, 1]),
    "ternary_tanh": lambda rank: _steps([-0.5 + 2.0**-54, 0.5 + 2.0**-53], [-1, 0, 1]),
    "relu1": lambda rank: Relu(max_value=_number(1.0)),
}
_HARD = "hard_sigmoid"
ACTIVATIONS = tuple(sorted((*_FUNCTIONS, _HARD)))


def function_of(call: LayerCall, name: str, rank: int) -> Op:
    """The operation of a function by its name in the version of Keras that saved the model, for values of a rank."""
    if name == _HARD:
        return Lut("clipped_line", (_HARD_SLOPE[call.config.keras], *_HARD_SIGMOID))
    return _FUNCTIONS[name](rank)


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
        settings = settings if isinstance(settings, Mapping) else {}
        config = Config(call.config.layer, class_name, settings, call.config.keras)
        return HANDLERS[class_name].build(inner.on(source).configured(config))
    name = function_name(call, value)
    if name == _LINEAR and not alone:
        return source
    return _apply(call if alone else call.fused(name), name, source)


def function_name(call: LayerCall, value: object) -> str:
    """The name of an `activation`, `linear` for none. Keras 3 writes a function as an object of class "function"."""
    if value is None:
        return _LINEAR
    if isinstance(value, Mapping):
        config = value.get("config")
        value = config if value.get("class_name") == "function" else value.get("class_name")
    if not isinstance(value, str) or value not in ACTIVATIONS:
        raise call.error(f"no activation {quoted(value)}; there are {', '.join(ACTIVATIONS)}")
    return value


def _apply(call: LayerCall, name: str, source: Node) -> Node:
    if name == "softmax" and not source.shape:
        raise call.error("softmax needs an axis beside the batch")
    return call.add(function_of(call, name, len(source.shape)), source)


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


def _prelu(call: LayerCall) -> Node:
    """The slope `alpha` has the input's shape, with 1 along the shared axes."""
    shared = call.config.integers("shared_axes") if call.config.has("shared_axes") else ()
    axes = {call.axis(axis) for axis in shared if axis is not None}
    shape = tuple(1 if axis in axes else n for axis, n in enumerate(call.shape))
    return call.add(Relu(slope=Tensor(call.weight("alpha", shape))), call.input)


def _thresholded_relu(call: LayerCall) -> Node:
    theta = call.config.number("theta", 1.0)
    if theta < 0:
        raise call.error(f"theta is {theta}, which is negative")
    return call.add(Relu(threshold=_number(theta) if theta else None), call.input)


def _elu(call: LayerCall) -> Node:
    return call.add(Lut("elu", (call.config.number("alpha", 1.0),)), call.input)


def _celu(call: LayerCall) -> Node:
    return call.add(Lut("celu", (call.config.number("alpha", 1.0),)), call.input)


def _operator(name: str) -> Callable[[LayerCall], Node]:
    """A function of `keras.ops` without settings."""

    def build(call: LayerCall) -> Node:
        x = tensor(call)
        return call.add(function_of(call, name, len(x.shape)), x)

    return build


def _gelu(call: LayerCall) -> Node:
    return call.add(Lut("gelu_tanh" if call.config.flag("approximate", True) else "gelu"), call.input)


def _leaky_relu_operator(call: LayerCall) -> Node:
    return call.add(Relu(slope=_number(call.config.number("negative_slope", 0.2), len(call.shape))), call.input)


def _softmax(call: LayerCall) -> Node:
    raw = call.config.raw("axis")
    given = [raw] if isinstance(raw, int) else raw if isinstance(raw, list) and raw else [-1]
    if not all(isinstance(axis, int) for axis in given):
        raise call.error(f"axis is {quoted(raw)[1:-1]}, which are not axes")
    axes = sorted({call.axis(axis) for axis in given})
    mask = call.arguments.get("mask")
    if mask is not None and axes != [len(call.shape) - 1]:
        raise call.error("has a mask, which is supported over the last axis only; move that axis to the end")
    if mask is not None:
        from kbuild.frontend.keras.masking import constant_mask, mask_tensor

        return call.add(Softmax(mask=mask_tensor(call, constant_mask(call, mask, call.shape))))
    if len(axes) == 1:
        return over_last_axis(call, axes[0], lambda inner: inner.add(Softmax()))
    # One softmax over the elements of all these axes
    rest = [axis for axis in range(len(call.shape)) if axis not in axes]
    order = (*rest, *axes)
    moved = call.add_transpose(call.input, order)
    merged = call.add(Reshape((*(call.shape[a] for a in rest), math.prod(call.shape[a] for a in axes))), moved)
    split = call.add(Reshape(moved.shape), call.add(Softmax(), merged))
    return call.add_transpose(split, tuple(order.index(axis) for axis in range(len(order))))


_OPERATORS = {
    "Exp": "exponential",
    "HardSigmoid": "hard_sigmoid",
    "HardSilu": "hard_silu",
    "HardTanh": "hard_tanh",
    "LogSigmoid": "log_sigmoid",
    "Relu": "relu",
    "Relu6": "relu6",
    "Selu": "selu",
    "Sigmoid": "sigmoid",
    "Silu": "silu",
    "Softplus": "softplus",
    "Softsign": "softsign",
    "SparsePlus": "sparse_plus",
    "SparseSigmoid": "sparse_sigmoid",
    "Tanh": "tanh",
    "TanhShrink": "tanh_shrink",
}

HANDLERS = {
    "ReLU": Handler(_relu, "max_value, negative_slope, threshold"),
    "LeakyReLU": Handler(_leaky_relu, "any slope"),
    "PReLU": Handler(_prelu, "any shared_axes", lambda config: ("alpha",)),
    "ThresholdedReLU": Handler(_thresholded_relu, "any theta"),
    "ELU": Handler(_elu, "any alpha"),
    "Softmax": Handler(_softmax, "over any axes; over the last one with a constant mask"),
    "ops.Gelu": function(on_tensor(_gelu), "of keras.ops, exact or approximate", settings=("approximate",)),
    "ops.Elu": function(on_tensor(_elu), "of keras.ops, any alpha", settings=("alpha",)),
    "ops.Celu": function(on_tensor(_celu), "of keras.ops, any alpha", settings=("alpha",)),
    "ops.LeakyRelu": function(on_tensor(_leaky_relu_operator), "of keras.ops, any slope", settings=("negative_slope",)),
    "ops.Softmax": function(on_tensor(_softmax), "of keras.ops, over any one axis", settings=("axis",)),
} | {f"ops.{name}": function(_operator(named), "of keras.ops") for name, named in _OPERATORS.items()}
