"""Layers of several inputs, and products."""

from __future__ import annotations

from collections.abc import Callable

from conformance.layers.activation import fused
from conformance.script import Script, Value


def broadcast(s: Script, shape: tuple[int, ...], lower: bool = True) -> tuple[int, ...]:
    """A shape that broadcasts to another."""
    found = tuple(n if s.chance(0.7) else 1 for n in shape)
    return found[s.size(0, len(found) - 1) :] if lower and s.chance(0.2) else found


def merge(class_name: str) -> Callable[[Script], Value]:
    def build(s: Script) -> Value:
        shape = s.shape()
        count = 2 if class_name == "Subtract" else s.size(2, 4)
        broadcasting = s.chance(0.4)
        values = [s.source(broadcast(s, shape) if broadcasting else shape) for _ in range(count)]
        if s.chance(0.1):
            values[-1] = values[0]
        return s.layer(class_name, values)

    return build


def concatenate(s: Script) -> Value:
    shape = s.shape()
    axis = s.axis(len(shape))
    at = axis - 1 if axis > 0 else axis
    values = []
    for _ in range(s.size(2, 4)):
        own = list(shape)
        own[at] = s.size(1, 4)
        values.append(s.source(own))
    if s.chance(0.1):
        values.append(values[0])
    return s.layer("Concatenate", values, axis=axis if axis != -1 else s.maybe(-1))


def dot(s: Script) -> Value:
    one, two = list(s.shape()), list(s.shape())
    i, j = s.size(1, len(one)), s.size(1, len(two))
    two[j - 1] = one[i - 1]
    axes = (i, j) if i != j or s.chance(0.5) else i
    if s.chance(0.2) and isinstance(axes, tuple):
        axes = (i - len(one) - 1, j - len(two) - 1)
    return s.layer("Dot", [s.source(one), s.source(two)], axes=axes, normalize=s.maybe(True, 0.3))


EQUATIONS = (
    (1, "ab,bc->ac", 3, "c"),
    (2, "abc,cd->abd", (None, 4), "d b bd"),
    (2, "abc,bd->acd", (0, 2), "d c"),
    (2, "abc,bcd->abd", (0, 2), "d bd"),
    (2, "abc,bce->ae", 4, "e"),
    (2, "...x,xy->...y", 2, "y"),
    (2, "abc,cde->abde", (None, 2, 3), "de d be"),
    (2, "ab...,bd->ad...", 2, "d"),
    (3, "abcd,cde->abce", (None, None, 2), "e c"),
    (3, "...cd,cde->...ce", (None, 2), "e c"),
    (3, "abcd,de->aebc", (2, None, None), "e c"),
    (3, "abcd,bcde->abce", (None, None, 2), "e ce"),
    (3, "abcd,bde->abe", (0, 3), "e be"),
)


def einsum_dense(s: Script) -> Value:
    """Every kind of equation; sizes of None are those of the input."""
    rank, equation, shape, biases = s.one(*EQUATIONS)
    x = s.source(s.shape(rank, rank))
    if isinstance(shape, tuple) and 0 in shape:
        kept = equation.split(",")[0].index(equation.split("->")[1][1]) - 1
        shape = tuple(x.shape[kept] if n == 0 else n for n in shape)
    bias = s.maybe(s.one(*biases.split()))
    return s.layer("EinsumDense", x, equation=equation, output_shape=shape, bias_axes=bias, **fused(s, 0.3))


CASES = {
    **{name: merge(name) for name in ("Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum")},
    "Concatenate": concatenate,
    "Dot": dot,
    "EinsumDense": einsum_dense,
}
