"""BatchNormalization."""

from __future__ import annotations

import numpy as np

from kbuild.frontend.keras.config import Config
from kbuild.frontend.keras.handler import Handler, LayerCall
from kbuild.ir import Node, Tensor
from kbuild.ops.affine import Affine


def _weights(config: Config) -> tuple[str, ...]:
    gamma = ("gamma",) if config.flag("scale", True) else ()
    beta = ("beta",) if config.flag("center", True) else ()
    return (*gamma, *beta, "moving_mean", "moving_variance")


def _batch_normalization(call: LayerCall) -> Node:
    """y = gamma * (x - mean) / sqrt(variance + epsilon) + beta along one axis, as x * scale + bias in float64."""
    config = call.config
    axes = config.integers("axis") if isinstance(config.raw("axis"), list) else (config.integer("axis", -1),)
    if len(axes) != 1 or axes[0] is None:
        raise call.error("normalizes over several axes; one is supported")
    axis = call.axis(axes[0])
    size = call.shape[axis]
    variance = call.weight("moving_variance", (size,)) + config.number("epsilon", 1e-3)
    if not (variance > 0).all():
        raise call.error("moving_variance + epsilon is not positive everywhere; train the model again")
    scale = 1 / np.sqrt(variance)
    if config.flag("scale", True):
        scale = call.weight("gamma", (size,)) / np.sqrt(variance)
    bias = -call.weight("moving_mean", (size,)) * scale
    if config.flag("center", True):
        bias = call.weight("beta", (size,)) - call.weight("moving_mean", (size,)) * scale
    shape = [1] * len(call.shape)
    shape[axis] = size
    return call.add(Affine(Tensor(scale.reshape(shape)), Tensor(bias.reshape(shape))), call.input)


_BATCH_NORMALIZATION = Handler(_batch_normalization, "any axis; scale and center on or off", _weights)

HANDLERS = {
    "BatchNormalization": _BATCH_NORMALIZATION,
    "BatchNormalizationV1": _BATCH_NORMALIZATION,  # TensorFlow 1's name
}
