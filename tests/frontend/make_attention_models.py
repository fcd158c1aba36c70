"""Make models of attention layers and of wrappers with random settings.

    python make_attention_models.py [folder [first seed [number of seeds [layers in a model]]]]

Files and arrays are as in `make_spatial_models.py`: `<keras2|keras3>_attention_<seed>` and `..._wrapped_<seed>`. The
committed files:

    python make_attention_models.py data 0 1 8

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
from keras import Input, Model, Sequential, layers
from make_sequence_models import cell_settings, flat
from make_spatial_models import MAJOR, save

Values = list[object]


def multi_head(rng: random.Random, sources: dict[str, object]) -> Values:
    """Self or cross attention over the sequences, or over some axes of the grids."""
    grid = rng.random() < 0.35
    query = sources["grid" if grid else "q"]
    value = query if rng.random() < 0.4 else sources["grid2" if grid else "v"]
    settings: dict[str, object] = {
        "num_heads": rng.choice([1, 2, 3]),
        "key_dim": rng.choice([1, 2, 3, 4]),
        "use_bias": rng.random() < 0.7,
    }
    if rng.random() < 0.5:
        settings["value_dim"] = rng.randint(1, 4)
    if rng.random() < 0.3:
        settings["output_shape"] = rng.choice([5, (2, 3)] if MAJOR == 3 or not grid else [5])
    if grid:
        settings["attention_axes"] = rng.choice([None, (2,), (1, 2), (-2,)] if value is query else [(2,)])
    scores = rng.random() < 0.3
    key = {"key": sources["k"]} if value is sources["v"] and rng.random() < 0.5 else {}
    layer = layers.MultiHeadAttention(**settings)
    return flat(layer(query, value, return_attention_scores=scores, **key))


def grouped(rng: random.Random, sources: dict[str, object]) -> Values:
    keys = rng.choice([1, 2])
    heads = keys * rng.choice([1, 2, 3])
    layer = layers.GroupQueryAttention(rng.randint(1, 4), heads, keys, use_bias=rng.random() < 0.6)
    return flat(layer(sources["q"], sources[rng.choice(["q", "q2"])], return_attention_scores=rng.random() < 0.3))


def plain(rng: random.Random, sources: dict[str, object]) -> Values:
    """Without heads: queries and keys of as many features."""
    query, value = sources["q"], sources[rng.choice(["q", "q2"])]
    additive = rng.random() < 0.4
    key = additive or rng.random() < 0.6 or value is query  # Keras' AdditiveAttention needs values like its keys
    tensors = [query, value] if key else [query, sources["v2"], value]
    if additive:
        layer = layers.AdditiveAttention(use_scale=rng.random() < 0.6)
    else:
        layer = layers.Attention(use_scale=rng.random() < 0.5, score_mode=rng.choice(["dot", "concat"]))
    return flat(layer(tensors, return_attention_scores=rng.random() < 0.3))


def attention(rng: random.Random, count: int) -> Model:
    inputs = {
        "q": Input((5, 6), name="q"), "v": Input((7, 4), name="v"), "k": Input((7, 3), name="k"),
        "q2": Input((4, 6), name="q2"), "v2": Input((4, 3), name="v2"),
        "grid": Input((3, 4, 5), name="grid"), "grid2": Input((3, 2, 6), name="grid2"),
    }  # fmt: skip
    drawn = [multi_head, multi_head, plain, *([grouped] if MAJOR == 3 else [])]
    outputs: Values = [getattr(layers, f"GlobalMaxPooling{len(x.shape) - 2}D")()(x) for x in inputs.values()]
    for number in range(count):
        outputs += drawn[number](rng, inputs) if number < len(drawn) else rng.choice(drawn)(rng, inputs)
    return Model(list(inputs.values()), outputs, name="attention")


def small_model(rng: random.Random, shape: tuple[int, ...]) -> object:
    """A model for one step of a sequence of images: Sequential, or Functional with a sum."""
    x = Input(shape)
    y = layers.Conv2D(2, 2, padding="same", activation="relu")(x)
    if rng.random() < 0.5:
        return Sequential([Input(shape), layers.Conv2D(2, 2), layers.Flatten(), layers.Dense(3)])
    return Model(x, layers.GlobalMaxPooling2D()(layers.Add()([y, layers.Conv2D(2, 1)(x)])))


def wrapped(rng: random.Random, count: int) -> Model:
    """TimeDistributed around everything, and stacks of recurrent cells."""
    films, rows, x = Input((3, 5, 4, 2), name="films"), Input((3, 6, 2), name="rows"), Input((4, 3), name="x")
    strides = {"strides": rng.randint(1, 2)}
    film: list[Callable[[], object]] = [
        lambda: layers.Conv2D(2, (2, 3), padding="same", activation="softmax", **strides),
        lambda: layers.Conv2D(4, 2, groups=2, dilation_rate=2),
        lambda: layers.DepthwiseConv2D(2, depth_multiplier=2, **strides),
        lambda: layers.SeparableConv2D(3, 2, activation="relu"),
        lambda: layers.Conv2DTranspose(2, 3, padding=rng.choice(["same", "valid"]), **strides),
        lambda: layers.MaxPooling2D(2, padding=rng.choice(["same", "valid"])),
        lambda: layers.AveragePooling2D((2, 1), padding="same"),
        lambda: layers.GlobalAveragePooling2D(keepdims=rng.random() < 0.5),
        lambda: layers.GlobalMaxPooling2D(),
        lambda: layers.ZeroPadding2D(((0, 1), (2, 0))),
        lambda: layers.Cropping2D(1),
        lambda: layers.UpSampling2D(2, interpolation="nearest"),
        lambda: layers.Permute((3, 1, 2)),
        lambda: small_model(rng, (5, 4, 2)),
    ]
    row: list[Callable[[], object]] = [
        lambda: layers.Conv1D(3, 3, padding=rng.choice(["same", "causal"]), activation="relu", **strides),
        lambda: layers.Conv1DTranspose(2, 2, **strides),
        lambda: layers.MaxPooling1D(2),
        lambda: layers.GlobalAveragePooling1D(),
        lambda: layers.LSTM(2, return_sequences=rng.random() < 0.5, go_backwards=rng.random() < 0.5),
        lambda: layers.Bidirectional(layers.GRU(2)),
        lambda: layers.PReLU(shared_axes=rng.choice([None, [1]])),
        lambda: Sequential([Input((6, 2)), layers.LSTM(3), layers.Dense(2, activation="tanh")]),
        lambda: layers.ZeroPadding1D(1),
    ]
    outputs: Values = []
    for number in range(count):
        kind = number % 3
        if kind == 2:
            outputs += stacked(rng, x)
            continue
        outputs.append(layers.TimeDistributed(rng.choice(row if kind else film)())(rows if kind else films))
    return Model([films, rows, x], outputs, name="wrapped")


def stacked(rng: random.Random, x: object) -> Values:
    """RNN around a list of cells."""
    kinds = [rng.choice(["SimpleRNN", "LSTM", "GRU"]) for _ in range(rng.randint(2, 3))]
    cells = [getattr(layers, f"{kind}Cell")(**cell_settings(rng, kind)) for kind in kinds]
    settings = {key: rng.random() < 0.5 for key in ("return_sequences", "return_state", "go_backwards")}
    return flat(layers.RNN(cells, **settings)(x))


def main(folder: Path, first: int, seeds: int, count: int) -> None:
    """All models of this Keras."""
    folder.mkdir(parents=True, exist_ok=True)
    for seed in range(first, first + seeds):
        for family, make in (("attention", attention), ("wrapped", wrapped)):
            for kind in ("keras", "h5"):
                keras.backend.clear_session()
                model = make(random.Random(f"{family} {seed}"), count if kind == "keras" else 3)
                name = f"keras{MAJOR}_{family}_{seed}" + ("_by_name" if kind == "h5" else "")
                save(model, folder / name, seed, kind)


if __name__ == "__main__":
    given = sys.argv[2:]
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "data", *map(int, given or (0, 1, 8)))
