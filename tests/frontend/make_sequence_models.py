"""Make models of activations, recurrent layers, wrappers, normalizations, embeddings and products with random settings.

    python make_sequence_models.py [folder [first seed [number of seeds [layers in a model]]]]

Files and arrays are as in `make_spatial_models.py`: `<keras2|keras3>_sequence_<family>_<seed>`. The committed files:

    python make_sequence_models.py data 0 1 24

Made with Keras 2.15.0 (TensorFlow) and Keras 3.15.1 (JAX).
"""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "jax")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from keras import Input, Model, layers
from make_spatial_models import compress

MAJOR = int(keras.__version__.split(".")[0])
SAMPLES = 4
STEPS, FEATURES, ROWS = 5, 3, 9  # of the sequences; of the embedded tables
GATES = ["sigmoid", "hard_sigmoid", "sigmoid", "hard_sigmoid", "tanh"]
FUNCTIONS = ["tanh", "tanh", "relu", "softsign", "elu", "linear", None, "selu", "gelu", "hard_sigmoid", "swish"]
NAMES = ["hard_sigmoid", "softsign", "mish", "exponential", "gelu", "swish", "selu", "softplus"]
if MAJOR == 3:
    FUNCTIONS += ["leaky_relu", "relu6"]
    NAMES += ["hard_tanh", "hard_silu", "hard_swish", "celu", "log_sigmoid", "soft_shrink", "sparse_plus", "silu"]
    NAMES += ["sparse_sigmoid", "squareplus", "tanh_shrink", "relu6", "leaky_relu"]
Values = list[object]
Sources = dict[str, object]


def cell_settings(rng: random.Random, kind: str) -> dict[str, object]:
    """What a layer and its cell have in common."""
    settings: dict[str, object] = {
        "units": rng.choice([1, 2, 4]),
        "activation": rng.choice(FUNCTIONS),
        "use_bias": rng.random() < 0.7,
    }
    if kind != "SimpleRNN":
        settings["recurrent_activation"] = rng.choice(GATES)
    if kind == "GRU":
        settings["reset_after"] = rng.random() < 0.5
    return settings


def layer_of(rng: random.Random, backwards: bool = True) -> tuple[object, int]:
    """A recurrent layer, and how many states it has."""
    kind = rng.choice(["SimpleRNN", "LSTM", "GRU"])
    settings, states = cell_settings(rng, kind), 2 if kind == "LSTM" else 1
    sequence: dict[str, object] = {
        "return_sequences": rng.random() < 0.5,
        "return_state": rng.random() < 0.4,
        "go_backwards": backwards and rng.random() < 0.4,
    }
    if rng.random() < 0.25:
        return layers.RNN(getattr(layers, f"{kind}Cell")(**settings), **sequence), states
    return getattr(layers, kind)(**settings, **sequence), states


def units_of(layer: object) -> int:
    return layer.cell.units


def flat(value: object) -> Values:
    return [part for one in value for part in flat(one)] if isinstance(value, list | tuple) else [value]


def recurrent(rng: random.Random, sources: Sources) -> Values:
    """Every setting of a layer or of RNN around a cell, with initial states from another layer."""
    layer, states = layer_of(rng)
    if rng.random() < 0.6:
        return flat(layer(sources["x"]))
    first = [layers.Dense(units_of(layer))(sources["flat"]) for _ in range(states)]
    return flat(layer(sources["x"], initial_state=first))


def bidirectional(rng: random.Random, sources: Sources) -> Values:
    """Every merge mode, now and then with states or a backward layer of its own; or a wrapper of one layer."""
    if rng.random() < 0.4:
        return [time_distributed(rng, sources)]
    mode = rng.choice(["concat", "sum", "mul", "ave", None])
    layer, states = layer_of(rng)
    while layer.return_state and (mode is None or MAJOR == 2):  # which Keras itself cannot always do
        layer, states = layer_of(rng)
    if rng.random() < 0.3 and not layer.return_state:
        return flat(layers.Bidirectional(layer, merge_mode=mode)(sources["x"]))
    if rng.random() < 0.5:
        other = layer.__class__.from_config({**layer.get_config(), "name": f"{layer.name}_back"})
        other.go_backwards = not layer.go_backwards
        wrapped = layers.Bidirectional(layer, merge_mode=mode, backward_layer=other)
    else:
        wrapped = layers.Bidirectional(layer, merge_mode=mode)
    if rng.random() < 0.5:
        return flat(wrapped(sources["x"]))
    first = [layers.Dense(units_of(layer))(sources["flat"]) for _ in range(2 * states)]
    return flat(wrapped(sources["x"], initial_state=first))


