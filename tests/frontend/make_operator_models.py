"""Make models of functions: those of `keras.ops` in Keras 3, those of TensorFlow in Keras 2.

    python make_operator_models.py [folder [first seed [number of seeds [functions in a model]]]]

Files and arrays are as in `make_spatial_models.py`: `<keras2|keras3>_operators_<seed>`. The committed files:

    python make_operator_models.py data 0 1 45

Made with Keras 2.15.0 and Keras 3.15.1 (TensorFlow).
"""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf
from keras import Input, Model, layers
from make_spatial_models import MAJOR, save

Function = Callable[[object], object]


def constant(rng: random.Random, shape: tuple[int, ...]) -> object:
    """A number, or an array that broadcasts to the shape, with or without the axis of the batch."""
    if rng.random() < 0.5:
        return rng.choice([2, 0.5, -1.25, 3.0])
    sizes = [n if rng.random() < 0.6 else 1 for n in shape[rng.randrange(len(shape)) :]]
    values = np.round(np.random.default_rng(rng.randrange(1 << 30)).normal(0, 1, sizes) * 16 + 0.5) / 16
    return values.astype(np.float32)[None] if len(sizes) == len(shape) and rng.random() < 0.3 else values.astype("f4")


def piece(rng: random.Random, n: int) -> object:
    """An index or a slice of an axis, any step."""
    if rng.random() < 0.25:
        return rng.randrange(-n, n)
    while True:
        ends = [rng.choice([None, rng.randrange(-n, n + 1)]) for _ in range(2)]
        found = slice(*ends, rng.choice([None, 1, 2, 3, -1, -2]))
        if len(range(n)[found]):
            return found


def key(rng: random.Random, shape: tuple[int, ...]) -> tuple[object, ...]:
    """What stands between the brackets; at least one axis remains."""
    items = [piece(rng, n) for n in shape]
    items[rng.randrange(len(items))] = slice(None)
    if rng.random() < 0.3:
        items = items[: rng.randint(1, len(items))]
    if rng.random() < 0.3:
        items.insert(rng.randint(0, len(items)), None)
    return (..., *items) if len(items) == len(shape) and rng.random() < 0.2 else (slice(None), *items)


def shared(rng: random.Random, x, other) -> list[Function]:
    """What both versions spell alike, by Python's operators."""
    shape = tuple(x.shape[1:])
    value, index = constant(rng, shape), key(rng, shape)
    nonzero = value if np.all(value) else 2.0
    left = value if isinstance(value, float | int) else 1.5  # an array would not ask Keras
    return [
        lambda v: v + value,
        lambda v: left * v,
        lambda v: v - value,
        lambda v: left - v,
        lambda v: v / nonzero,
        lambda v: v + other,
        lambda v: v * other,
        lambda v: v - other,
        lambda v: -v,
        lambda v: abs(v),
        lambda v: v ** rng.choice([1, 2, 3]),
        lambda v: v[index],
        lambda v: v[index],
    ]


