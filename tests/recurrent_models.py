"""Models of a single layer, and QKeras' recurrent layers with random weights."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from kbuild.fixed import FloatArray
from kbuild.frontend.keras.spec import Call, LayerSpec, ModelSpec, TensorRef

Weights = Mapping[str, FloatArray]


def model(
    class_name: str, config: Mapping[str, object], weights: Weights, *shapes: tuple[int, ...], results: int = 1
) -> ModelSpec:
    """A layer on inputs of these shapes."""
    inputs = [LayerSpec(f"x{i}", "InputLayer", {"batch_shape": [None, *shape]}) for i, shape in enumerate(shapes)]
    call = Call(tuple(TensorRef(source.name) for source in inputs))
    layer = LayerSpec("l", class_name, config, (call,), weights)
    outputs = tuple(TensorRef("l", 0, index) for index in range(results))
    return ModelSpec("m", (*inputs, layer), tuple(source.name for source in inputs), outputs)


def cell(
    kind: str, units: int, features: int, seed: int = 3, **values: object
) -> tuple[Mapping[str, object], Weights]:
    """Settings and random weights of a layer whose weights have four bits."""
    rng, gates = np.random.default_rng(seed), {"QSimpleRNN": 1, "QGRU": 3, "QLSTM": 4}[kind]
    four = "quantized_bits(4,0,1,alpha=1)"
    config = {"units": units, "kernel_quantizer": four, "recurrent_quantizer": four, "bias_quantizer": four, **values}
    two = kind == "QGRU" and values.get("reset_after")
    weights = {
        "cell/kernel": rng.integers(-7, 8, (features, gates * units)) / 8,
        "cell/recurrent_kernel": rng.integers(-7, 8, (units, gates * units)) / 8,
        "cell/bias": rng.integers(-7, 8, ((2, gates * units) if two else (gates * units,))) / 8,
    }
    return config, weights
