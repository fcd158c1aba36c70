"""BatchNormalization, and the layers that normalize by what they measure in each sample."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from kbuild.frontend.keras.config import Config
from kbuild.frontend.keras.handler import Handler, LayerCall
from kbuild.ir import Node, Tensor
from kbuild.ops.affine import Affine
from kbuild.ops.normalize import Normalize

_SMALLEST_SQUARE = 1e-12  # of a vector that UnitNormalization divides by


def batch_weights(config: Config) -> tuple[str, ...]:
    gamma = ("gamma",) if config.flag("scale", True) else ()
    beta = ("beta",) if config.flag("center", True) else ()
    return (*gamma, *beta, "moving_mean", "moving_variance")


def batch_normalization(call: LayerCall) -> Node:
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


def _axes(call: LayerCall) -> tuple[int, ...]:
    """The axes of the configuration, in its order, counted without the batch."""
    raw = call.config.values.get("axis", -1)
    axes = (raw,) if isinstance(raw, int) else call.config.integers("axis")
    found = tuple(call.axis(axis) for axis in axes if axis is not None)
    if len(set(found)) < len(axes):
        raise call.error("names an axis twice")
    return found


def _constants(call: LayerCall, axes: tuple[int, ...], names: Mapping[str, bool]) -> list[Tensor | None]:
    """The weights that are in use, given over the axes, with the rank of the input."""
    given = tuple(call.shape[axis] for axis in axes)
    shape = tuple(n if axis in axes else 1 for axis, n in enumerate(call.shape))
    return [Tensor(call.weight(name, given).reshape(shape)) if used else None for name, used in names.items()]


def _gamma_beta(config: Config) -> dict[str, bool]:
    return {"gamma": config.flag("scale", True), "beta": config.flag("center", True)}


def _used(config: Config) -> tuple[str, ...]:
    return tuple(name for name, used in _gamma_beta(config).items() if used)


def _layer_normalization(call: LayerCall) -> Node:
    if call.config.has("rms_scaling") and call.config.flag("rms_scaling", False):
        raise call.error("rms_scaling is true, which changed its meaning between versions; use RMSNormalization")
    axes = _axes(call)
    gamma, beta = _constants(call, axes, _gamma_beta(call.config))
    epsilon = call.config.number("epsilon", 1e-3)
    return call.add(Normalize(axes=tuple(sorted(axes)), epsilon=epsilon, scale=gamma, bias=beta), call.input)


def _rms_normalization(call: LayerCall) -> Node:
    """Keras multiplies by the scale without giving it the place of its axes: it is that of the last axes."""
    axes = _axes(call)
    rank = len(call.shape)
    if axes != tuple(range(rank - len(axes), rank)):
        raise call.error("normalizes over others than the last axes, where its scale has no place; permute the axes")
    (scale,) = _constants(call, axes, {"scale": True})
    epsilon = call.config.number("epsilon", 1e-6)
    op = Normalize(axes=tuple(sorted(axes)), statistic="mean_square", epsilon=epsilon, scale=scale)
    return call.add(op, call.input)


def _unit_normalization(call: LayerCall) -> Node:
    op = Normalize(axes=tuple(sorted(_axes(call))), statistic="sum_square", epsilon=_SMALLEST_SQUARE)
    return call.add(op, call.input)


def _group_normalization(call: LayerCall) -> Node:
    """Over every axis, each group of channels for itself; -1 groups are as many as there are channels."""
    channels = call.axis(call.config.integer("axis", -1))
    size, groups = call.shape[channels], call.config.integer("groups", 32)
    groups = size if groups == -1 else groups
    if groups < 1 or size % groups:
        raise call.error(f"groups is {groups}, which does not divide {size} channels")
    gamma, beta = _constants(call, (channels,), _gamma_beta(call.config))
    op = Normalize(
        axes=tuple(range(len(call.shape))),
        epsilon=call.config.number("epsilon", 1e-3),
        groups=groups,
        group_axis=channels,
        scale=gamma,
        bias=beta,
    )
    return call.add(op, call.input)


_BATCH_NORMALIZATION = Handler(batch_normalization, "any axis; scale and center on or off", batch_weights)

HANDLERS = {
    "LayerNormalization": Handler(_layer_normalization, "any axes; scale and center on or off", _used),
    "GroupNormalization": Handler(_group_normalization, "any axis, any groups; scale and center on or off", _used),
    "UnitNormalization": Handler(_unit_normalization, "any axes"),
    "RMSNormalization": Handler(_rms_normalization, "over the last axes", lambda config: ("scale",)),
    "BatchNormalization": _BATCH_NORMALIZATION,
    "BatchNormalizationV1": _BATCH_NORMALIZATION,  # TensorFlow 1's name
}