def time_distributed(rng: random.Random, sources: Sources) -> object:
    inner = rng.choice(
        [
            lambda: layers.Dense(rng.randint(1, 4), activation=rng.choice(["relu", "softmax", None])),
            lambda: layers.Activation(rng.choice(NAMES)),
            lambda: layers.Softmax(axis=rng.choice([-1, 1])),
            lambda: layers.Flatten(),
            lambda: layers.Reshape((2, -1)),
            lambda: layers.BatchNormalization(axis=rng.choice([1, 2, -1])),
            lambda: layers.LayerNormalization(axis=rng.choice([1, 2, -1, [1, 2]])),
            lambda: layers.Dropout(0.5),
        ]
    )()
    return layers.TimeDistributed(inner)(sources["image"])


def activation(rng: random.Random, sources: Sources) -> Values:
    """Functions by name, layers with parameters, and functions of `keras.ops`."""
    x = sources[rng.choice(["x", "flat", "image"])]
    rank = len(x.shape) - 1
    axes = rng.sample(range(1, rank + 1), rng.randint(0, rank))
    scale = [rng.uniform(-2, 2) for _ in range(x.shape[-1])]
    choices: list[Callable[[object], object]] = [
        layers.Activation(rng.choice(NAMES)),
        layers.Activation(rng.choice(NAMES)),
        layers.Dense(2, activation=rng.choice(NAMES)),
        layers.ELU(alpha=rng.choice([0.3, 1.7])),
        layers.PReLU(shared_axes=axes or None),
        layers.PReLU(),
        layers.Rescaling(rng.uniform(-3, 3), offset=rng.uniform(-1, 1)),
        layers.Rescaling(scale, offset=scale[::-1]),
        normalization(rng, x),
    ]
    if MAJOR == 2:
        choices.append(layers.ThresholdedReLU(theta=rng.choice([0.0, 0.5, 1.0])))
    else:
        ops = keras.ops
        choices += [lambda v: ops.gelu(v, approximate=rng.random() < 0.5), ops.silu, ops.hard_sigmoid, ops.selu]
        choices += [lambda v: ops.leaky_relu(v, 0.1), lambda v: ops.elu(v, 0.5), ops.exp, ops.softplus, ops.tanh]
    return [rng.choice(choices)(x)]


def normalization(rng: random.Random, x: object) -> object:
    """Adapted, or with its statistics given; the statistics of no axis at all, or of several."""
    axes = rng.choice([None, -1, 1, tuple(range(1, len(x.shape)))])
    kept = () if axes is None else [x.shape[a] for a in (axes if isinstance(axes, tuple) else (axes,))]
    settings = {"axis": axes, "invert": rng.random() < 0.3}
    npr = np.random.default_rng(rng.randrange(1 << 30))
    if rng.random() < 0.5:
        mean, variance = npr.normal(0, 1, kept), npr.uniform(0.2, 2, kept)
        return layers.Normalization(**settings, mean=mean.tolist(), variance=variance.tolist())
    layer = layers.Normalization(**settings)
    layer.adapt(npr.normal(0.5, 2, (50, *x.shape[1:])).astype(np.float32))
    return layer


def normalize(rng: random.Random, sources: Sources) -> Values:
    """Layers that divide by what they measure, over every axis."""
    x = sources[rng.choice(["x", "image"])]
    rank = len(x.shape) - 1
    axes = rng.sample(range(1, rank + 1), rng.randint(1, rank))
    shared = {"epsilon": rng.choice([1e-3, 1e-6, 0.1])}
    affine = {"scale": rng.random() < 0.6, "center": rng.random() < 0.6}
    groups = rng.choice([n for n in range(1, x.shape[-1] + 1) if x.shape[-1] % n == 0])
    choices = [
        lambda: layers.LayerNormalization(axis=axes, **shared, **affine),
        lambda: layers.LayerNormalization(axis=rng.choice([-1, 1]), **shared, **affine),
        lambda: layers.LayerNormalization(),
        lambda: layers.UnitNormalization(axis=axes),
        lambda: layers.UnitNormalization(),
        lambda: layers.GroupNormalization(groups=groups, **shared, **affine),
        lambda: layers.GroupNormalization(groups=-1, **shared, **affine),
        lambda: layers.GroupNormalization(groups=1, axis=1, **shared, **affine),
    ]
    if MAJOR == 3:
        choices.append(lambda: layers.RMSNormalization(axis=rng.choice([-1, tuple(range(1, rank + 1))]), **shared))
    return [rng.choice(choices)()(x)]


def embedding(rng: random.Random, sources: Sources) -> Values:
    index = sources["index"]
    rows = layers.Embedding(ROWS, rng.randint(1, 4))(index)
    return [rows] if rng.random() < 0.5 else flat(layers.LSTM(2)(rows))


