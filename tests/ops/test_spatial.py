"""Pooling, reduction, padding, transposition, repetition, interpolation against loops over exact fractions."""

from __future__ import annotations

import math
import random
import sys
from collections.abc import Callable
from fractions import Fraction
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from kbuild.fixed import FixedType, Quantization, type_for
from kbuild.ir import Interval, Op, OverflowCount, Shape, Tensor
from kbuild.ops.casting import divide_into
from kbuild.ops.interpolate import Interpolate
from kbuild.ops.pad import Pad
from kbuild.ops.pool import Pool
from kbuild.ops.reduce import Reduce
from kbuild.ops.repeat import Repeat
from kbuild.ops.transpose import Transpose

sys.path.insert(0, str(Path(__file__).parent))
from oracle import cast_value, random_type

Index = tuple[int, ...]
Exact = Callable[[Callable[[Index], Fraction], Shape, Index], Fraction]  # (input, its shape, place) -> output there


def check(rng: random.Random, op: Op, shape: Shape, exact: Exact, widest: int) -> None:
    """The op on random integers, its type, its bounds and its float form against the exact function."""
    op.verify([shape])
    of, result = random_type(rng, widest), random_type(rng, widest)
    places = list(product(*(range(n) for n in op.infer_shape([shape]))))
    samples = [{place: rng.choice([of.min, of.max, 0, rng.randint(of.min, of.max)]) for place in indices(shape)}]
    samples += [{place: rng.randint(of.min, of.max) for place in indices(shape)} for _ in range(2)]
    x = Tensor(np.array([list(s.values()) for s in samples], dtype=object).reshape(len(samples), *shape), of).data
    values = [[exact(lambda i, s=s: s[i] * of.lsb, shape, place) for place in places] for s in samples]
    y = op.eval([x], [of], result, OverflowCount())
    assert y.shape == (len(samples), *op.infer_shape([shape]))
    assert y.reshape(len(samples), -1).tolist() == [[cast_value(v, result) for v in row] for row in values], (op, of)
    full = op.infer_type([of])
    assert all(full.min * full.lsb <= v <= full.max * full.lsb for row in values for v in row)
    if all((v / full.lsb).denominator == 1 for row in values for v in row):
        again = op.eval([x], [of], full, OverflowCount())
        assert [int(q) * full.lsb for q in again.ravel()] == [v for row in values for v in row]
    real = op.eval_float([x.astype(np.float64) * float(of.lsb)])
    scale = float(max(abs(end) for end in of.range))
    assert np.allclose(real.reshape(len(samples), -1), [[float(v) for v in row] for row in values], 1e-9, scale * 1e-12)
    low, high = (np.sort(real[:2].reshape(2, -1), axis=0)[i] for i in (0, 1))
    bounds = op.interval([Interval(*(f(x.astype(np.float64) * float(of.lsb), axis=0) for f in (np.min, np.max)))])
    assert (bounds.low.ravel() <= low + scale * 1e-9).all() and (bounds.high.ravel() >= high - scale * 1e-9).all()


def indices(shape: Shape) -> list[Index]:
    return list(product(*(range(n) for n in shape)))


def random_shape(rng: random.Random, rank: int, longest: int) -> Shape:
    return tuple(rng.randint(1, longest) for _ in range(rank))


def pooled(op: Pool) -> Exact:
    def exact(x: Callable[[Index], Fraction], shape: Shape, place: Index) -> Fraction:
        found = []
        for offset in indices(op.size):
            axes = zip(place[:-1], op.strides, offset, op.padding, strict=True)
            at = tuple(p * s + k - low for p, s, k, (low, _) in axes)
            if all(0 <= a < n for a, n in zip(at, shape[:-1], strict=True)):
                found.append(x((*at, place[-1])))
        return max(found) if op.operation == "max" else sum(found, Fraction(0)) / len(found)

    return exact


@pytest.mark.parametrize("widest", [8, 60])
@pytest.mark.parametrize("operation", ["max", "average"])
def test_pool(operation: str, widest: int) -> None:
    rng = random.Random(widest)
    cases = 0
    while cases < 40:
        rank = rng.choice([1, 2, 2, 3])
        size = random_shape(rng, rank, 3)
        padding = tuple((rng.randint(0, n - 1), rng.randint(0, n - 1)) for n in size)
        op = Pool(operation, size, random_shape(rng, rank, 3), padding)
        shape = random_shape(rng, rank + 1, 4)
        if min(op.infer_shape([shape])) >= 1:
            check(rng, op, shape, pooled(op), widest)
            cases += 1


@pytest.mark.parametrize("widest", [8, 60])
@pytest.mark.parametrize("operation", ["sum", "mean", "max", "min"])
def test_reduce(operation: str, widest: int) -> None:
    rng = random.Random(widest)
    for _ in range(40):
        shape = random_shape(rng, rng.randint(1, 4), 4)
        axes = tuple(sorted(rng.sample(range(len(shape)), rng.randint(1, len(shape)))))
        keepdims = rng.random() < 0.5
        op = Reduce(operation, axes, math.prod(shape[a] for a in axes), keepdims)

        def exact(
            x: Callable[[Index], Fraction], shape: Shape, place: Index, axes: Index = axes, keepdims: bool = keepdims
        ) -> Fraction:
            kept = iter([p for a, p in enumerate(place) if a not in axes] if keepdims else place)
            fixed = {a: next(kept) for a in range(len(shape)) if a not in axes}
            found = [x(i) for i in indices(shape) if all(i[a] == p for a, p in fixed.items())]
            if operation in ("max", "min"):
                return max(found) if operation == "max" else min(found)
            return sum(found, Fraction(0)) / (len(found) if operation == "mean" else 1)

        check(rng, op, shape, exact, widest)


