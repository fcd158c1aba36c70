"""Dense, Activation, and the layers that only move elements or do nothing in inference."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from kbuild.fixed import FixedType
from kbuild.frontend.keras.config import Config
from kbuild.frontend.keras.handler import Handler, LayerCall
from kbuild.frontend.keras.layers.activation import add_activation
from kbuild.frontend.keras.layout import channels_last
from kbuild.frontend.keras.safety import MAX_ELEMENTS
from kbuild.ir import Node, Shape
from kbuild.ops.dense import Dense
from kbuild.ops.identity import Identity
from kbuild.ops.input import Input
from kbuild.ops.reshape import Reshape

_INTEGER = re.compile(r"(u?)int(8|16|32|64)")


def input_shape(config: Config) -> tuple[int, ...]:
    """Shape of an InputLayer without the batch axis. Raises UnsupportedModel where it is missing or not all known."""
    key = next((key for key in ("batch_shape", "batch_input_shape") if config.has(key)), None)
    if key is None and not config.has("input_shape"):
        raise config.error("the model has no input shape; build it, or begin it with an InputLayer, and save it again")
    shape = config.integers(key)[1:] if key else config.integers("input_shape")
    known = tuple(n for n in shape if n is not None and n > 0)
    if len(known) < len(shape):
        sizes = ", ".join("None" if n is None else str(n) for n in (None, *shape))
        raise config.error(f"has a shape that is not fixed, ({sizes}); give every axis but the batch a size")
    if not known:
        raise config.error("has no axis beside the batch; give the input a shape such as (1,)")
    if math.prod(known) > MAX_ELEMENTS:
        raise config.error(f"has {math.prod(known)} values; kbuild takes up to {MAX_ELEMENTS}")
    return known


def _input(call: LayerCall) -> Node:
    if "string" in call.config.text("dtype", "float32"):
        raise call.error("is an input of strings; encode them as numbers before the model")
    if call.config.raw("sparse") or call.config.raw("ragged"):
        raise call.error("is a sparse or ragged input; use a dense one of a fixed shape")
    return call.add(Input(input_shape(call.config), _integers(call.config.text("dtype", "float32"))))


def _integers(dtype: str) -> FixedType | None:
    """The type of an integer dtype, None for any other."""
    if dtype == "bool":
        return FixedType(1, 1, signed=False)
    match = _INTEGER.fullmatch(dtype)
    return None if match is None else FixedType(int(match[2]), int(match[2]), signed=not match[1])


def dense_weights(config: Config) -> tuple[str, ...]:
    return ("kernel", "bias") if config.flag("use_bias", True) else ("kernel",)


def dense(call: LayerCall) -> Node:
    """y = x @ kernel + bias over the last axis; kernel [K, N], bias [N]."""
    units = call.config.integer("units")
    kernel = call.weight("kernel", (call.shape[-1], units))
    bias = call.constant(call.weight("bias", (units,))) if call.config.flag("use_bias", True) else None
    return call.add(Dense(call.constant(kernel), bias))


def _dense(call: LayerCall) -> Node:
    return add_activation(call, dense(call))


def _activation(call: LayerCall) -> Node:
    return add_activation(call, call.input)


def _identity(call: LayerCall) -> Node:
    return call.add(Identity(), call.input)


def _masking(call: LayerCall) -> Node:
    """Steps whose elements all have the value become zero, which they are where it is zero. `masks.py` has the rest."""
    if call.config.number("mask_value", 0.0) != 0:
        raise call.error("mask_value is not 0, so that it changes the steps; fill them with zeros before the model")
    return call.add(Identity(), call.input)


@channels_last
def _flatten(call: LayerCall) -> Node:
    return call.add(Reshape((math.prod(call.shape),)), call.input)


def filled(call: LayerCall, shape: Shape, target: Sequence[int | None], what: str) -> Shape:
    """A target shape in which one size may be None or -1, for the elements of a value of shape `shape`."""
    size = math.prod(shape)
    known = math.prod(n for n in target if n is not None and n != -1)
    free = sum(n in (None, -1) for n in target)
    if (
        free > 1
        or known <= 0
        or (size % known if free else size != known)
        or any(n is not None and n < -1 for n in target)
    ):
        raise call.error(f"{what} {tuple(target)} does not hold the elements of an input of shape {shape}")
    return tuple(size // known if n is None or n == -1 else n for n in target)


def _reshape(call: LayerCall) -> Node:
    target = filled(call, call.shape, call.config.integers("target_shape"), "target_shape")
    return call.add(Reshape(target), call.input)


_TRAINING_ONLY = Handler(_identity, "acts in training only: dropped")

HANDLERS = {
    "InputLayer": Handler(_input, "every size but the batch is fixed"),
    "Dense": Handler(_dense, "inputs of any rank; any supported activation", dense_weights),
    "Activation": Handler(_activation, "every supported activation by name"),
    "Flatten": Handler(_flatten, "inputs of any rank, either data_format"),
    "Reshape": Handler(_reshape, "one size may be -1"),
    "Identity": Handler(_identity, "dropped"),
    "Masking": Handler(_masking, "mask_value 0 where no layer after it reads the mask: dropped"),
    "Dropout": _TRAINING_ONLY,
    "SpatialDropout1D": _TRAINING_ONLY,
    "SpatialDropout2D": _TRAINING_ONLY,
    "SpatialDropout3D": _TRAINING_ONLY,
    "AlphaDropout": _TRAINING_ONLY,
    "GaussianDropout": _TRAINING_ONLY,
    "GaussianNoise": _TRAINING_ONLY,
    "ActivityRegularization": _TRAINING_ONLY,
}
