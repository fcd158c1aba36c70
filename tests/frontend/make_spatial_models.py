"""Make models of convolution, pooling and reshape layers with random settings, and what Keras predicts.

    python make_spatial_models.py [folder [first seed [number of seeds [layers in a model]]]]

Each file `<keras2|keras3>_spatial_<family>_<seed>` is one model: a few inputs, and one output for each layer with
settings drawn at random over all that the class takes. Beside it are `.npz` with inputs and outputs, as in
`make_models.py`. Settings that this Keras refuses, or cannot compute on a CPU, are drawn again. The committed files:

    python make_spatial_models.py data 0 1 24

Made with Keras 2.15.0 (TensorFlow) and Keras 3.15.1 (JAX; the NumPy backend has no convolutions with groups).
"""

from __future__ import annotations

import os
import random
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "jax")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from keras import Input, Model, layers

MAJOR = int(keras.__version__.split(".")[0])
SAMPLES = 3
FORMATS = ["channels_last", "channels_last", "channels_first"]
ACTIVATIONS = [None, "linear", "relu", "sigmoid", "softmax"]
Settings = dict[str, object]


def numbers(rng: random.Random, rank: int, low: int, high: int) -> object:
    """One for all axes, or one for each."""
    return rng.randint(low, high) if rng.random() < 0.4 else tuple(rng.randint(low, high) for _ in range(rank))


def convolution(rng: random.Random, rank: int) -> tuple[str, Settings]:
    """Any convolution; strides and dilation at once only where a kernel of one makes that the same."""
    kind = rng.choice(["Conv{}D", "Conv{}D", "DepthwiseConv{}D", "SeparableConv{}D", "Conv{}DTranspose"])
    settings: Settings = {
        "kernel_size": numbers(rng, rank, 1, 4),
        "padding": rng.choice(["valid", "same", "same", *(["causal"] if rank == 1 else [])]),
        "use_bias": rng.random() < 0.7,
        "activation": rng.choice(ACTIVATIONS),
        "data_format": rng.choice(FORMATS),
        rng.choice(["strides", "strides", "dilation_rate"]): numbers(rng, rank, 1, 3),
    }
    if rng.random() < 0.1:
        settings["dilation_rate"] = numbers(rng, rank, 1, 3)
    if kind.startswith(("Depthwise", "Separable")):
        settings["depth_multiplier"] = rng.randint(1, 3)
    if not kind.startswith("Depthwise"):
        settings["filters"] = rng.choice([1, 2, 4, 6])
    if kind == "Conv{}D":
        settings["groups"] = rng.choice([1, 1, 2, 4])
    if kind == "Conv{}DTranspose" and rng.random() < 0.4:
        settings["output_padding"] = numbers(rng, rank, 0, 2)
    return kind.format(rank), settings


def pooling(rng: random.Random, rank: int) -> tuple[str, Settings]:
    """Windows and all of the axes."""
    kind, data_format = rng.choice(["Max", "Average"]), rng.choice(FORMATS)
    if rng.random() < 0.3:
        return f"Global{kind}Pooling{rank}D", {"keepdims": rng.random() < 0.5, "data_format": data_format}
    settings: Settings = {
        "pool_size": numbers(rng, rank, 1, 4),
        "padding": rng.choice(["valid", "same"]),
        "data_format": data_format,
    }
    if rng.random() < 0.6:
        settings["strides"] = numbers(rng, rank, 1, 4)
    return f"{kind}Pooling{rank}D", settings


def sides(rng: random.Random, rank: int, most: int) -> object:
    """Counts before and after in one of Keras' forms."""
    pairs = tuple((rng.randint(0, most), rng.randint(0, most)) for _ in range(rank))
    return rng.choice([rng.randint(0, most), pairs[0] if rank == 1 else pairs, pairs[0]])


