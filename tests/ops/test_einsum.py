"""Sums of products against loops over exact fractions, over equations, types, modes and biases."""

from __future__ import annotations

import math
import random
import sys
from dataclasses import replace
from fractions import Fraction
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from kbuild.fixed import FixedType, Overflow
from kbuild.ir import Interval, OverflowCount, Tensor
from kbuild.ops.einsum import Einsum

sys.path.insert(0, str(Path(__file__).parent))
from oracle import cast_value, keep_in_range, random_type, round_to


def tensor(rng: random.Random, shape: tuple[int, ...], of: FixedType) -> Tensor:
    values = [rng.randint(of.min, of.max) for _ in range(math.prod(shape))]
    return Tensor(np.array(values, dtype=object).reshape(shape), of)


def random_equation(rng: random.Random) -> tuple[str, dict[str, int]]:
    """Any equation, and the sizes of its letters."""
    letters = list("abcdefg")
    rng.shuffle(letters)
    parts = [[letters.pop() for _ in range(rng.randint(0, most))] for most in (2, 2, 2, 1)]
    shared, left, summed, right = parts
    first, second, output = shared + left + summed, shared + summed + right, shared + left + right
    for word in (first, second, output):
        rng.shuffle(word)
    sizes = {letter: rng.randint(1, 3) for letter in "abcdefg"}
    return f"{''.join(first)},{''.join(second)}->{''.join(output)}", sizes


def expected(op: Einsum, x: np.ndarray, y: np.ndarray, lsb: Fraction, place: dict[str, int]) -> Fraction:
    """One sum, each product rounded to the accumulator's LSB."""
    first, second, _ = op.letters
    accum, total = op.accum, 0
    assert accum is not None
    summed = [c for c in first if c in second and c not in op.letters[2]]
    ranges = [range(x.shape[first.index(c)]) for c in summed]
    for at in product(*ranges):
        where = place | dict(zip(summed, at, strict=True))
        q = int(x[tuple(where[c] for c in first)]) * int(y[tuple(where[c] for c in second)])
        total += round_to(q * lsb / accum.lsb, accum.quantization)
        if accum.overflow is not Overflow.WRAP:
            total = keep_in_range(total, accum)
    return keep_in_range(total, accum) * accum.lsb


@pytest.mark.parametrize("constant", [False, True])
@pytest.mark.parametrize("widest", [5, 12, 40])
def test_sums(widest: int, constant: bool) -> None:
    rng = random.Random(widest)
    for _ in range(60):
        equation, sizes = random_equation(rng)
        op = Einsum(equation)
        shapes = [tuple(sizes[c] for c in word) for word in op.letters]
        types = [random_type(rng, widest) for _ in range(2)]
        accum, result = random_type(rng, widest), random_type(rng, widest)
        arrays = [tensor(rng, (2, *shapes[0]), types[0]), tensor(rng, (1 if constant else 2, *shapes[1]), types[1])]
        bias = None
        if rng.random() < 0.5:
            bias = tensor(rng, tuple(n if rng.random() < 0.5 else 1 for n in shapes[2]), random_type(rng, widest))
        weight = Tensor(arrays[1].data[0], types[1]) if constant else None
        op = Einsum(equation, weight, bias)
        given = 1 if constant else 2
        op.verify(shapes[:given])
        exact = op.sum_type(types, shapes[:given])
        op = replace(op, accum=accum if rng.random() < 0.7 else exact)
        inputs = [a.data for a in arrays[:given]]
        y = op.eval(inputs, types[:given], result, OverflowCount())
        assert y.shape == (2, *shapes[2])
        for sample in range(2):
            second = arrays[1].data[0 if constant else sample]
            for index in product(*(range(n) for n in shapes[2])):
                place = dict(zip(op.letters[2], index, strict=True))
                total = expected(op, arrays[0].data[sample], second, types[0].lsb * types[1].lsb, place)
                if bias is not None:
                    total += int(np.broadcast_to(bias.data, shapes[2])[index]) * bias.fixed().lsb
                assert y[(sample, *index)] == cast_value(total, result), (op, types, result)
        overflow = OverflowCount()
        free = replace(op, accum=exact)
        free.eval(inputs, types[:given], free.infer_type(types[:given]), overflow)
        assert overflow.values == 0


def test_floats_and_bounds() -> None:
    rng, npr = random.Random(2), np.random.default_rng(2)
    for _ in range(60):
        equation, sizes = random_equation(rng)
        first, second, output = Einsum(equation).letters
        x, y = (npr.normal(size=(30, *(sizes[c] for c in word))) for word in (first, second))
        real = Einsum(equation).eval_float([x, y])
        assert np.allclose(real, np.einsum(f"Z{first},Z{second}->Z{output}", x, y))
        bounds = Einsum(equation).interval([Interval(v.min(axis=0), v.max(axis=0)) for v in (x, y)])
        assert (bounds.low - 1e-9 <= real).all() and (real <= bounds.high + 1e-9).all()
        with_weight = Einsum(equation, Tensor(y[0]))
        real = with_weight.eval_float([x])
        assert np.allclose(real, np.einsum(f"Z{first},{second}->Z{output}", x, y[0]))
        bounds = with_weight.interval([Interval(x.min(axis=0), x.max(axis=0))])
        assert (bounds.low - 1e-9 <= real).all() and (real <= bounds.high + 1e-9).all()


@pytest.mark.parametrize(
    ("equation", "sentence"),
    [
        ("ab,bc->a", "neither summed over nor kept"),
        ("ab,bc->acd", "neither summed over nor kept"),
        ("aa,ab->b", "names an axis twice"),
        ("a.,bc->ab", "something else than letters"),
        ("abc,bc->a", "has not the axes abc"),
        ("ab,ac->abc", "the axis a has 2 and 3 elements"),
    ],
)
def test_contradictions_are_refused(equation: str, sentence: str) -> None:
    Einsum("ab,bc->ac").verify([(2, 3), (3, 4)])
    with pytest.raises(ValueError, match=sentence):
        Einsum(equation).verify([(2, 3), (3, 4)])
