"""Make models of HGQ2 layers with random quantizers, and what HGQ2 predicts.

    python make_hgq2_models.py [folder [first seed [number of seeds [layers in a model]]]]

Each file `hgq2_<seed>.keras` is one model: two inputs, and one output for each layer with settings, quantizers and bit
widths drawn at random. Beside it is `.npz` with inputs `x0...` and outputs `y0...`. All values have fewer than 24 bits,
so that float32 rounds nothing but what tables and normalizations hold, and outputs are equal to the bit. The committed
files:

    python make_hgq2_models.py data 0 2 12

Made with HGQ2 0.1 and Keras 3 (TensorFlow).
"""

from __future__ import annotations

import os
import random
import sys
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from hgq import layers
from hgq.config import QuantizerConfig
from keras import Input, Model
from make_spatial_models import compress

SAMPLES = 8
SINGLE = ["QDense", "QConv1D", "QEinsumDense", "QBatchNormalization", "QUnaryFunctionLUT", "QSoftmax", "QSum",
          "QMeanPow2", "QMaxPooling1D", "QBatchNormDense", "QAveragePooling1D"]  # fmt: skip
MERGES = ["QAdd", "QSubtract", "QMultiply", "QMaximum", "QMinimum", "QAveragePow2"]
ROUND = ["TRN", "RND", "RND_CONV"]
OVERFLOW = ["WRAP", "SAT", "SAT_SYM"]


def quantizer(rng: random.Random, place: str) -> QuantizerConfig:
    """Any fixed-point quantizer; a table and a weight have no wrapping."""
    overflow = rng.choice(OVERFLOW if place == "datalane" else OVERFLOW[1:])
    axes = rng.choice([{}, {"homogeneous_axis": None, "heterogeneous_axis": ()}])
    modes = {"round_mode": rng.choice(ROUND), "overflow_mode": overflow}
    return QuantizerConfig(rng.choice(["kif", "kbi"]), place, **modes, **axes)


def settings(rng: random.Random, kind: str) -> dict[str, object]:
    """Arguments of a layer."""
    found: dict[str, object] = {"enable_oq": rng.random() < 0.4, "oq_conf": quantizer(rng, "datalane")}
    if kind in MERGES:
        return found | {"iq_confs": [quantizer(rng, "datalane") for _ in range(2)]}
    found["iq_conf"] = quantizer(rng, "datalane")
    if kind in ("QDense", "QConv1D", "QEinsumDense", "QBatchNormalization", "QBatchNormDense"):
        found |= {"kq_conf": quantizer(rng, "weight"), "bq_conf": quantizer(rng, "bias")}
    activation = rng.choice([None, "relu"])
    extra: dict[str, dict[str, object]] = {
        "QDense": {"units": rng.randint(1, 4), "use_bias": rng.random() < 0.7, "activation": activation},
        "QBatchNormDense": {"units": rng.randint(1, 4), "activation": activation},
        "QConv1D": {"filters": rng.randint(1, 3), "kernel_size": rng.randint(1, 3), "activation": activation,
                    "padding": rng.choice(["valid", "same"])},
        "QEinsumDense": {"equation": "abc,cd->abd", "output_shape": (6, rng.randint(1, 3)),
                         "bias_axes": rng.choice([None, "d"])},
        "QBatchNormalization": {"axis": rng.choice([-1, 1])},
        "QUnaryFunctionLUT": {"activation": rng.choice(["tanh", "sigmoid", "relu"]), "enable_oq": True,
                              "oq_conf": quantizer(rng, "table")},
        "QSoftmax": {"stable": True, "enable_iq": True},
        "QSum": {"axes": rng.choice([-1, 1]), "keepdims": rng.random() < 0.5, "scale": rng.choice([1.0, 0.5, 4.0])},
        "QMeanPow2": {"axes": rng.choice([-1, 1])},
        "QMaxPooling1D": {"pool_size": rng.randint(1, 3)},
        "QAveragePooling1D": {"pool_size": rng.choice([1, 2])},
    }  # fmt: skip
    return found | extra.get(kind, {})


def random_model(rng: random.Random, count: int) -> Model:
    """Layers side by side, some of them on what another one made."""
    inputs = [Input((6, 4), name="x0"), Input((6, 4), name="x1")]
    outputs: list[object] = [layers.QAdd(name="first")(inputs)]
    while len(outputs) < count:
        kind = rng.choice(SINGLE + MERGES)
        x = inputs if kind in MERGES else inputs[rng.randrange(2)]
        try:
            y = getattr(layers, kind)(**settings(rng, kind), name=f"l{len(outputs)}")(x)
        except AssertionError:  # some layers cannot quantize their output
            continue
        if rng.random() < 0.3 and len(y.shape) == 3:
            y = layers.QDense(2, name=f"l{len(outputs)}_dense", iq_conf=quantizer(rng, "datalane"))(y)
        outputs.append(y)
    return Model(inputs, outputs, name="hgq2")


def randomize(model: Model, rng: np.random.Generator) -> None:
    """Random weights, and random widths for every element that has its own."""
    for variable in model.variables:
        path, shape = variable.path, variable.shape
        name = path.rpartition("/")[2]
        if name == "i":
            variable.assign(rng.integers(0, 3, shape).astype(np.float32))
        elif name in ("f", "b"):
            variable.assign(rng.integers(1, 5, shape).astype(np.float32))
        elif name in ("kernel", "bias", "bn_beta", "bn_gamma", "moving_mean"):
            variable.assign(rng.normal(0, 0.8, shape).astype(np.float32))
        elif name == "moving_variance":
            variable.assign(rng.uniform(0.3, 2.0, shape).astype(np.float32))


def main(folder: Path, first: int, seeds: int, count: int) -> None:
    """All models."""
    folder.mkdir(parents=True, exist_ok=True)
    for seed in range(first, first + seeds):
        model = random_model(random.Random(seed), count)
        rng = np.random.default_rng(seed)
        randomize(model, rng)
        inputs = [(np.round(rng.normal(0, 1.5, (SAMPLES, *x.shape[1:])) * 32) / 32).astype(np.float32)
                  for x in model.inputs]  # fmt: skip
        outputs = model(inputs, training=False)
        arrays = {f"x{i}": x for i, x in enumerate(inputs)} | {f"y{i}": np.asarray(y) for i, y in enumerate(outputs)}
        np.savez_compressed(folder / f"hgq2_{seed}.npz", **arrays)
        file = folder / f"hgq2_{seed}.keras"
        model.save(file)
        compress(file)
        keras.backend.clear_session()


if __name__ == "__main__":
    given = sys.argv[2:]
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "data", *map(int, given or (0, 2, 12)))
