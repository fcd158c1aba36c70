"""Makes the networks that the benchmark compares: `peer_models.py models JSON`, with the peer's own Python.

Each is a JSON, an HDF5 file of weights and an `.npz` with its inputs, `x0`. Nothing is trained: weights are random, and
the last bias centres the outputs.
"""

import contextlib
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from tensorflow import keras

SAMPLES = 256


def cnn() -> Any:
    """Two convolutions, two poolings, two dense layers on images of 16 x 16: 3 658 weights."""
    layers = keras.layers
    return keras.Sequential([
        keras.Input((16, 16, 1)),
        layers.Conv2D(8, 3, activation="relu"), layers.MaxPooling2D(),
        layers.Conv2D(16, 3, activation="relu"), layers.MaxPooling2D(),
        layers.Flatten(), layers.Dense(32, activation="relu"), layers.Dense(10),
    ])  # fmt: skip


def lstm() -> Any:
    """An LSTM of 20 units over 20 steps of 6 features, as in jet taggers, and two dense layers: 3 829 weights."""
    layers = keras.layers
    return keras.Sequential([
        keras.Input((20, 6)), layers.LSTM(20), layers.Dense(64, activation="relu"), layers.Dense(5),
    ])  # fmt: skip


def resnet8() -> Any:
    """The residual network of MLPerf Tiny for images of 32 x 32, without its softmax: 77 706 weights.

    Each BatchNormalization is folded into its convolution already, so that both sides have the same weights.
    """
    layers = keras.layers

    def conv(x: Any, filters: int, size: int, strides: int = 1, activation: str | None = None) -> Any:
        kernel = keras.initializers.VarianceScaling(1.0)  # values neither vanish nor grow
        return layers.Conv2D(filters, size, strides, "same", activation=activation, kernel_initializer=kernel)(x)

    images = keras.Input((32, 32, 3))
    x = conv(images, 16, 3, activation="relu")
    for filters, strides in ((16, 1), (32, 2), (64, 2)):
        y = conv(conv(x, filters, 3, strides, "relu"), filters, 3)
        short = x if strides == 1 else conv(x, filters, 1, strides)
        x = layers.Activation("relu")(layers.Add()([short, y]))
    x = layers.Flatten()(layers.AveragePooling2D(8)(x))
    return keras.Model(images, layers.Dense(10)(x))


NETWORKS: dict[str, Callable[[], Any]] = {"cnn": cnn, "lstm": lstm, "resnet8": resnet8}


def models(output: str, names: list[str]) -> dict[str, float]:
    """Writes `<name>.json`, `.h5` and `.npz` of each network; returns the number of weights of each."""
    counts = {}
    for seed, name in enumerate(names):
        keras.utils.set_random_seed(seed + 1)
        model = NETWORKS[name]()
        x = np.random.default_rng(seed).normal(0, 0.5, (SAMPLES, *model.input_shape[1:])).astype(np.float32)
        last, y = model.layers[-1], model.predict(x, verbose=0)
        last.bias.assign_sub(y.mean(axis=0))
        path = Path(output) / name
        path.with_suffix(".json").write_text(model.to_json())
        model.save_weights(path.with_suffix(".h5"))
        np.savez(path.with_suffix(".npz"), x0=x)
        counts[name] = model.count_params()
    return counts


if __name__ == "__main__":
    with contextlib.redirect_stdout(sys.stderr):
        result = {"models": models}[sys.argv[1]](**json.loads(sys.argv[2]))
    print(json.dumps(result))