def product(rng: random.Random, sources: Sources) -> Values:
    """Dot along every pair of axes that fit, EinsumDense with every kind of equation."""
    if rng.random() < 0.4:
        one, two = sources[rng.choice(list(sources))], sources[rng.choice(list(sources))]
        pairs = [(i, j) for i in range(1, len(one.shape)) for j in range(1, len(two.shape))]
        axes = rng.choice([(i, j) for i, j in pairs if one.shape[i] == two.shape[j]] or [(-1, -1)])
        return [layers.Dot(axes=axes, normalize=rng.random() < 0.4)([one, two])]
    name, equation, shape, biases = rng.choice(
        [
            ("flat", "ab,bc->ac", 3, ["c", None]),
            ("x", "abc,cd->abd", (None, 4), ["d", "b", "bd", None]),
            ("x", "abc,bd->acd", (3, 2), ["d", "c", None]),
            ("x", "abc,bcd->abd", (5, 2), ["d", "bd", None]),
            ("x", "abc,bce->ae", 4, ["e", None]),
            ("x", "...x,xy->...y", 2, ["y", None]),
            ("x", "abc,cde->abde", (5, 2, 3), ["de", "d", "be", None]),
            ("x", "ab...,bd->ad...", 2, ["d", None]),
            ("image", "abcd,cde->abce", (2, 3, 2), ["e", "c", None]),
            ("image", "...cd,cde->...ce", (3, 2), ["e", "c", None]),
            ("image", "abcd,de->aebc", (2, 2, 3), ["e", "c", None]),
        ]
    )
    activation = rng.choice([None, "relu", "tanh", "softmax"])
    layer = layers.EinsumDense(equation, shape, bias_axes=rng.choice(biases), activation=activation)
    return [layer(sources[name])]


FAMILIES: dict[str, tuple[Callable[[random.Random, Sources], Values], int]] = {
    "recurrent": (recurrent, 24),
    "bidirectional": (bidirectional, 20),
    "activation": (activation, 24),
    "embedding": (embedding, 3),
    "normalize": (normalize, 16),
    "product": (product, 24),
}


def random_model(rng: random.Random, family: str, count: int) -> Model:
    """One model with `count` layers of the family, all on the same inputs."""
    if family == "embedding":
        inputs: Sources = {"index": Input((4,), dtype="int32")}
    else:
        inputs = {"x": Input((STEPS, FEATURES)), "flat": Input((4,)), "image": Input((2, 3, 4))}
    build, _ = FAMILIES[family]
    outputs: Values = []
    made = 0
    while made < count:
        try:
            outputs += build(rng, inputs)
        except (TypeError, ValueError):  # Keras refuses some settings, or fails: others are drawn
            continue
        made += 1
    return Model(list(inputs.values()), outputs)


def randomize(layer: object, rng: np.random.Generator) -> None:
    """Random weights of both signs; positive where Keras needs it; those of Normalization as they were adapted."""
    for inner in layer.layers:
        names = [w.name.split("/")[-1] for w in inner.weights]
        if inner.weights and not isinstance(inner, layers.Normalization):
            values = [rng.normal(0, 0.6, w.shape) for w in inner.weights]
            values = [np.abs(v) + 0.3 if "variance" in name else v for name, v in zip(names, values, strict=True)]
            inner.set_weights(values)


def save(model: Model, path: Path, seed: int, kind: str) -> None:
    """The model, its inputs and outputs."""
    rng = np.random.default_rng(seed)
    randomize(model, rng)
    inputs = [(np.round(rng.normal(0, 1.5, (SAMPLES, *x.shape[1:])) * 8) / 8).astype(np.float32) for x in model.inputs]
    if "embedding" in path.name:
        inputs = [rng.integers(0, ROWS, (SAMPLES, *x.shape[1:])).astype(np.int32) for x in model.inputs]
    outputs = flat(model.predict(inputs if len(inputs) > 1 else inputs[0], verbose=0))
    arrays = {f"x{i}": x for i, x in enumerate(inputs)} | {f"y{i}": np.asarray(y) for i, y in enumerate(outputs)}
    np.savez_compressed(path.with_name(f"{path.name}.npz"), **arrays)
    file = path.with_name(f"{path.name}.{kind}")
    model.save(file)
    if kind == "keras":
        compress(file)


def main(folder: Path, first: int, seeds: int, count: int) -> None:
    """All models of this Keras; one family also by the names of its weights."""
    folder.mkdir(parents=True, exist_ok=True)
    for seed in range(first, first + seeds):
        for family, (_, most) in FAMILIES.items():
            keras.backend.clear_session()
            model = random_model(random.Random(f"{family} {seed}"), family, min(count, most))
            save(model, folder / f"keras{MAJOR}_sequence_{family}_{seed}", seed, "keras")
    keras.backend.clear_session()
    model = random_model(random.Random("by name"), "bidirectional", 4)
    save(model, folder / f"keras{MAJOR}_sequence_by_name", 0, "h5")


if __name__ == "__main__":
    given = sys.argv[2:]
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "data", *map(int, given or (0, 1, 24)))