def functions3(rng: random.Random, x, other) -> list[Function]:
    """Functions of keras.ops with their settings."""
    ops, shape = keras.ops, tuple(x.shape[1:])
    axis = rng.choice([a for a in range(-len(shape), len(shape) + 1) if a not in (0, -len(shape) - 1)])
    n, order = shape[axis - 1 if axis > 0 else axis], rng.sample(range(1, len(shape) + 1), len(shape))
    axes = rng.sample(range(1, len(shape) + 1), rng.randint(1, len(shape)))
    reduced = {"axis": axes if rng.random() < 0.5 else axis, "keepdims": len(shape) == 1 or len(axes) == len(shape)}
    matrix = np.round(np.random.default_rng(rng.randrange(999)).normal(0, 1, (shape[-1], 3)) * 8).astype("f4") / 8
    value = constant(rng, shape)
    swapped = ops.swapaxes(other, -1, -2) if len(shape) > 1 else other
    found = [
        lambda v: rng.choice([ops.sum, ops.mean, ops.max, ops.min, ops.amax])(v, **reduced),
        lambda v: rng.choice([ops.maximum, ops.minimum, ops.multiply])(v, value),
        lambda v: ops.subtract(value, v),
        lambda v: ops.transpose(v, (0, *order)),
        lambda v: ops.reshape(v, (-1, shape[-1], int(np.prod(shape[:-1])))),
        lambda v: ops.concatenate([v, other, v], axis=axis),
        lambda v: ops.stack([v, other], axis=axis),
        lambda v: ops.split(v, n, axis=axis)[rng.randrange(n)],
        lambda v: ops.split(v, [1], axis=axis)[1] if n > 1 else v * 2,
        lambda v: ops.unstack(v, axis=axis)[0] if len(shape) > 1 else v * 2,
        lambda v: ops.expand_dims(v, axis),
        lambda v: ops.squeeze(ops.expand_dims(v, axis), axis),
        lambda v: ops.repeat(v, rng.randint(1, 3), axis=axis),
        lambda v: ops.tile(v, [1, *(rng.randint(1, 2) for _ in shape)]),
        lambda v: ops.flip(v, axis),
        lambda v: ops.roll(v, rng.randint(-3, 3), axis=axis),
        lambda v: ops.take(v, [rng.randrange(-n, n) for _ in range(4)], axis=axis),
        lambda v: ops.pad(v, [[0, 0], *([rng.randint(0, 2), rng.randint(0, 2)] for _ in shape)]),
        lambda v: ops.clip(v, rng.choice([-1.0, 0, 0.25]), 1.5),
        lambda v: rng.choice([ops.square, ops.negative, ops.absolute, ops.relu, ops.sigmoid, ops.exp, ops.silu])(v / 4),
        lambda v: ops.sqrt(ops.absolute(v)),
        lambda v: ops.power(v, 2),
        lambda v: ops.matmul(v, matrix),
        lambda v: ops.dot(v, matrix),
        lambda v: ops.softmax(v, axis=axis),
        lambda v: ops.normalize(v, axis=-1),
        lambda v: ops.cast(ops.stop_gradient(v), "float32") * 2,
    ]
    if len(shape) > 1:
        found += [
            lambda v: ops.matmul(v, swapped),
            lambda v: ops.swapaxes(v, -1, -2),
            lambda v: ops.moveaxis(v, 1, axis),
        ]
    if len(shape) == 2:
        found += [
            lambda v: ops.einsum("bij,bkj->bik", v, other),
            lambda v: ops.einsum("bij,jk->bik", v, matrix),
            lambda v: ops.einsum("jk,bij->bki", matrix, v),
            lambda v: ops.einsum("bij->bji", v),
        ]
    return found


