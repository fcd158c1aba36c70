"""Make proxy models as HGQ writes them, with random bit widths, and what they predict.

    python make_hgq_models.py [folder [first seed [number of seeds [layers in a model]]]]

Each file `hgq_<seed>.h5` is one model: quantizers of every mode with a type for each element, tables, and layers of
Keras whose weights are on a grid. Beside it is `.npz` with inputs `x0...` and outputs `y0...`. All values have fewer
than 24 bits, so that outputs are equal to the bit. The committed files:

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


if __name__ == "__main__":
    given = sys.argv[2:]
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "data", *map(int, given or (0, 2, 8)))
