"""Rescaling and Normalization."""

from __future__ import annotations

import math

import numpy as np

from kbuild.fixed import FloatArray
from kbuild.frontend.keras.config import Config
from kbuild.frontend.keras.handler import Handler, LayerCall
from kbuild.ir import Node, Shape, Tensor
from kbuild.ops.affine import Affine

_SMALLEST_DEVIATION = 1e-7  # Keras' `backend.epsilon()`


def _numbers(config: Config, key: str, default: float) -> FloatArray:
    """A number or a nested list of numbers."""
    value = config.raw(key)
    try:
        found = np.asarray(default if value is None else value, dtype=np.float64)
    except (TypeError, ValueError):
        found = np.asarray(np.nan)
    if not np.isfinite(found).all():
        raise config.error(f"{key} is neither a number nor a list of numbers")
    return found


def _broadcast(call: LayerCall, values: FloatArray, name: str) -> FloatArray:
    """The values with the rank of the input, which they broadcast to."""
    shape = (1,) * (len(call.shape) - values.ndim) + values.shape
    if len(shape) != len(call.shape) or any(n not in (1, size) for n, size in zip(shape, call.shape, strict=True)):
        raise call.error(f"{name} has shape {values.shape}, which does not broadcast to {call.shape}")
    return values.reshape(shape)


def _rescaling(call: LayerCall) -> Node:
    """y = x * scale + offset."""
    scale, offset = (
        _broadcast(call, _numbers(call.config, key, d), key) for key, d in (("scale", 1.0), ("offset", 0.0))
    )
    return call.add(Affine(Tensor(scale), Tensor(offset)), call.input)


def _kept_axes(call: LayerCall) -> tuple[int, ...]:
    """The axes that have a mean and a variance for each position."""
    raw = call.config.raw("axis")
    axes = (raw,) if isinstance(raw, int) else () if raw is None else call.config.integers("axis")
    return tuple(sorted({call.axis(axis) for axis in axes if axis is not None}))


def _weights(config: Config) -> tuple[str, ...]:
    return () if config.has("mean") else ("mean", "variance", "count")


def _statistic(call: LayerCall, name: str, shape: Shape, axes: tuple[int, ...]) -> FloatArray:
    """A mean or variance, given or adapted, with the rank of the input."""
    if not call.config.has("mean"):
        found = call.weight(name, shape)
    else:
        found = _numbers(call.config, name, math.nan)
        if found.size not in (1, math.prod(shape)):
            raise call.error(f"{name} has {found.size} values for the shape {shape}")
        found = np.broadcast_to(found.reshape(-1), (math.prod(shape),)).reshape(shape)
    return found.reshape([n if axis in axes else 1 for axis, n in enumerate(call.shape)])


def _normalization(call: LayerCall) -> Node:
    """y = (x - mean) / sqrt(variance), or its inverse, as x * scale + offset in float64."""
    axes = _kept_axes(call)
    shape = tuple(call.shape[axis] for axis in axes)
    mean, variance = (_statistic(call, name, shape, axes) for name in ("mean", "variance"))
    if (variance < 0).any():
        raise call.error("its variance is negative")
    deviation = np.maximum(np.sqrt(variance), _SMALLEST_DEVIATION)
    if call.config.has("invert") and call.config.flag("invert", False):
        return call.add(Affine(Tensor(deviation), Tensor(mean)), call.input)
    return call.add(Affine(Tensor(1 / deviation), Tensor(-mean / deviation)), call.input)


HANDLERS = {
    "Rescaling": Handler(_rescaling, "a scale and an offset for all, or for each place of the last axes"),
    "Normalization": Handler(_normalization, "given or adapted mean and variance, any axis, invert", _weights),
}
