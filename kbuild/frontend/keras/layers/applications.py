"""The layers that networks of `keras.applications` define for themselves."""

from __future__ import annotations

import numpy as np

from kbuild.frontend.keras.config import Config
from kbuild.frontend.keras.handler import Handler, LayerCall
from kbuild.ir import Node, Tensor
from kbuild.ops.affine import Affine
from kbuild.ops.identity import Identity
from kbuild.ops.merge import Merge


def _layer_scale(call: LayerCall) -> Node:
    """y = x * gamma over the last axis, one factor for each place."""
    size = call.config.integer("projection_dim")
    gamma = call.weight("gamma", (size,))
    if size not in (1, call.shape[-1]):
        raise call.error(f"projection_dim is {size}, which does not broadcast to {call.shape}")
    shape = (1,) * (len(call.shape) - 1) + (size,)
    return call.add(Affine(Tensor(gamma.reshape(shape)), Tensor(np.zeros(shape))), call.input)


def _stochastic_depth(call: LayerCall) -> Node:
    return call.add(Identity(), call.input)


def _custom_scale(call: LayerCall) -> Node:
    """y = a + b * scale."""
    if len(call.inputs) != 2 or not call.config.has("scale"):
        raise call.error("is not called with two values, or has no scale, as in InceptionResNetV2")
    scale = np.full((1,) * len(call.inputs[1].shape), call.config.number("scale", 1.0))
    scaled = call.inner("scaled").add(Affine(Tensor(scale), Tensor(np.zeros_like(scale))), call.inputs[1])
    return call.add(Merge("add"), call.inputs[0], scaled)


def _gamma(config: Config) -> tuple[str, ...]:
    return ("gamma",)


_SCALE = Handler(_custom_scale, "of InceptionResNetV2: the sum of a value and a scaled one")

HANDLERS = {
    "LayerScale": Handler(_layer_scale, "of ConvNeXt", _gamma),
    "StochasticDepth": Handler(_stochastic_depth, "of ConvNeXt; acts in training only: dropped"),
    "CustomScaleLayer": _SCALE,
    "Custom>CustomScaleLayer": _SCALE,  # of Keras 2
}
