"""Makes the golden models beside this file, with the installed Keras (2 or 3): `python make_models.py [FOLDER]`.

Each is saved with random inputs x0, x1 ... and what Keras predicts for them, y0, y1 ..., in the order of `model.inputs`
and `model.outputs`. Not run by the tests: they compare with the committed files. Made with Keras 2.13.1 and 2.15.0
(TensorFlow 2.13 and 2.15) and Keras 3.15.1 (NumPy backend).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "numpy")

import keras
import numpy as np
from keras import Input, Model, Sequential, layers

MAJOR, MINOR = (int(part) for part in keras.__version__.split(".")[:2])
SAMPLES = 16
SLOPE = "alpha" if MAJOR == 2 else "negative_slope"
ACTIVATIONS = ["linear", "relu", "softmax", "sigmoid", "tanh", "elu", "selu", "softplus", "softsign", "gelu", "swish"]
ACTIVATIONS += ["exponential", "mish"]
ACTIVATIONS += ["relu6", "leaky_relu", "silu"] if MAJOR == 3 else []
FUSED = ("linear", "relu", "softmax", "sigmoid")


def sequential() -> Model:
    """No InputLayer is named; every layer that acts in training only."""
    return Sequential(
        [
            Input((6,)),
            layers.Dense(8, activation="relu"),
            layers.GaussianNoise(0.1),
            layers.Dropout(0.5),
            layers.GaussianDropout(0.2),
            layers.AlphaDropout(0.2),
            layers.ActivityRegularization(l1=0.1),
            layers.Dense(5, use_bias=False, activation=None),
            layers.Activation("softmax"),
        ]
    )


def deferred() -> Model:
    """A Sequential without an input, built by its first call."""
    model = Sequential([layers.Dense(4, activation="tanh"), layers.Dense(3, activation="sigmoid")], name="deferred")
    model.build((None, 7))
    return model


def two_in_two_out() -> Model:
    """The orders of inputs and outputs are not those of the layers."""
    a, b = Input((4,), name="a"), Input((3,), name="b")
    first = layers.Dense(5, activation="relu", name="first")(a)
    second = layers.Dense(2, name="second")(layers.Concatenate(name="both")([first, b]))
    return Model([b, a], [second, first, layers.Dense(1, name="third")(b)], name="two")


def shared() -> Model:
    """A layer called three times, once on its own result."""
    a, b = Input((4,), name="left"), Input((4,), name="right")
    dense = layers.Dense(4, activation="tanh", name="shared")
    twice = dense(dense(b))
    return Model([a, b], layers.Subtract(name="difference")([dense(a), twice]), name="siamese")


def nested() -> Model:
    """Sequential and Functional models as layers, called twice, two deep, with names used at several levels."""
    small = Sequential([layers.Dense(4, name="dense"), layers.BatchNormalization(name="bn")], name="small")
    x = Input((4,), name="x")
    pair = Model(x, [layers.Dense(4, name="deep")(small(x)), layers.Dense(2, name="two")(x)], name="pair")
    given = Sequential([Input((4,)), layers.Dense(3, name="dense"), layers.Dropout(0.1)], name="given")
    a, b = Input((4,), name="a"), Input((4,), name="b")
    long, short = pair(a)
    other, _ = pair(layers.Dense(4, name="dense")(b))
    sums = layers.Add(name="sum")([given(long), given(other), given(b)])
    return Model([b, a], [short, sums, pair(other)[1]], name="top")


def rank3() -> Model:
    """Dense on more than two axes, Reshape with -1, Flatten."""
    x = Input((6, 4), name="x")
    y = layers.Dense(3, activation="softmax", name="each")(x)
    y = layers.SpatialDropout1D(0.2)(y)
    y = layers.Reshape((2, -1, 3), name="split")(y)
    y = layers.Dense(2, activation="sigmoid", name="each4", use_bias=False)(y)
    return Model(x, layers.Dense(3)(layers.Flatten()(y)), name="rank3")


def batch_norm() -> Model:
    """Axes, scale and center off, several epsilons."""
    x = Input((5, 3), name="x")
    y = layers.BatchNormalization(axis=1, name="rows")(x)
    y = layers.BatchNormalization(scale=False, epsilon=1e-2, name="unscaled")(y)
    y = layers.BatchNormalization(center=False, axis=2, name="uncentred")(y)
    y = layers.BatchNormalization(center=False, scale=False, axis=-2, name="bare")(y)
    return Model(x, y, name="batch_norm")


def relu() -> Model:
    """ReLU with all its parameters, LeakyReLU, ELU, Softmax as layers."""
    x = Input((12,), name="x")
    outputs = [
        layers.ReLU()(x),
        layers.ReLU(max_value=1.5)(x),
        layers.ReLU(negative_slope=0.25)(x),
        layers.ReLU(threshold=0.5)(x),
        layers.ReLU(max_value=1.0, negative_slope=0.125, threshold=0.25)(x),
        layers.ReLU(max_value=6.0)(x),
        layers.LeakyReLU()(x),
        layers.LeakyReLU(**{SLOPE: 0.1})(x),
        layers.ELU(alpha=0.5)(x),
        layers.Softmax()(x),
        layers.Softmax(axis=1)(x),
    ]
    return Model(x, outputs, name="relu")


def activations() -> Model:
    """Every function by name, and some of them fused."""
    x = Input((3,), name="x")
    alone = [layers.Activation(name)(x) for name in ACTIVATIONS]
    fused = [layers.Dense(2, activation=name, name=f"fused_{name}")(x) for name in FUSED]
    as_layer = [layers.Dense(2, activation=layers.LeakyReLU(**{SLOPE: 0.2}), name="layer")(x)] if MAJOR == 3 else []
    return Model(x, alone + fused + as_layer, name="activations")


def merges() -> Model:
    """Broadcasting, three inputs, every axis."""
    a, b, c = Input((4, 3), name="a"), Input((4, 3), name="b"), Input((3,), name="c")
    outputs = [
        layers.Add()([a, b, c]),
        layers.Subtract()([a, c]),
        layers.Multiply()([c, a, b]),
        layers.Average()([a, b, c]),
        layers.Maximum()([a, b, a]),
        layers.Minimum()([c, b]),
        layers.Concatenate(axis=1)([a, b, a]),
        layers.Concatenate(axis=-1)([a, b]),
        layers.Concatenate(axis=2)([b, a]),
    ]
    return Model([a, b, c], outputs, name="merges")


def operators() -> Model:
    """Python operators on tensors, which only Keras 3 saves."""
    a, b = Input((4,), name="a"), Input((4,), name="b")
    y = layers.Dense(4)(a) + b
    return Model([a, b], keras.ops.maximum(y * b - a, b), name="operators")


def bfloat16() -> Model:
    """Weights of two bytes. What they compute is defined in float32, so that is how the outputs are made."""
    return Sequential([Input((5,)), layers.Dense(6, dtype="bfloat16"), layers.Dense(3, dtype="float16")])


MODELS: dict[Callable[[], Model], tuple[str, ...]] = {
    sequential: ("h5", "keras"),
    deferred: ("json", "keras"),
    two_in_two_out: ("json",),
    shared: ("keras",),
    nested: ("h5", "json", "keras"),
    rank3: ("h5",),
    batch_norm: ("keras",),
    relu: ("json",),
    activations: ("json",),
    merges: ("json",),
}
if MAJOR == 3:
    MODELS |= {operators: ("h5", "keras"), bfloat16: ("keras",)}
if (MAJOR, MINOR) < (2, 15):  # another layout of the weights in .keras
    MODELS = {nested: ("keras",)}
PREFIX = f"keras{MAJOR}" if (MAJOR, MINOR) >= (2, 15) else f"keras{MAJOR}_{MINOR}"


def randomize(model: Model, rng: np.random.Generator) -> None:
    """Random weights of both signs; positive where Keras needs it."""
    for layer in model.layers:
        if isinstance(layer, Model):
            randomize(layer, rng)
        elif layer.weights:
            values = [rng.normal(0, 0.5, w.shape) for w in layer.weights]
            if isinstance(layer, layers.BatchNormalization):
                values[-1] = rng.uniform(0.3, 2.0, values[-1].shape)
            layer.set_weights(values)


def in_float32(model: Model) -> Model:
    """The same model with its weights, as they were rounded, and its arithmetic in float32."""
    copy = Sequential([Input(model.inputs[0].shape[1:]), *(layers.Dense(layer.units) for layer in model.layers)])
    copy.set_weights([np.asarray(weight, np.float32) for weight in model.get_weights()])
    return copy


def save(model: Model, path: Path, kind: str) -> None:
    """In one of the formats; JSON has its weights beside it."""
    if kind == "json":
        path.with_name(f"{path.name}.json").write_text(model.to_json())
        model.save_weights(path.with_name(f"{path.name}.weights.h5"))
    else:
        model.save(path.with_name(f"{path.name}.{kind}"))


def main(folder: Path) -> None:
    """Make all models of this Keras."""
    for number, (make, kinds) in enumerate(MODELS.items()):
        keras.backend.clear_session()
        rng = np.random.default_rng(number)
        model = make()
        randomize(model, rng)
        # multiples of 1/8, so that bends and thresholds are met exactly
        inputs = [np.round(rng.normal(0, 1.5, (SAMPLES, *x.shape[1:])) * 8) / 8 for x in model.inputs]
        inputs = [x.astype(np.float32) for x in inputs]
        saved, model = model, in_float32(model) if make is bfloat16 else model
        outputs = model.predict(inputs if len(inputs) > 1 else inputs[0], verbose=0)
        outputs = outputs if isinstance(outputs, list) else [outputs]
        path = folder / f"{PREFIX}_{make.__name__}"
        arrays = {f"x{i}": x for i, x in enumerate(inputs)} | {f"y{i}": np.asarray(y) for i, y in enumerate(outputs)}
        np.savez_compressed(path.with_name(f"{path.name}.npz"), **arrays)
        for kind in kinds:
            save(saved, path, kind)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "data")
