"""Models in models, layers that are used twice, chains and graphs of many layers."""

from __future__ import annotations

import math
from collections.abc import Callable

from conformance.layers.activation import fused
from conformance.script import Script, Value

Step = Callable[[Script, Value], Value]


def nested(s: Script) -> list[Value]:
    """A Functional or Sequential model as a layer, called once or twice, perhaps itself in another."""
    shape = s.shape(1, 2)
    if s.chance(0.4):
        parts = [s.make("Dense", units=s.size(), **fused(s)), s.make("ReLU"), s.make("Dense", units=2)]
        first = [f"keras.Input({shape!r})"] if s.chance(0.7) else []
        text = f"keras.Sequential([{', '.join(first + parts)}])"
    else:
        inner = s.name("inner")
        s.run(f"{inner} = keras.Input({shape!r})")
        s.run(f"{inner}_a = {s.make('Dense', units=s.size(), **fused(s))}({inner})")
        s.run(f"{inner}_b = {s.make('BatchNormalization')}({inner}_a)")
        outputs = s.one(f"{inner}_b", f"[{inner}_b, {inner}_a]", f"{inner}_a")
        text = f"keras.Model({inner}, {outputs})"
    name = s.name("model")
    s.run(f"{name} = {text}")
    if s.chance(0.3):
        outer = s.name("inner")
        s.run(f"{outer} = keras.Input({shape!r})")
        s.run(f"{name} = keras.Model({outer}, {name}({outer}))")
    found = s.values(f"{name}({s.source(shape)})")
    return [*found, *s.values(f"{name}({s.source(shape)})")] if s.chance(0.5) else found


def shared(s: Script) -> list[Value]:
    """One layer on two inputs, or on what it made."""
    shape = s.shape(1, 2)
    name = s.name("layer")
    made = s.one(
        s.make("Dense", units=shape[-1], **fused(s)),
        s.make("BatchNormalization"),
        s.make("PReLU"),
        s.make("ReLU", max_value=2.0),
    )
    s.run(f"{name} = {made}")
    first = s.value(f"{name}({s.source(shape)})")
    second = s.value(f"{name}({first if s.chance(0.4) else s.source(shape)})")
    return [first, second] if s.chance(0.5) else [s.layer("Add", [first, second])]


def several(s: Script) -> list[Value]:
    """Inputs and outputs in an order of their own; a value that is an output twice, one that is not used."""
    values = [s.source(s.shape(1, 2)) for _ in range(s.size(2, 3))]
    outputs = [s.layer("Dense", x, units=s.size(), **fused(s)) for x in values]
    outputs += [s.layer("Activation", s.rng.choice(outputs), activation="sigmoid")]
    s.rng.shuffle(outputs)
    s.rng.shuffle(s.inputs)
    return outputs


def _conv(s: Script, x: Value) -> Value:
    kind = s.one("", "Depthwise", "Separable") if x.rank in (2, 3) else ""
    words = {} if kind == "Depthwise" else {"filters": s.size(1, 4)}
    name = f"{kind}Conv{x.rank - 1}D"
    return s.layer(name, x, kernel_size=s.size(1, 3), padding="same", **words, **fused(s))


def _pool(s: Script, x: Value) -> Value:
    return s.layer(f"{s.one('Max', 'Average')}Pooling{x.rank - 1}D", x, pool_size=2, padding="same")


def _merged(s: Script, x: Value) -> Value:
    other = s.layer("Dense", x, units=x.shape[-1], **fused(s))
    return s.layer(s.one("Add", "Multiply", "Maximum", "Average", "Concatenate", "Subtract"), [x, other])


def _reshaped(s: Script, x: Value) -> Value:
    if x.rank == 1:
        return s.layer("Reshape", x, target_shape=(s.one(1, x.shape[0]), -1))
    return s.layer("Permute", x, dims=tuple(s.rng.sample(range(1, x.rank + 1), x.rank)))