def reshaping(rng: random.Random, rank: int) -> tuple[str, Settings]:
    """Everything that moves elements."""
    kind = rng.choice(["ZeroPadding", "Cropping", "UpSampling", "UpSampling", "Permute", "Flatten", "Softmax", "BN"])
    data_format: Settings = {"data_format": rng.choice(FORMATS)}
    if kind == "ZeroPadding":
        return f"ZeroPadding{rank}D", {"padding": sides(rng, rank, 3)} | (data_format if rank == 2 else {})
    if kind == "Cropping":
        return f"Cropping{rank}D", {"cropping": sides(rng, rank, 2)} | (data_format if rank == 2 else {})
    if kind == "UpSampling" and rank == 2:
        size = {"size": numbers(rng, 2, 1, 5), "interpolation": rng.choice(["nearest", "bilinear"])}
        return "UpSampling2D", size | data_format
    if kind == "UpSampling":
        return "UpSampling1D", {"size": rng.randint(1, 5)}
    if kind == "Flatten":
        return "Flatten", data_format
    if kind == "Permute":
        return "Permute", {"dims": tuple(rng.sample(range(1, rank + 2), rank + 1))}
    axis = rng.choice([-1, *range(1, rank + 2)])
    return ("Softmax" if kind == "Softmax" else "BatchNormalization"), {"axis": axis}


FAMILIES: dict[str, Callable[[random.Random, int], tuple[str, Settings]]] = {
    "convolution": convolution,
    "pooling": pooling,
    "reshaping": reshaping,
}


def accepted(rng: random.Random, draw: Callable[[random.Random, int], tuple[str, Settings]], inputs: list) -> tuple:
    """The number of an input, and the output of a layer on it that this Keras makes and computes."""
    while True:
        number = rng.randrange(len(inputs))
        kind, settings = draw(rng, len(inputs[number].shape) - 2)
        try:
            layer = getattr(layers, kind)(**settings)
            shape = (1, *inputs[number].shape[1:])
            if min(layer.compute_output_shape(shape)) < 1:
                continue
            getattr(layers, kind)(**settings)(np.zeros(shape, np.float32))
            return number, layer(inputs[number])
        except Exception:  # whatever a backend does not like
            continue


def random_model(rng: random.Random, family: str, count: int) -> Model:
    """Layers of a family side by side."""
    shapes = [
        (rng.randint(2, 9), 4),
        (rng.randint(2, 7), rng.randint(2, 7), 4),
        (4, rng.randint(2, 7), rng.randint(2, 7)),
    ]
    inputs = [Input(shape, name=f"x{i}") for i, shape in enumerate(shapes)]
    outputs, seen = [], {}
    while len(outputs) < count or len(seen) < len(inputs):
        number, output = accepted(rng, FAMILIES[family], inputs)
        outputs.append(output)
        seen[number] = True
    return Model(inputs, outputs, name=family)


def separate_formats(x, axis: int, name: str) -> object:
    """A small network; `axis` is that of the channels."""
    form = {"data_format": "channels_first" if axis == 1 else "channels_last"}
    y = layers.Conv2D(4, 3, padding="same", use_bias=False, name=f"{name}_conv", **form)(x)
    y = layers.BatchNormalization(axis=axis, name=f"{name}_bn")(y)
    y = layers.LeakyReLU(name=f"{name}_relu")(y)
    short = layers.Conv2D(4, 1, activation="relu", name=f"{name}_short", **form)(x)
    y = layers.Concatenate(axis=axis, name=f"{name}_both")([layers.Add(name=f"{name}_sum")([y, short]), short])
    y = layers.MaxPooling2D(2, name=f"{name}_pool", **form)(y)
    y = layers.ZeroPadding2D(((0, 1), (1, 0)), name=f"{name}_pad", **form)(y)
    y = layers.SeparableConv2D(5, 2, depth_multiplier=2, activation="tanh", name=f"{name}_separable", **form)(y)
    return layers.SpatialDropout2D(0.1, name=f"{name}_dropout", **form)(y)


