"""Recurrent layers and the wrappers of layers."""

from __future__ import annotations

from collections.abc import Callable

from conformance.layers.activation import functions
from conformance.script import Code, Script, Value, arguments

GATES = ("sigmoid", "sigmoid", "hard_sigmoid", "tanh", "softsign")
BOUNDED = ("tanh", "tanh", "relu", "softsign", "linear", "sigmoid", "hard_sigmoid", "selu")
KINDS = ("SimpleRNN", "LSTM", "GRU")


def cell_settings(s: Script, kind: str) -> dict[str, object]:
    """What a layer and its cell have in common."""
    others = [name for name in functions(s) if name not in ("softmax", "exponential")]
    settings: dict[str, object] = {
        "units": s.size(1, 4),
        "activation": s.maybe(s.one(*BOUNDED) if s.chance(0.8) else s.one(*others)),
        "use_bias": s.maybe(False, 0.3),
    }
    if kind != "SimpleRNN":
        settings["recurrent_activation"] = s.maybe(s.one(*GATES))
    if kind == "GRU":
        settings["reset_after"] = s.maybe(s.chance(0.3))
    return settings


def sequence_settings(s: Script, backwards: bool = True, state: bool = True) -> dict[str, object]:
    return {
        "return_sequences": s.maybe(True),
        "return_state": s.maybe(True, 0.3) if state else False,
        "go_backwards": s.maybe(True, 0.3 if backwards else 0.0),
    }


def make(s: Script, kind: str, cell: bool, **settings: object) -> str:
    """The code of a layer, or of `RNN` around its cell."""
    if cell:
        return f"layers.RNN({arguments(settings, s.make(f'{kind}Cell', **cell_settings(s, kind)))})"
    return s.make(kind, **cell_settings(s, kind), **settings)


def units(s: Script, name: str) -> int:
    layer = s.scope[name]
    return int((layer.cell if hasattr(layer, "cell") else layer.forward_layer.cell).units)


def states(s: Script, name: str, kind: str, directions: int) -> str:
    """Initial states, each from a layer of its own."""
    flat = s.input((s.size(1, 4),))
    count = directions * (2 if kind == "LSTM" else 1)
    found = [s.layer("Dense", flat, units=units(s, name)) for _ in range(count)]
    return f", initial_state=[{', '.join(map(str, found))}]"


def sequence(s: Script) -> Value:
    return s.source((s.size(1, 6), s.size(1, 4)))


def recurrent(kind: str | None) -> Callable[[Script], list[Value]]:
    def build(s: Script) -> list[Value]:
        found, x = kind or s.one(*KINDS), sequence(s)
        if kind is None and s.chance(0.3):
            return stack(s, x)
        name = s.name("layer")
        s.run(f"{name} = {make(s, found, kind is None, **sequence_settings(s))}")
        return s.values(f"{name}({x}{states(s, name, found, 1) if s.chance(0.3) else ''})")

    return build


def stack(s: Script, x: Value) -> list[Value]:
    """Cells one on the other."""
    cells = ", ".join(s.make(f"{kind}Cell", **cell_settings(s, kind)) for kind in s.rng.choices(KINDS, k=s.size(1, 3)))
    return s.values(f"layers.RNN({arguments(sequence_settings(s), f'[{cells}]')})({x})")


def two_directions(s: Script, kind: str, mode: object) -> str:
    """A backward layer of its own."""
    shared, settings = {"units": s.size(1, 3)}, {"return_sequences": s.chance(0.5)}
    ahead, back = ({**cell_settings(s, kind), **shared} for _ in range(2))
    second = s.make(kind, **back, **settings, go_backwards=True)
    words = {"merge_mode": mode, "backward_layer": Code(second)}
    return f"layers.Bidirectional({arguments(words, s.make(kind, **ahead, **settings))})"


def bidirectional(s: Script) -> list[Value]:
    kind, x, cell = s.one(*KINDS), sequence(s), s.chance(0.2)
    if s.chance(0.2):
        return s.values(f"{two_directions(s, kind, s.maybe(s.one('concat', 'sum', 'mul', 'ave')))}({x})")
    mode = s.maybe(s.one("concat", "sum", "mul", "ave", None), 0.8)
    with_state = s.major == 3 and mode is not None  # which Keras itself cannot always do
    inner = make(s, kind, cell, **sequence_settings(s, state=with_state))
    name = s.name("layer")
    s.run(f"{name} = layers.Bidirectional({arguments({'merge_mode': mode}, inner)})")
    if s.chance(0.8):
        return s.values(f"{name}({x})")
    return s.values(f"{name}({x}{states(s, name, kind, 2)})")


def time_distributed(s: Script) -> Value:
    """Around layers of one axis less."""
    x = s.source((s.size(1, 4), *s.shape(1, 3)))
    rank = x.rank - 1
    inner = s.one(
        lambda: s.make("Dense", units=s.size(), activation=s.maybe(s.one("relu", "softmax", "tanh"))),
        lambda: s.make("Activation", activation=s.one(*functions(s))),
        lambda: s.make("ReLU", max_value=s.maybe(1.5)),
        lambda: s.make("Softmax", axis=s.maybe(s.axis(rank))),
        lambda: s.make("Flatten"),
        lambda: s.make("Reshape", target_shape=(-1, x.shape[-1])),
        lambda: s.make("BatchNormalization", axis=s.maybe(s.axis(rank))),
        lambda: s.make("LayerNormalization", axis=s.maybe(s.axis(rank))),
        lambda: s.make("Dropout", rate=0.5),
        lambda: s.make("Conv1D", filters=2, kernel_size=s.size(1, 2), padding="same"),
        lambda: s.make("Conv2D", filters=2, kernel_size=s.size(1, 2), padding="same"),
        lambda: s.make("MaxPooling1D", pool_size=1),
        lambda: s.make("GlobalAveragePooling1D"),
        lambda: s.make("LSTM", units=2),
        lambda: f"keras.Sequential([{s.make('Dense', units=2)}, {s.make('ReLU')}])",
    )()
    return s.value(f"layers.TimeDistributed({inner})({x})")


CASES = {
    **{kind: recurrent(kind) for kind in KINDS},
    "RNN": recurrent(None),
    "Bidirectional": bidirectional,
    "TimeDistributed": time_distributed,
}
