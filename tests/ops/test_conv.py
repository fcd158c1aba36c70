"""Convolutions against loops over exact fractions, over the whole parameter space."""

from __future__ import annotations

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
from kbuild.ops import conv, windows
from kbuild.ops.conv import Conv

sys.path.insert(0, str(Path(__file__).parent))
from oracle import cast_value, keep_in_range, random_type, round_to


def random_tensor(rng: random.Random, shape: tuple[int, ...], of: FixedType) -> Tensor:
    values = [rng.randint(of.min, of.max) for _ in range(int(np.prod(shape)))]
    return Tensor(np.array(values, dtype=object).reshape(shape), of)


def random_case(rng: random.Random, widest: int) -> tuple[Conv, tuple[int, ...]]:
    """A convolution without accumulator and the shape of its input."""
    while True:
        rank = rng.choice([1, 1, 2, 2, 3])
        groups = rng.choice([1, 1, 2, 3])
        channels, outputs = groups * rng.randint(1, 2), groups * rng.randint(1, 3)
        kernel = tuple(rng.randint(1, 3) for _ in range(rank))
        shape = (*(rng.randint(1, 5 if rank < 3 else 3) for _ in range(rank)), channels)
        op = Conv(
            random_tensor(rng, (*kernel, channels // groups, outputs), random_type(rng, widest)),
            random_tensor(rng, (outputs,), random_type(rng, widest)) if rng.random() < 0.7 else None,
            strides=tuple(rng.randint(1, 3) for _ in range(rank)),
            padding=tuple((rng.randint(0, 2), rng.randint(0, 2)) for _ in range(rank)),
            dilation=tuple(rng.choice([1, 1, 2, 3]) for _ in range(rank)),
            input_dilation=tuple(rng.choice([1, 1, 2, 3]) for _ in range(rank)),
            groups=groups,
        )
        if min(op.infer_shape([shape])) >= 1:
            op.verify([shape])
            return op, shape


def terms(op: Conv, x: np.ndarray, position: tuple[int, ...], output: int) -> list[tuple[int, int]]:
    """(input, weight) of each product of one output in order; the input is zero where there is none."""
    found = []
    per_group = op.weight.shape[-2]
    first = output // (op.outputs // op.groups) * per_group
    for place in product(*(range(n) for n in op.kernel)):
        at = [
            p * s + k * d - low
            for p, s, k, d, (low, _) in zip(position, op.strides, place, op.dilation, op.padding, strict=True)
        ]
        between = any(a % f for a, f in zip(at, op.input_dilation, strict=True))
        source = tuple(a // f for a, f in zip(at, op.input_dilation, strict=True))
        inside = not between and all(0 <= s < n for s, n in zip(source, x.shape[:-1], strict=True))
        for c in range(per_group):
            found.append((int(x[(*source, first + c)]) if inside else 0, int(op.weight.data[(*place, c, output)])))
    return found


def expected(op: Conv, x: np.ndarray, of: FixedType, accum: FixedType, result: FixedType) -> list[int]:
    """Bias first, then the products in order, each rounded to the accumulator's LSB."""
    found = []
    for *position, output in product(*(range(n) for n in op.infer_shape([x.shape]))):
        total = 0
        if op.bias is not None:
            total = round_to(int(op.bias.data[output]) * op.bias.fixed().lsb / accum.lsb, accum.quantization)
        saturating = accum.overflow is not Overflow.WRAP
        if saturating:
            total = keep_in_range(total, accum)
        for q, w in terms(op, x, tuple(position), output):
            exact = Fraction(q * w) * of.lsb * op.weight.fixed().lsb
            total += round_to(exact / accum.lsb, accum.quantization)
            if saturating:
                total = keep_in_range(total, accum)
        found.append(cast_value(keep_in_range(total, accum) * accum.lsb, result))
    return found


def random_input(rng: random.Random, shape: tuple[int, ...], of: FixedType) -> np.ndarray:
    return random_tensor(rng, shape, of).data


@pytest.mark.parametrize("widest", [6, 12, 40])
def test_convolutions(widest: int) -> None:
    rng = random.Random(widest)
    for _ in range(60):
        op, shape = random_case(rng, widest)
        of, accum, result = (random_type(rng, widest) for _ in range(3))
        accum = accum if rng.random() < 0.6 else op.sum_type(of)
        x = random_input(rng, (2, *shape), of)
        y = replace(op, accum=accum).eval([x], [of], result, OverflowCount())
        assert y.shape == (2, *op.infer_shape([shape]))
        for sample, outputs in zip(x, y, strict=True):
            assert outputs.ravel().tolist() == expected(op, sample, of, accum, result), (op, shape, accum, result)


def test_the_automatic_accumulator_never_overflows() -> None:
    rng = random.Random(5)
    for _ in range(100):
        op, shape = random_case(rng, 5)
        of = random_type(rng, 4)
        exact = op.sum_type(of)
        overflow = OverflowCount()
        x = np.where(np.array([rng.random() < 0.5 for _ in range(int(np.prod((20, *shape))))]), of.min, of.max)
        y = op.eval([x.reshape(20, *shape)], [of], exact, overflow)
        assert overflow.values == 0
        real = op.eval_float([x.reshape(20, *shape) * float(of.lsb)])
        assert np.array_equal(y * float(exact.lsb), real)


def test_zeros_between_inputs_need_no_room() -> None:
    """A transposed convolution of stride 2 with a kernel of 2 adds nothing: each sum is one product."""
    weight = Tensor(np.array([[[3]], [[-4]]]), FixedType(3, 3))
    op = Conv(weight, strides=(1,), padding=((1, 1),), dilation=(1,), input_dilation=(2,))
    assert op.sum_type(FixedType(4, 4)) == FixedType(7, 7)  # -8 * -4 = 32


def test_blocks_do_not_change_the_result(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = random.Random(7)
    for _ in range(40):
        op, shape = random_case(rng, 8)
        of = random_type(rng, 8)
        x = random_input(rng, (5, *shape), of)
        result = op.sum_type(of)
        whole = op.eval([x], [of], result, OverflowCount()), op.eval_float([x.astype(np.float64)])
        monkeypatch.setattr(conv, "BLOCK", rng.choice([1, 10, 50]))
        parts = op.eval([x], [of], result, OverflowCount()), op.eval_float([x.astype(np.float64)])
        monkeypatch.setattr(conv, "BLOCK", windows.BLOCK)
        assert np.array_equal(whole[0], parts[0])
        assert np.allclose(whole[1], parts[1], rtol=1e-12)


def test_bounds_hold_and_are_reached() -> None:
    rng = random.Random(11)
    for _ in range(60):
        op, shape = random_case(rng, 8)
        size = int(np.prod(shape))
        low = np.array([rng.uniform(-2, 1) for _ in range(size)]).reshape(shape)
        high = low + np.array([rng.uniform(0, 2) for _ in range(size)]).reshape(shape)
        bounds = op.interval([Interval(low, high)])
        choices = np.array([[rng.random() < 0.5 for _ in range(size)] for _ in range(30)]).reshape(30, *shape)
        y = op.eval_float([np.where(choices, low, high)])
        room = 1e-9 * (1 + np.abs(y).max())
        assert (bounds.low - room <= y).all() and (y <= bounds.high + room).all()
        single = op.interval([Interval(low, low)])
        assert np.allclose(single.low, op.eval_float([low[None]])[0])
        assert np.allclose(single.high, single.low)


def test_no_samples() -> None:
    op, shape = random_case(random.Random(0), 8)
    of = FixedType(8, 4)
    assert op.eval([np.zeros((0, *shape), np.int64)], [of], of, OverflowCount()).shape == (0, *op.infer_shape([shape]))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"strides": (1,)}, "strides has 1 values for 2 axes"),
        ({"dilation": (0, 1)}, "dilation is 0, 1; each is at least 1"),
        ({"padding": ((0, 0), (-1, 0))}, "padding is 0, 0, -1, 0; each is at least 0"),
        ({"groups": 2}, "3 output channels are not 2 equal groups"),
        ({"groups": 3}, "not 2 spatial axes and 6 channels"),
        ({"dilation": (1, 4)}, "the kernel .* is larger than the input"),
        ({"bias": Tensor(np.zeros(2))}, "the bias has shape"),
        ({"strategy": "fast"}, "no strategy is called fast"),
    ],
)
def test_contradictions_are_refused(change: dict[str, object], sentence: str) -> None:
    op = Conv(
        Tensor(np.zeros((2, 2, 2, 3))),
        strides=(1, 1),
        padding=((0, 0), (0, 0)),
        dilation=(1, 1),
        input_dilation=(1, 1),
    )
    op.verify([(4, 4, 2)])
    with pytest.raises(ValueError, match=sentence):
        replace(op, **change).verify([(4, 4, 2)])
