"""Activations: layers with parameters, functions by name, and functions that are fused into another layer."""

from __future__ import annotations

from collections.abc import Callable

from conformance.script import Script, Value

BOTH = [
    "elu", "exponential", "gelu", "hard_sigmoid", "linear", "mish", "relu", "selu", "sigmoid", "softmax",
    "softplus", "softsign", "swish", "tanh",
]  # fmt: skip
KERAS3 = [
    "celu", "hard_silu", "hard_swish", "hard_tanh", "leaky_relu", "log_sigmoid", "relu6", "silu", "soft_shrink",
    "sparse_plus", "sparse_sigmoid", "squareplus", "tanh_shrink",
]  # fmt: skip


def functions(s: Script) -> list[str]:
    """Names that this Keras knows."""
    return BOTH + (KERAS3 if s.major == 3 else [])


def fused(s: Script, p: float = 0.5) -> dict[str, object]:
    """The setting `activation` of another layer."""
    return {"activation": s.maybe(s.one("relu", "relu", "tanh", "softmax", *functions(s)), p)}


def function(name: str) -> Callable[[Script], Value]:
    def build(s: Script) -> Value:
        x = s.source(s.shape())
        if s.chance(0.7):
            return s.layer("Activation", x, activation=name)
        return s.layer("Dense", x, units=s.size(), activation=name)

    return build


def named(s: Script) -> Value:
    """A layer of any function."""
    return s.layer("Activation", s.source(s.shape()), activation=s.one(*functions(s)))


def gelu(s: Script) -> Value:
    """Exact as a name, approximate as a function of `keras.ops`."""
    if s.major == 2 or s.chance(0.5):
        return function("gelu")(s)
    return s.value(f"ops.gelu({s.source(s.shape())}, approximate={s.chance(0.5)})")


def relu(s: Script) -> Value:
    return s.layer(
        "ReLU",
        s.source(s.shape()),
        max_value=s.maybe(s.one(None, 0.5, 1.0, 6.0, s.number(0, 3))),
        negative_slope=s.maybe(s.one(0.0, 0.25, s.number(0, 1))),
        threshold=s.maybe(s.one(0.0, 0.5, s.number(0, 2))),
    )


def leaky_relu(s: Script) -> Value:
    key = "alpha" if s.major == 2 else "negative_slope"
    return s.layer("LeakyReLU", s.source(s.shape()), **{key: s.maybe(s.one(0.1, 0.25, s.number(0, 1)))})


def elu(s: Script) -> Value:
    return s.layer("ELU", s.source(s.shape()), alpha=s.maybe(s.number(0.1, 2)))


def prelu(s: Script) -> Value:
    x = s.source(s.shape())
    axes = s.rng.sample(range(1, x.rank + 1), s.size(0, x.rank))
    return s.layer("PReLU", x, shared_axes=s.maybe(axes or None))


def thresholded_relu(s: Script) -> Value:
    return s.layer("ThresholdedReLU", s.source(s.shape()), theta=s.maybe(s.one(0.0, 0.5, s.number(0, 2))))


def softmax(s: Script) -> Value:
    x = s.source(s.shape())
    if x.rank > 1 and s.chance(0.2):
        return s.layer("Softmax", x, axis=s.rng.sample(range(1, x.rank + 1), s.size(2, x.rank)))
    return s.layer("Softmax", x, axis=s.maybe(s.axis(x.rank)))


CASES = {
    "Activation": named,
    "ReLU": relu,
    "LeakyReLU": leaky_relu,
    "ELU": elu,
    "PReLU": prelu,
    "Softmax": softmax,
    **{f"activation {name}": function(name) for name in BOTH},
    "activation gelu": gelu,
}
KERAS2_CASES = {"ThresholdedReLU": thresholded_relu}
KERAS3_CASES = {f"activation {name}": function(name) for name in KERAS3}