def functions2(rng: random.Random, x, other) -> list[Function]:
    """Functions of TensorFlow with their settings."""
    shape = tuple(x.shape[1:])
    axis = rng.choice([a for a in range(-len(shape), len(shape) + 1) if a not in (0, -len(shape) - 1)])
    n, order = shape[axis - 1 if axis > 0 else axis], rng.sample(range(1, len(shape) + 1), len(shape))
    axes = rng.sample(range(1, len(shape) + 1), rng.randint(1, len(shape)))
    reduced = {"axis": axes if rng.random() < 0.5 else axis, "keepdims": len(shape) == 1 or len(axes) == len(shape)}
    matrix = np.round(np.random.default_rng(rng.randrange(999)).normal(0, 1, (shape[-1], 3)) * 8).astype("f4") / 8
    value, backend = constant(rng, shape), keras.backend
    found = [
        lambda v: rng.choice([tf.reduce_sum, tf.reduce_mean, tf.reduce_max, tf.reduce_min])(v, **reduced),
        lambda v: rng.choice([backend.mean, backend.max])(v, **reduced),
        lambda v: rng.choice([tf.maximum, tf.minimum, tf.multiply])(v, value),
        lambda v: tf.subtract(value, v),
        lambda v: tf.transpose(v, (0, *order)),
        lambda v: tf.reshape(v, (-1, shape[-1], int(np.prod(shape[:-1])))),
        lambda v: tf.concat([v, other, v], axis=axis),
        lambda v: tf.stack([v, other], axis=axis),
        lambda v: tf.split(v, n, axis=axis)[rng.randrange(n)],
        lambda v: tf.split(v, [1, n - 1], axis=axis)[1] if n > 1 else v * 2,
        lambda v: tf.unstack(v, axis=axis)[0] if len(shape) > 1 else v * 2,
        lambda v: tf.expand_dims(v, axis),
        lambda v: tf.squeeze(tf.expand_dims(v, axis), [axis]),
        lambda v: tf.repeat(v, rng.randint(1, 3), axis=axis),
        lambda v: tf.tile(v, [1, *(rng.randint(1, 2) for _ in shape)]),
        lambda v: tf.reverse(v, [axis]),
        lambda v: tf.gather(v, [rng.randrange(n) for _ in range(4)], axis=axis),
        lambda v: tf.pad(v, [[0, 0], *([rng.randint(0, 2), rng.randint(0, 2)] for _ in shape)]),
        lambda v: tf.clip_by_value(v, rng.choice([-1.0, 0, 0.25]), 1.5),
        lambda v: rng.choice([tf.square, tf.negative, tf.abs, tf.nn.relu, tf.sigmoid, tf.exp, tf.nn.silu])(v / 4),
        lambda v: tf.nn.leaky_relu(v, rng.choice([0.1, 0.3])),
        lambda v: keras.activations.gelu(v, rng.random() < 0.5),
        lambda v: tf.nn.gelu(v),
        lambda v: tf.sqrt(tf.abs(v)),
        lambda v: tf.pow(v, 2),
        lambda v: tf.add_n([v, other, other]),
        lambda v: tf.nn.bias_add(v, value if np.shape(value) == shape[-1:] else [0.5] * shape[-1]),
        lambda v: tf.nn.softmax(v, axis=axis),
        lambda v: tf.math.l2_normalize(v, axis=-1),
        lambda v: tf.cast(tf.stop_gradient(v), "float32") * 2,
    ]
    if len(shape) > 1:
        found.append(lambda v: tf.matmul(v, other, transpose_b=True))
        found.append(lambda v: tf.matmul(v, other, transpose_a=True))
    if len(shape) == 2:
        found.append(lambda v: tf.matmul(v, matrix))
    return found


def random_model(rng: random.Random, count: int) -> Model:
    """Functions of the same inputs, each followed now and then by a layer or a second function."""
    shapes = [(5,), (6, 4), (3, 4, 2)]
    inputs = [Input(shape, name=f"x{i}") for i, shape in enumerate(shapes)]
    others = [layers.Dense(x.shape[-1], name=f"other{i}")(x) for i, x in enumerate(inputs)]
    functions, outputs = functions3 if MAJOR == 3 else functions2, []
    for number in range(count):
        i = rng.randrange(len(inputs)) if number >= len(inputs) else number
        drawn = rng.choice([shared, functions, functions])(rng, inputs[i], others[i])
        y = rng.choice(drawn)(inputs[i])
        if rng.random() < 0.3:
            y = y * 0.5 if rng.random() < 0.5 else layers.Dense(2)(y)
        outputs.append(y)
    return Model(inputs, outputs, name="operators")


def main(folder: Path, first: int, seeds: int, count: int) -> None:
    """All models of this Keras."""
    folder.mkdir(parents=True, exist_ok=True)
    for seed in range(first, first + seeds):
        keras.backend.clear_session()
        model = random_model(random.Random(f"operators {seed}"), count)
        save(model, folder / f"keras{MAJOR}_operators_{seed}", seed, "keras")


if __name__ == "__main__":
    given = sys.argv[2:]
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "data", *map(int, given or (0, 1, 45)))
