"""Make models of HGQ with random bit widths, and what they predict: proxy models, and one in training.

    python make_hgq_models.py [folder [first seed [number of seeds [layers in a model]]]]

Each file `hgq_<seed>.h5` is one proxy model: quantizers of every mode with a type for each element, tables, and layers
of Keras whose weights are on a grid; `hgq_training_0.h5` and `.keras` are a model of HGQ's own layers. Beside each is
`.npz` with inputs `x0...` and outputs `y0...`. All values have fewer than 24 bits: outputs are equal to the bit.
The committed files:

    python make_hgq_models.py data 0 2 8

Made with HGQ 0.2.6 and TensorFlow 2.15.0.
"""

from __future__ import annotations

import os
import random
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf
from HGQ import layers as own
from HGQ.proxy.fixed_point_quantizer import RND_MAP, SAT_MAP, FixedPointQuantizer
from HGQ.proxy.unary_lut import UnaryLUT
from keras import Input, Model, layers

SAMPLES = 8


def quantizer(rng: random.Random, shape: tuple[int, ...]) -> FixedPointQuantizer:
    """Of values of this shape; widths differ along some axes, and some are zero."""
    own = (1, *(n if rng.random() < 0.6 else 1 for n in shape))
    own = rng.choice([own, (1,)])
    draw = np.random.default_rng(rng.randrange(1 << 30))
    bits = draw.integers(0, 8, own).astype(np.int8)
    signed = draw.integers(0, 2, own).astype(np.int8) * (bits > 0)
    integers = draw.integers(-1, 5, own).astype(np.int8)
    overflow = rng.choice([mode for mode in SAT_MAP if mode != "WRAP_SM"])
    return FixedPointQuantizer(signed.astype(np.int8), bits, integers, rng.choice(list(RND_MAP)), overflow)


def layer(rng: random.Random, x: object) -> object:
    """A layer, and the quantizer after it."""
    kind = rng.choice(["dense", "conv", "relu", "table", "quantizer", "quantizer", "add"])
    if kind == "dense":
        x = layers.Dense(rng.randint(1, 4))(x)
    elif kind == "conv":
        x = layers.Conv1D(rng.randint(1, 3), 2)(x)
    elif kind == "relu":
        x = layers.Activation("relu")(x)
    elif kind == "add":
        x = layers.Add()([x, x])
    elif kind == "table":
        k, i, f = rng.randint(0, 1), rng.randint(0, 2), rng.randint(1, 4)
        widths = [np.full((1,), n, np.int8) for n in (k, k + i + f, k + i)]
        x = FixedPointQuantizer(*widths, "TRN", "WRAP")(x)
        table = np.random.default_rng(rng.randrange(1 << 30)).normal(0, 1, 2 ** (k + i + f)).astype(np.float32)
        return UnaryLUT((k, i, f), (1, 2, 5), "RND", "SAT", table=table)(x)
    return quantizer(rng, x.shape[1:])(x)


def widths(trainable: bool, **settings: object) -> dict[str, object]:
    """The configuration of one of HGQ's quantizers, without the regularizer, which HGQ does not read from `.keras`."""
    return {"init_bw": 2, "skip_dims": (0,), "rnd_strategy": "standard_round", "exact_q_value": True, "dtype": None,
            "bw_clip": (-23, 23), "trainable": trainable, "regularizer": None, "minmax_record": True,
            **settings}  # fmt: skip


def training(folder: Path, draw: np.random.Generator) -> None:
    """A model of HGQ's own layers, with widths for single weights and elements, of which some leave nothing."""
    plain, floor, one = widths(True), widths(False, rnd_strategy="floor"), widths(True, skip_dims="all")
    kernel = widths(True, skip_dims=None)
    x = Input((6, 5, 2), name="x0")
    y = own.HQuantize(paq_conf=plain, name="quantize")(x)
    y = own.HConv2D(3, 2, activation="relu", kq_conf=kernel, paq_conf=floor, name="conv")(y)
    y = own.PMaxPooling2D(2, name="pool")(y)
    y = own.HConv2DBatchNorm(2, (2, 1), kq_conf=one, paq_conf=plain, name="folded")(y)
    y = own.PFlatten(name="flat")(y)
    z = own.HActivation("relu", paq_conf={**plain, "rnd_strategy": "auto"}, name="activation")(y)
    y = own.PConcatenate(name="both")([own.HAdd(paq_conf=one, name="add")([y, z]), z])
    y = own.HDense(4, activation="relu", kq_conf=kernel, paq_conf={**one, "rnd_strategy": "auto"}, name="dense")(y)
    y = own.HDenseBatchNorm(3, use_bias=False, kq_conf={**kernel, "trainable": False}, paq_conf=plain, name="last")(y)
    model = Model(x, y, name="training")
    for layer in model.layers:
        for weight in layer.weights:
            kind = weight.name.rpartition("/")[2]
            if "_bw" in kind:
                weight.assign(draw.integers(-1, 4, weight.shape) - 9.0 * (draw.random(weight.shape) < 0.1) + 0.3)
            elif "bops" not in kind and "step" not in kind and weight.shape.rank:
                values = draw.normal(0, 0.7, weight.shape)
                weight.assign(np.abs(values) + 0.3 if "variance" in kind else values)
    given = (np.round(draw.normal(0, 1, (SAMPLES, 6, 5, 2)) * 16) / 16).astype(np.float32)
    for ending in ("h5", "keras"):
        model.save(folder / f"hgq_training_0.{ending}")
    np.savez_compressed(folder / "hgq_training_0.npz", x0=given, y0=np.asarray(model(given, training=False)))


def main(folder: Path, first: int, seeds: int, count: int) -> None:
    """All models."""
    folder.mkdir(parents=True, exist_ok=True)
    for seed in range(first, first + seeds):
        keras.backend.clear_session()
        rng, draw = random.Random(seed), np.random.default_rng(seed)
        inputs = [Input((6, 4), name="x0"), Input((5, 3), name="x1")]
        outputs = [layer(rng, layer(rng, inputs[n % 2])) for n in range(count)]
        model = Model(inputs, outputs, name="hgq")
        for one in model.layers:
            if isinstance(one, layers.Dense | layers.Conv1D):
                one.set_weights([np.round(draw.normal(0, 1, w.shape) * 8) / 8 for w in one.get_weights()])
        x = [(np.round(draw.normal(0, 2, (SAMPLES, *n.shape[1:])) * 32) / 32).astype(np.float32) for n in model.inputs]
        y = model(x, training=False)
        arrays = {f"x{i}": v for i, v in enumerate(x)} | {f"y{i}": np.asarray(v) for i, v in enumerate(y)}
        np.savez_compressed(folder / f"hgq_{seed}.npz", **arrays)
        model.save(folder / f"hgq_{seed}.h5")
    tf.config.run_functions_eagerly(True)  # HGQ would compile each layer, which takes seconds
    training(folder, np.random.default_rng(first))


if __name__ == "__main__":
    given = sys.argv[2:]
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "data", *map(int, given or (0, 2, 8)))
