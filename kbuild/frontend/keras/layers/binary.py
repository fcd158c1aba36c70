"""BinaryDense and TernaryDense, the classic custom layers: weights of one magnitude, chosen by sign."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from kbuild.dataclass import replace
from kbuild.fixed import FloatArray
from kbuild.frontend.keras.handler import Handler, LayerCall
from kbuild.frontend.keras.layers.activation import add_activation
from kbuild.frontend.keras.layers.core import dense, dense_weights
from kbuild.ir import Node


def _binary(w: FloatArray) -> FloatArray:
    """1 above 0, else -1: the half of 0 is rounded to even."""
    return np.where(w > 0, 1.0, -1.0)


def _ternary(w: FloatArray) -> FloatArray:
    """1 above a half, -1 from minus a half down."""
    return np.where(w > 0.5, 1.0, np.where(w <= -0.5, -1.0, 0.0))


def _magnitude(call: LayerCall) -> float:
    """`H`, a number or that of Glorot; float32 as in the layer."""
    value = call.config.raw("H")
    if value == "Glorot":
        return float(np.float32(math.sqrt(1.5 / (call.shape[-1] + call.config.integer("units")))))
    magnitude = call.config.number("H", 1.0)
    if magnitude <= 0:
        raise call.error(f"H is {magnitude}; it is a positive number, or Glorot")
    return float(np.float32(magnitude))


def _dense(signs: Callable[[FloatArray], FloatArray]) -> Callable[[LayerCall], Node]:
    def build(call: LayerCall) -> Node:
        magnitude = _magnitude(call)
        kernel = call.weight("kernel", (call.shape[-1], call.config.integer("units")))
        weights = {**call.weights, "kernel": signs(kernel / magnitude) * magnitude}
        return add_activation(call, dense(replace(call, weights=weights, exact=True)))

    return build


HANDLERS = {
    "BinaryDense": Handler(_dense(_binary), "weights -H and H; no multiplications", dense_weights),
    "TernaryDense": Handler(_dense(_ternary), "weights -H, 0 and H; no multiplications", dense_weights),
}