def networks() -> Model:
    """Both formats, flattened in the model's order and in that of the channels, softmax and global pooling."""
    inputs = [Input((3, 6, 5), name="first"), Input((6, 5, 3), name="last")]
    outputs = []
    for x, axis, name in ((inputs[0], 1, "f"), (inputs[1], 3, "l")):
        if MAJOR == 2 and axis == 1:
            continue  # TensorFlow has no channels_first on a CPU
        form = {"data_format": "channels_first" if axis == 1 else "channels_last"}
        y = separate_formats(x, axis, name)
        flat = layers.Dropout(0.2, name=f"{name}_drop")(layers.Flatten(name=f"{name}_flat")(y))
        outputs += [y, layers.Dense(4, activation="softmax", name=f"{name}_dense")(flat)]
        other = layers.ReLU(name=f"{name}_other")(layers.Flatten(name=f"{name}_flat2", **form)(y))
        outputs += [layers.Dense(3, name=f"{name}_dense2")(other), layers.Softmax(axis=axis, name=f"{name}_soft")(y)]
        pooled = layers.GlobalAveragePooling2D(name=f"{name}_global", **form)(y)
        outputs += [layers.Conv1D(2, 2, padding="causal", name=f"{name}_rows")(layers.RepeatVector(3)(pooled))]
        outputs += [layers.Permute((3, 1, 2), name=f"{name}_permute")(layers.Activation("relu")(y))]
        outputs += [layers.GlobalMaxPooling2D(keepdims=True, name=f"{name}_max", **form)(y)]
    return Model(inputs if MAJOR == 3 else inputs[1:], outputs, name="networks")


def by_name() -> Model:
    """Layers whose weights have other names in Keras 2 and Keras 3."""
    x = Input((5, 4, 2), name="x")
    y = layers.DepthwiseConv2D(2, depth_multiplier=2, name="depthwise")(x)
    y = layers.SeparableConv2D(3, 2, name="separable")(y)
    return Model(x, layers.Conv2DTranspose(2, 2, strides=2, name="transposed")(y), name="by_name")


def randomize(model: Model, rng: np.random.Generator) -> None:
    """Random weights of both signs; positive where Keras needs it."""
    for layer in model.layers:
        if layer.weights:
            values = [rng.normal(0, 0.5, w.shape) for w in layer.weights]
            if isinstance(layer, layers.BatchNormalization):
                values[-1] = rng.uniform(0.3, 2.0, values[-1].shape)
            layer.set_weights(values)


def save(model: Model, path: Path, seed: int, kind: str) -> None:
    """The model as `keras` or `h5`, its inputs and outputs."""
    rng = np.random.default_rng(seed)
    randomize(model, rng)
    inputs = [(np.round(rng.normal(0, 1.5, (SAMPLES, *x.shape[1:])) * 8) / 8).astype(np.float32) for x in model.inputs]
    outputs = model.predict(inputs, verbose=0)
    outputs = outputs if isinstance(outputs, list) else [outputs]
    arrays = {f"x{i}": x for i, x in enumerate(inputs)} | {f"y{i}": np.asarray(y) for i, y in enumerate(outputs)}
    np.savez_compressed(path.with_name(f"{path.name}.npz"), **arrays)
    file = path.with_name(f"{path.name}.{kind}")
    model.save(file)
    if kind == "keras":
        compress(file)


def compress(file: Path) -> None:
    """The same archive, whose members Keras does not compress."""
    with zipfile.ZipFile(file) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, data in members.items():
            archive.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED)


def main(folder: Path, first: int, seeds: int, count: int) -> None:
    """All models of this Keras."""
    folder.mkdir(parents=True, exist_ok=True)
    save(networks(), folder / f"keras{MAJOR}_spatial_networks", 0, "keras")
    save(by_name(), folder / f"keras{MAJOR}_spatial_by_name", 0, "h5")
    for seed in range(first, first + seeds):
        for family in FAMILIES:
            keras.backend.clear_session()
            model = random_model(random.Random(f"{family} {seed}"), family, count)
            save(model, folder / f"keras{MAJOR}_spatial_{family}_{seed}", seed, "keras")


if __name__ == "__main__":
    given = sys.argv[2:]
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "data", *map(int, given or (0, 1, 24)))
