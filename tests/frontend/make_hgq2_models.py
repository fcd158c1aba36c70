"""Make models of HGQ2 layers with random quantizers, and what HGQ2 predicts.

    python make_hgq2_models.py [folder [first seed [number of seeds [layers in a model [families ...]]]]]

Each file `hgq2_<seed>.keras`, or `hgq2_<family>_<seed>.keras`, is one model: two inputs, and outputs for each layer
with settings, quantizers and bit widths drawn at random. Beside it is `.npz` with inputs `x0...` and outputs `y0...`.
All values have fewer than 24 bits, so that float32 rounds nothing but what tables and normalizations hold, and outputs
are equal to the bit. The committed files:

    python make_hgq2_models.py data 0 2 12 layers
    python make_hgq2_models.py data 0 1 4 attention product recurrent

Made with HGQ2 0.1, those of a family with HGQ2 0.2, and Keras 3 (TensorFlow).
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
from hgq.config import HardTanhConfig, QuantizerConfig
from hgq.quantizer import Quantizer
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


def confs(rng: random.Random, names: str, place: str = "datalane") -> dict[str, object]:
    """Quantizers under these names."""
    return {f"{name}_conf": quantizer(rng, place) for name in names.split()}


def attention(rng: random.Random, inputs: list[object], name: str) -> list[object]:
    """A layer with heads: on itself or on both inputs, over one or two axes."""
    heads, size = rng.randint(1, 3), rng.randint(1, 4)
    found = {
        "value_dim": rng.choice([None, rng.randint(1, 3)]), "use_bias": rng.random() < 0.7,
        "output_shape": rng.choice([None, 2, 3]), "stable_softmax": rng.random() < 0.8,
        "dropout": 0.1,
        **confs(rng, "qkvo_iq qkvo_oq softmax_exp_iq softmax_inv_iq softmax_oq"), **confs(rng, "qkvo_kq", "weight"),
        **confs(rng, "qkvo_bq", "bias"), **confs(rng, "softmax_exp_oq softmax_inv_oq", "table"),
    }  # fmt: skip
    pair = [inputs[0], inputs[0]] if rng.random() < 0.5 else list(inputs)
    scores = {"return_attention_scores": rng.random() < 0.3}
    if rng.random() < 0.4:
        shared = rng.random() < 0.5
        layer = layers.QLinformerAttention(heads, rng.randint(1, 4), size, share_kv_proj=shared, name=name, **found)
    else:
        fuse = rng.choice(["none", "kv", "qkv"] if pair[0] is pair[1] else ["none", "kv"])
        layer = layers.QMultiHeadAttention(heads, size, fuse=fuse, name=name, **found)
        if rng.random() < 0.3:
            split = [keras.layers.Reshape((2, 3, 4))(x) for x in pair]
            layer = layers.QMultiHeadAttention(heads, size, fuse=fuse, name=name, **found)
            pair = split
    made = layer(*pair, **scores)
    return list(made) if isinstance(made, (list, tuple)) else [made]


def product(rng: random.Random, inputs: list[object], name: str) -> list[object]:
    """Sums of products of inputs, and of an input and weights with a normalization."""
    common: dict[str, object] = {"enable_oq": rng.random() < 0.4, "oq_conf": quantizer(rng, "datalane"), "name": name}
    kind = rng.choice(["QEinsum", "QEinsumDenseBatchnorm", "QDot", "QConv2D", "QPooling2D", "Quantizer", "Affined"])
    if kind == "QEinsum":
        equation = rng.choice(["bij,bkj->bik", "bij,bij->bj", "bij,bik->bjk", "bij,bkl->bil", "...ij,...kj->...ki",
                               "bij,bkj,bij->bk", "bij->bji", "bij,bkj->bi"])  # fmt: skip
        count = equation.count(",") + 1
        used = [inputs[rng.randrange(2)] for _ in range(count)]
        return [layers.QEinsum(equation, iq_confs=[quantizer(rng, "datalane") for _ in used], **common)(used)]
    if kind == "QDot":
        pair = {"iq_confs": [quantizer(rng, "datalane") for _ in inputs]}
        return [layers.QDot(axes=rng.choice([1, 2]), **pair, **common)(inputs)]
    common["iq_conf"] = quantizer(rng, "datalane")
    x = inputs[rng.randrange(2)]
    if kind == "QEinsumDenseBatchnorm":
        equation, shape, axes = rng.choice([("bij,jk->bik", (6, 3), "k"), ("bij,jkl->bilk", (6, 2, 3), "k"),
                                            ("bij,ijk->bk", (2,), "k"), ("bij,ijk->bik", (6, 2), "ik")])  # fmt: skip
        weights = {"kq_conf": quantizer(rng, "weight"), "bq_conf": quantizer(rng, "bias")}
        activation = rng.choice([None, "relu"])
        return [layers.QEinsumDenseBatchnorm(equation, shape, bias_axes=axes, activation=activation, **weights,
                                             **common)(x)]  # fmt: skip
    if kind == "Quantizer":
        scaled = {"scaler": rng.choice([None, 0.5, 4.0]), "affine": rng.choice([None, (0.25, 0.5), (-2.0, 1.0)])}
        conf = QuantizerConfig("kif", "datalane", overflow_mode=rng.choice(OVERFLOW), **scaled)
        return [Quantizer(conf, name=name)(x)]
    if kind == "Affined":
        table = quantizer(rng, "table")
        return [layers.QAffinedUnaryFunctionLUT(rng.choice(["tanh", "sigmoid", "relu"]),
                                                **common | {"enable_oq": True, "oq_conf": table})(x)]  # fmt: skip
    x = keras.layers.Reshape((3, 4, 2))(x)
    if kind == "QPooling2D":
        pool = rng.choice([layers.QMaxPooling2D, layers.QAveragePooling2D])
        return [pool((1, 2), **common)(x)]
    weights = {"kq_conf": quantizer(rng, "weight"), "bq_conf": quantizer(rng, "bias")}
    return [layers.QConv2D(rng.randint(1, 3), (2, 2), padding=rng.choice(["valid", "same"]), **weights, **common)(x)]


def recurrent(rng: random.Random, inputs: list[object], name: str) -> list[object]:
    """A recurrent layer, perhaps with a first state."""
    kind = rng.choice([layers.QSimpleRNN, layers.QGRU])
    units = rng.randint(1, 3)
    found = {
        "use_bias": rng.random() < 0.7, "return_sequences": rng.random() < 0.6, "return_state": rng.random() < 0.3,
        "go_backwards": rng.random() < 0.3, "name": name, **confs(rng, "iq sq"), **confs(rng, "kq rkq", "weight"),
        **confs(rng, "bq", "bias"),
    }  # fmt: skip
    activation, gate = rng.choice(["linear", "linear", "relu"]), rng.choice(["linear", "relu"])
    if rng.random() < 0.5:
        found |= {"paq_conf": rng.choice([quantizer(rng, "datalane"), HardTanhConfig()])}
    if kind is layers.QSimpleRNN:
        found |= {"enable_sq": rng.random() < 0.5, "activation": activation}
    else:
        found |= {"reset_after": rng.random() < 0.5, **confs(rng, "rhq"), "activation": activation,
                  "recurrent_activation": gate}  # fmt: skip
        found |= {"praq_conf": quantizer(rng, "datalane")} if rng.random() < 0.4 else {}
    x = inputs[rng.randrange(2)]
    made = kind(units, **found)(x)
    return list(made) if isinstance(made, (list, tuple)) else [made]


FAMILIES = {"attention": attention, "product": product, "recurrent": recurrent}


def family_model(rng: random.Random, family: str, count: int) -> Model:
    """Layers of a family side by side."""
    inputs = [Input((6, 4), name="x0"), Input((6, 4), name="x1")]
    outputs: list[object] = [layers.QAdd(name="first")(inputs)]
    for number in range(count):
        made: list[object] = []
        while not made:
            try:
                made = FAMILIES[family](rng, inputs, f"l{number}")
            except AssertionError:  # some layers cannot quantize their output
                continue
        outputs += made
    return Model(inputs, outputs, name=f"hgq2_{family}")


def randomize(model: Model, rng: np.random.Generator) -> None:
    """Random weights, and random widths for every element that has its own."""
    for variable in model.variables:
        path, shape = variable.path, variable.shape
        name = path.rpartition("/")[2]
        if name == "i":
            variable.assign(rng.integers(0, 3, shape).astype(np.float32))
        elif name in ("f", "b"):
            variable.assign(rng.integers(1, 5, shape).astype(np.float32))
        elif name in ("kernel", "recurrent_kernel", "bias", "bn_beta", "bn_gamma", "gamma", "scale", "moving_mean"):
            variable.assign(rng.normal(0, 0.8, shape).astype(np.float32))
        elif name == "moving_variance":
            variable.assign(rng.uniform(0.3, 2.0, shape).astype(np.float32))


def main(folder: Path, first: int, seeds: int, count: int, *families: str) -> None:
    """All models of these families, of which `layers` is the one of single layers."""
    folder.mkdir(parents=True, exist_ok=True)
    for family in families or ("layers",):
        for seed in range(first, first + seeds):
            if family == "layers":
                make(random_model(random.Random(seed), count), seed, folder / f"hgq2_{seed}")
            else:
                model = family_model(random.Random(f"{family} {seed}"), family, count)
                make(model, seed, folder / f"hgq2_{family}_{seed}")


def make(model: Model, seed: int, path: Path) -> None:
    """The model with random weights, its inputs and outputs."""
    rng = np.random.default_rng(seed)
    randomize(model, rng)
    inputs = [(np.round(rng.normal(0, 1.5, (SAMPLES, *x.shape[1:])) * 32) / 32).astype(np.float32)
              for x in model.inputs]  # fmt: skip
    outputs = model(inputs, training=False)
    arrays = {f"x{i}": x for i, x in enumerate(inputs)} | {f"y{i}": np.asarray(y) for i, y in enumerate(outputs)}
    np.savez_compressed(path.with_name(f"{path.name}.npz"), **arrays)
    file = path.with_name(f"{path.name}.keras")
    model.save(file)
    compress(file)
    keras.backend.clear_session()


if __name__ == "__main__":
    given = sys.argv[2:]
    numbers = tuple(map(int, given[:3])) or (0, 2, 12)
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "data", *numbers, *given[3:])
