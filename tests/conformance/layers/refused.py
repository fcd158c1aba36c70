"""What can never become hardware: each case must be refused."""

from __future__ import annotations

from collections.abc import Callable

from conformance.script import Script, Value


def text(expression: str, *shape: int) -> Callable[[Script], Value]:
    """One layer with settings that mean something else than a function of the input."""
    return lambda s: s.value(expression.format(s.input(shape)))


def dynamic(s: Script) -> Value:
    return s.layer("LSTM", s.input((None, 3)), units=2)


def masked_embedding(s: Script) -> Value:
    rows = s.layer("Embedding", s.input((4,), rows=5), input_dim=5, output_dim=2, mask_zero=True)
    return s.layer("LSTM", rows, units=2)


def custom(s: Script) -> Value:
    s.run(
        "class Mine(layers.Layer):\n"
        "    def call(self, x):\n"
        "        return 2 * x\n"
        "    def compute_output_shape(self, shape):\n"
        "        return shape"
    )
    return s.value(f"Mine()({s.input((3,))})")


def stateful(s: Script) -> Value:
    name = s.name("x")
    s.run(f"{name} = keras.Input(batch_shape=(5, 4, 3))")
    s.inputs.append(Value(name, (4, 3)))
    return s.layer(s.one("LSTM", "GRU", "SimpleRNN"), s.inputs[0], units=2, stateful=True)


def category_encoding(s: Script) -> Value:
    return s.layer("CategoryEncoding", s.input((1,), rows=4), num_tokens=4, output_mode="one_hot")


CASES = {
    "Lambda": text("layers.Lambda(lambda v: v * 2, output_shape=(3,))({})", 3),
    "Masking": text("layers.LSTM(2)(layers.Masking()({}))", 4, 3),
    "mask_zero": masked_embedding,
    "shape that is not fixed": dynamic,
    "stateful": stateful,
    "custom layer": custom,
    "training=True": text("layers.Dropout(0.5)({}, training=True)", 3),
    "ConvLSTM1D": text("layers.ConvLSTM1D(2, 2)({})", 3, 4, 2),
    "RandomFlip": text("layers.RandomFlip()({})", 4, 4, 3),
    "Resizing": text("layers.Resizing(2, 2)({})", 4, 4, 3),
    "CenterCrop": text("layers.CenterCrop(2, 2)({})", 4, 4, 3),
    "Discretization": text("layers.Discretization([0.0, 1.0])({})", 3),
    "CategoryEncoding": category_encoding,
}
