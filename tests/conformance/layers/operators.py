"""Functions of `keras.ops` and Python's operators in a functional graph of Keras 3."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from conformance.layers.merging import broadcast
from conformance.script import Script, Value

Build = Callable[[Script], Value]

BINARY = {
    "add": ("ops.add({}, {})", "{} + {}"),
    "subtract": ("ops.subtract({}, {})", "{} - {}"),
    "multiply": ("ops.multiply({}, {})", "{} * {}"),
    "maximum": ("ops.maximum({}, {})",),
    "minimum": ("ops.minimum({}, {})",),
}


def binary(spellings: tuple[str, ...]) -> Build:
    """Of two tensors, or of a tensor and a constant."""

    def build(s: Script) -> Value:
        spelling, shape = s.one(*spellings), s.shape()
        one = str(s.source(shape))
        if s.chance(0.6):
            other = one if s.chance(0.1) else str(s.source(broadcast(s, shape) if s.chance(0.3) else shape))
        elif s.chance(0.7):
            other = str(s.one(1, 2.0, -0.5, s.number(-3, 3)))
        else:
            other = f"np.array({[s.number(-2, 2) for _ in range(shape[-1])]}, 'float32')"
        pair = (one, other) if s.chance(0.7) or other.startswith("np.") else (other, one)
        return s.value(spelling.format(*pair))

    return build


def unary(spelling: str, least: int = 1, most: int = 3) -> Build:
    return lambda s: s.value(spelling.format(s.source(s.shape(least, most))))


def divide(s: Script) -> Value:
    return s.value(f"{s.source(s.shape())} / {s.one(2, 4.0, s.number(0.5, 3))}")


def parameter(function: str, *choices: str) -> Build:
    return lambda s: s.value(f"ops.{function}({s.source(s.shape())}, {s.one(*choices)})")


def softmax(s: Script) -> Value:
    x = s.source(s.shape())
    return s.value(f"ops.softmax({x}, axis={s.axis(x.rank)})")


def where(s: Script) -> Value:
    """A constant chooses between tensors and numbers, or masks scores before a softmax."""
    shape = s.shape()
    x = s.source(shape)
    chosen = np.random.default_rng(s.size(0, 999)).integers(0, 2, (1, *shape))
    if s.chance(0.4):
        chosen[..., 0] = 1
        mask = f"np.array({chosen.tolist()})"
        scores = s.one(f"ops.where({mask} > 0, {x}, -1e9)", f"{x} + (1 - {mask}) * np.float32(-1e9)")
        return s.value(f"ops.softmax({scores}, axis=-1)")
    other = s.one(s.source(shape), s.number(-2, 2))
    pair = s.one(f"{x}, {other}", f"{other}, {x}")
    return s.value(f"ops.where(np.array({chosen.tolist()}) > 0, {pair})")


def concatenate(s: Script) -> Value:
    shape = s.shape()
    values = ", ".join(str(s.source(shape)) for _ in range(s.size(2, 3)))
    return s.value(f"ops.{s.one('concatenate', 'stack')}([{values}], axis={s.axis(len(shape))})")


def part(s: Script) -> Value:
    """Slices with and without ends and steps, single elements, new axes, an ellipsis."""
    x = s.source(tuple(s.size(2, 5) for _ in range(s.size(1, 3))))
    index = [":"]
    for n in x.shape:
        low, high = sorted(s.rng.sample(range(n + 1), 2))
        index.append(s.one(":", f"{low}:{high}", f"{low}:", f":{high}", f"-{high}:", f":{n}:2", "::-1", str(low), "-1"))
    if s.chance(0.2):
        index = [":", "...", index[-1]] if x.rank > 1 else index
    elif s.chance(0.1):
        index.insert(s.size(1, len(index)), "None")
    return s.value(f"{x}[{', '.join(index)}]")


def reduction(function: str) -> Build:
    def build(s: Script) -> Value:
        x = s.source(s.shape(2, 3))
        axes = s.rng.sample(range(1, x.rank + 1), s.size(1, x.rank))
        axis = axes[0] if len(axes) == 1 else tuple(axes)
        return s.value(f"ops.{function}({x}, axis={s.one(axis, -1)}, keepdims={s.chance(0.5)})")

    return build


def reshape(s: Script) -> Value:
    x = s.source(s.shape(2, 3))
    return s.value(f"ops.reshape({x}, {(-1, x.shape[-1], *x.shape[:-1])!r})")


def transpose(s: Script) -> Value:
    x = s.source(s.shape(2, 3))
    axes = list(range(1, x.rank + 1))
    s.rng.shuffle(axes)
    return s.value(f"ops.transpose({x}, {(0, *axes)!r})")


def matmul(s: Script) -> Value:
    one, other = s.source((s.size(1, 3), s.size(1, 4))), s.size(1, 4)
    two = s.source((one.shape[1], other))
    return s.value(s.one(f"ops.matmul({one}, {two})", f"{one} @ {two}"))


def einsum(s: Script) -> Value:
    one, two = s.source((s.size(1, 3), s.size(1, 4))), s.size(1, 4)
    other = s.source((one.shape[1], two))
    equation = s.one("abc,acd->abd", "abc,acd->abd", "abc,acd->ad", "abc,acd->ab", "acd->ad")
    return s.value(f"ops.einsum({equation!r}, {other if ',' not in equation else f'{one}, {other}'})")


def expand(s: Script) -> Value:
    x = s.source(s.shape())
    return s.value(f"ops.expand_dims({x}, axis={s.size(1, x.rank + 1)})")


def squeeze(s: Script) -> Value:
    x = s.source((s.size(1, 3), 1, s.size(1, 3)))
    return s.value(f"ops.squeeze({x}, axis=2)")


def pad(s: Script) -> Value:
    x = s.source(s.shape())
    each = ((0, 0), *((s.size(0, 2), s.size(0, 2)) for _ in x.shape))
    return s.value(f"ops.pad({x}, {each!r})")


def flip(s: Script) -> Value:
    x = s.source(s.shape())
    return s.value(f"ops.flip({x}, axis={s.size(1, x.rank)})")


def repeat(s: Script) -> Value:
    x = s.source(s.shape())
    return s.value(f"ops.repeat({x}, {s.size(1, 3)}, axis={s.size(1, x.rank)})")


FUNCTIONS = [
    "exp", "hard_sigmoid", "hard_silu", "hard_tanh", "log_sigmoid", "relu", "relu6", "selu", "sigmoid", "silu",
    "softplus", "softsign", "sparse_plus", "sparse_sigmoid", "tanh", "tanh_shrink", "square", "negative", "abs",
    "sin",
]  # fmt: skip

KERAS3_CASES: dict[str, Build] = {
    **{f"ops.{name}": binary(spellings) for name, spellings in BINARY.items()},
    **{f"ops.{name}": unary(f"ops.{name}({{}})") for name in FUNCTIONS},
    "ops.sqrt": unary("ops.sqrt(ops.relu({}))"),
    "ops.divide": divide,
    "ops.elu": parameter("elu", "0.5", "alpha=1.7"),
    "ops.leaky_relu": parameter("leaky_relu", "0.1", "negative_slope=0.25"),
    "ops.softmax": softmax,
    "ops.where": where,
    "ops.concatenate": concatenate,
    "ops.getitem": part,
    **{f"ops.{name}": reduction(name) for name in ("mean", "sum", "max", "min")},
    "ops.reshape": reshape,
    "ops.transpose": transpose,
    "ops.matmul": matmul,
    "ops.einsum": einsum,
    "ops.expand_dims": expand,
    "ops.squeeze": squeeze,
    "ops.pad": pad,
    "ops.flip": flip,
    "ops.repeat": repeat,
}


def operator(s: Script) -> Value:
    """In Keras 2, where it is a function of TensorFlow."""
    shape = s.shape()
    return s.value(s.one("{} + {}", "{} * {}").format(s.source(shape), s.source(shape)))


KERAS2_CASES = {"operator of TensorFlow": operator}
