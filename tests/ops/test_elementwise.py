"""affine, relu, merge, concatenate, identity and tables against exact fractions."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable
from fractions import Fraction
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from kbuild.fixed import FixedType, contains
from kbuild.ir import Op, OverflowCount, Tensor
from kbuild.ops.affine import Affine
from kbuild.ops.concatenate import Concatenate
from kbuild.ops.identity import Identity
from kbuild.ops.merge import KINDS, Merge
from kbuild.ops.relu import Relu

sys.path.insert(0, str(Path(__file__).parent))
from oracle import cast_value, random_type

WIDTHS = [5, 12, 50]


def scalar(rng: random.Random, of: FixedType, shape: tuple[int, ...] = ()) -> Tensor:
    return Tensor(np.full(shape, rng.randint(of.min, of.max), dtype=object), of)


def value(tensor: Tensor | None) -> Fraction:
    return Fraction(0) if tensor is None else int(tensor.data.ravel()[0]) * tensor.fixed().lsb


def check(op: Op, types: list[FixedType], rng: random.Random, function: Callable[..., Fraction], widest: int) -> None:
    """The op on random inputs of one element, its exact type, and its cast, against the function on fractions."""
    result = random_type(rng, widest)
    inputs = [[rng.choice([t.min, t.max, 0, rng.randint(t.min, t.max)]) for t in types] for _ in range(20)]
    arrays = [Tensor(np.array([[row[i]] for row in inputs], dtype=object), t).data for i, t in enumerate(types)]
    overflow = OverflowCount()
    y = op.eval(arrays, types, result, overflow)
    exact = [function(*(q * t.lsb for q, t in zip(row, types, strict=True))) for row in inputs]
    assert y.ravel().tolist() == [cast_value(v, result) for v in exact], (op, types, result)
    full = op.infer_type(types)
    assert all(full.min * full.lsb <= v <= full.max * full.lsb for v in exact)
    if not (isinstance(op, Merge) and op.operation == "average"):
        again = op.eval(arrays, types, full, OverflowCount())
        assert [int(q) * full.lsb for q in again.ravel()] == exact, (op, types, full)


@pytest.mark.parametrize("widest", WIDTHS)
def test_affine(widest: int) -> None:
    rng = random.Random(widest)
    for _ in range(100):
        scale = scalar(rng, random_type(rng, widest), (1,))
        bias = scalar(rng, random_type(rng, widest), (1,))
        slope, offset = value(scale), value(bias)
        function = partial(lambda a, b, x: x * a + b, slope, offset)
        check(Affine(scale, bias), [random_type(rng, widest)], rng, function, widest)


def relu_of(slope: Tensor | None, threshold: Tensor | None, top: Tensor | None, x: Fraction) -> Fraction:
    if x <= value(threshold):
        return value(slope) * (x - value(threshold))
    return min(x, value(top)) if top is not None else x


@pytest.mark.parametrize("widest", WIDTHS)
def test_relu(widest: int) -> None:
    rng = random.Random(widest)
    for _ in range(200):
        slope, threshold, top = (
            scalar(rng, random_type(rng, 8), shape) if rng.random() < 0.5 else None for shape in ((1,), (), ())
        )

        function = partial(relu_of, slope, threshold, top)
        check(Relu(slope, threshold, top), [random_type(rng, widest)], rng, function, widest)


@pytest.mark.parametrize("operation", KINDS)
@pytest.mark.parametrize("widest", WIDTHS)
def test_merge(operation: str, widest: int) -> None:
    rng = random.Random(widest)
    functions: dict[str, Callable[..., Fraction]] = {
        "add": lambda *v: sum(v, Fraction(0)),
        "subtract": lambda a, b: a - b,
        "multiply": lambda *v: Fraction(np.prod(np.array(v, dtype=object))),
        "average": lambda *v: sum(v, Fraction(0)) / len(v),
        "maximum": max,
        "minimum": min,
    }
    for _ in range(60):
        count = 2 if operation == "subtract" else rng.randint(2, 5)
        check(Merge(operation), [random_type(rng, widest) for _ in range(count)], rng, functions[operation], widest)


@pytest.mark.parametrize("widest", WIDTHS)
def test_identity(widest: int) -> None:
    rng = random.Random(widest)
    for _ in range(200):
        check(Identity(), [random_type(rng, widest)], rng, lambda x: x, widest)


def test_concatenate_holds_every_input_exactly() -> None:
    rng = random.Random(1)
    for _ in range(200):
        types = [random_type(rng, 10) for _ in range(3)]
        of = Concatenate(0).infer_type(types)
        assert all(contains(of, t) for t in types)
        arrays = [np.array([[t.min, t.max]]) for t in types]
        y = Concatenate(0).eval(arrays, types, of, OverflowCount())
        assert [int(q) * of.lsb for q in y[0]] == [q * t.lsb for t in types for q in (t.min, t.max)]


def test_merge_broadcasts_like_numpy() -> None:
    rng = np.random.default_rng(0)
    of = FixedType(8, 8)
    a, b = rng.integers(-128, 128, (4, 3, 5)), rng.integers(-128, 128, (4, 5))
    y = Merge("add").eval([a, b], [of, of], FixedType(10, 10), OverflowCount())
    assert (y == a + b[:, None, :]).all()
    assert Merge("add").infer_shape([(3, 5), (5,)]) == (3, 5)