STEPS: tuple[tuple[int, int, Step], ...] = (
    (1, 4, lambda s, x: s.layer("Dense", x, units=s.size(), **fused(s))),
    (1, 4, lambda s, x: s.layer("Activation", x, activation=s.one("relu", "tanh", "softmax", "gelu", "hard_sigmoid"))),
    (1, 4, lambda s, x: s.layer("BatchNormalization", x, axis=s.axis(x.rank))),
    (1, 4, lambda s, x: s.layer("LayerNormalization", x)),
    (1, 4, lambda s, x: s.layer("Dropout", x, rate=0.3)),
    (1, 4, lambda s, x: s.layer("PReLU", x)),
    (1, 4, _merged),
    (1, 3, _reshaped),
    (2, 3, _conv),
    (2, 3, _conv),
    (2, 3, _pool),
    (2, 4, lambda s, x: s.layer("Flatten", x)),
    (2, 3, lambda s, x: s.layer(f"ZeroPadding{x.rank - 1}D", x)),
    (2, 3, lambda s, x: s.layer(f"UpSampling{x.rank - 1}D", x)),
    (2, 3, lambda s, x: s.layer(f"Global{s.one('Max', 'Average')}Pooling{x.rank - 1}D", x)),
    (2, 2, lambda s, x: s.layer(s.one("LSTM", "GRU"), x, units=s.size(1, 3), return_sequences=s.chance(0.7))),
)


def chain(s: Script) -> list[Value]:
    """A sequence of three to six layers; what is in the middle is now and then an output too."""
    outputs = []
    x = s.input(s.shape(1, 3))
    for _ in range(s.size(3, 6)):
        least_most = [step for least, most, step in STEPS if least <= x.rank <= most]
        x = s.rng.choice(least_most)(s, x)
        if math.prod(x.shape) > 200:
            x = s.layer("Dense", s.layer("Flatten", x), units=4)
        if s.chance(0.1):
            outputs.append(x)
    return list(dict.fromkeys([*outputs, x]))


def channels_first(s: Script) -> list[Value]:
    """A network in channels_first, with what has to follow the layout."""
    first = {"data_format": "channels_first"}
    x = s.input((s.size(1, 3), s.size(4, 6), s.size(4, 6)))
    for _ in range(s.size(1, 4)):
        step = s.size(0, 5)
        if step <= 1:
            words = {"filters": s.size(1, 3), "kernel_size": s.size(1, 2), "padding": "same"}
            x = s.layer("Conv2D", x, **words, **first, **fused(s))
        elif step == 2:
            x = s.layer("MaxPooling2D", x, pool_size=2, padding="same", **first)
        elif step == 3:
            x = s.layer("BatchNormalization", x, axis=1)
        elif step == 4:
            x = s.layer("PReLU", x, shared_axes=[2, 3])
        else:
            x = s.layer("Softmax", x, axis=1)
    flat = s.layer("Flatten", x, data_format=s.maybe("channels_first"))
    return [s.layer("Dense", flat, units=3)] + ([x] if s.chance(0.3) else [])


def sequential(s: Script) -> list[Value]:
    """`keras.Sequential` as the whole model, with an Input and with the shape in the first layer."""
    shape, words = s.shape(1, 2), {"units": s.size(), **fused(s)}
    if s.major == 2 and s.chance(0.5):
        first = [s.make("Dense", input_shape=shape, **words)]
    else:
        first = [f"keras.Input({shape!r})", s.make("Dense", **words)]
    rest = [s.make("ReLU"), s.make("BatchNormalization"), s.make("Dense", units=2, activation="softmax")]
    s.run(f"model = keras.Sequential([{', '.join(first + rest[: s.size(1, 3)])}])")
    return []


CASES = {
    "nested model": nested,
    "shared layer": shared,
    "several inputs and outputs": several,
    "network": chain,
    "network, channels_first": channels_first,
    "Sequential": sequential,
}