def test_pad() -> None:
    rng = random.Random(1)
    for _ in range(60):
        shape = random_shape(rng, rng.randint(1, 3), 5)
        padding = tuple((rng.randint(-((n - 1) // 2), 3), rng.randint(-((n - 1) // 2), 3)) for n in shape)

        def exact(
            x: Callable[[Index], Fraction], shape: Shape, place: Index, padding: tuple[Index, ...] = padding
        ) -> Fraction:
            at = tuple(p - low for p, (low, _) in zip(place, padding, strict=True))
            return x(at) if all(0 <= a < n for a, n in zip(at, shape, strict=True)) else Fraction(0)

        check(rng, Pad(padding), shape, exact, 12)


def test_transpose() -> None:
    rng = random.Random(2)
    for _ in range(40):
        shape = random_shape(rng, rng.randint(1, 4), 4)
        axes = tuple(rng.sample(range(len(shape)), len(shape)))

        def exact(x: Callable[[Index], Fraction], shape: Shape, place: Index, axes: Index = axes) -> Fraction:
            return x(tuple(place[axes.index(a)] for a in range(len(shape))))

        check(rng, Transpose(axes), shape, exact, 12)


def test_repeat() -> None:
    rng = random.Random(3)
    for _ in range(40):
        shape = random_shape(rng, rng.randint(1, 3), 4)
        factors = random_shape(rng, len(shape), 3)

        def exact(x: Callable[[Index], Fraction], shape: Shape, place: Index, factors: Index = factors) -> Fraction:
            return x(tuple(p // f for p, f in zip(place, factors, strict=True)))

        check(rng, Repeat(factors), shape, exact, 12)


@pytest.mark.parametrize("widest", [8, 60])
def test_interpolate(widest: int) -> None:
    rng = random.Random(4)
    for _ in range(40):
        shape = random_shape(rng, rng.randint(1, 3), 4)
        factors = random_shape(rng, len(shape), 5)

        def exact(x: Callable[[Index], Fraction], shape: Shape, place: Index, factors: Index = factors) -> Fraction:
            total = Fraction(0)
            ends = []
            for p, f, n in zip(place, factors, shape, strict=True):
                position = min(max((p + Fraction(1, 2)) / f - Fraction(1, 2), Fraction(0)), Fraction(n - 1))
                before = math.floor(position)
                rest = position - before
                ends.append([(before, 1 - rest), (min(before + 1, n - 1), rest)])
            for corner in product(*ends):
                total += x(tuple(i for i, _ in corner)) * math.prod(w for _, w in corner)
            return total

        check(rng, Interpolate(factors), shape, exact, widest)


def test_wide_types() -> None:
    """Beyond int64: small values of a type whose smallest does not fit; large values with zeros around."""
    of, coarse = FixedType(100, 50), FixedType(40, 60, quantization=Quantization.RND_INF)
    small = np.array([[[-5], [-3], [-9]]])
    largest = Pool("max", (2,), (1,), ((1, 1),)).eval([small], [of], of, OverflowCount())
    assert largest.ravel().tolist() == [-5, -3, -3, -9]
    large = np.array([[[1 << 90], [-(1 << 92)]]], dtype=object)
    found = Pad(((1, 1), (0, 0))).eval([large], [of], coarse, OverflowCount())
    assert found.ravel().tolist() == [0, 1 << 20, -(1 << 22), 0]


def test_a_coarse_result_of_a_division() -> None:
    """A divisor times the LSB of the result exceeds 64 bits."""
    q = np.array([(1 << 61) - 1, -(1 << 61), 5])
    for to in (FixedType(4, 70), FixedType(4, 4)):
        for divisor in (3, np.array([3, 5, 6])):
            y = divide_into(q, divisor, 0, to, OverflowCount())
            divisors = np.broadcast_to(divisor, q.shape).tolist()
            assert y.tolist() == [cast_value(Fraction(int(v), d), to) for v, d in zip(q, divisors, strict=True)]


def test_means_of_powers_of_two_are_exact() -> None:
    of = FixedType(8, 3)
    assert Reduce("mean", (0,), 8).infer_type([of]) == FixedType(11, 3)
    assert Reduce("sum", (0,), 8).infer_type([of]) == type_for(-1024, 1016, 5)
    assert Pool("average", (2, 2), (2, 2), ((0, 1), (1, 0))).infer_type([of]) == FixedType(10, 3)
    assert Interpolate((2, 2)).infer_type([of]) == FixedType(12, 3)


@pytest.mark.parametrize(
    ("op", "shape", "sentence"),
    [
        (Pool("median", (2,), (1,), ((0, 0),)), (4, 1), "no pooling is called median"),
        (Pool("max", (2,), (1,), ((0, 2),)), (4, 1), "not smaller than the window"),
        (Pool("max", (5,), (1,), ((0, 0),)), (4, 1), "larger than the input"),
        (Pool("max", (2, 2), (1, 1), ((0, 0), (0, 0))), (4, 1), "not 2 spatial axes and channels"),
        (Reduce("mean", (0,), 5), (4, 1), "do not have 5 elements"),
        (Reduce("mean", (1, 0), 4), (4, 1), "not in order"),
        (Reduce("mean", (2,), 4), (4, 1), "not all axes"),
        (Pad(((-2, -2), (0, 0))), (4, 1), "leaves nothing"),
        (Transpose((0, 0)), (4, 1), "is not an order"),
        (Repeat((0, 1)), (4, 1), "each is at least 1"),
        (Interpolate((2,)), (4, 1), "factors has 1 values for 2"),
    ],
)
def test_contradictions_are_refused(op: Op, shape: Shape, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        op.verify([shape])
