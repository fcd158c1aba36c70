"""Dense sums against a loop over exact fractions, over types, modes, biases and ranks."""

from __future__ import annotations

import random
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from kbuild.fixed import FixedType, Overflow, Quantization, quantize
from kbuild.ir import Interval, OverflowCount, Tensor
from kbuild.ops import accumulate
from kbuild.ops.dense import Dense

sys.path.insert(0, str(Path(__file__).parent))
from oracle import cast_value, keep_in_range, random_type, round_to


def random_tensor(rng: random.Random, shape: tuple[int, ...], of: FixedType) -> Tensor:
    size = int(np.prod(shape))
    return Tensor(np.array([rng.randint(of.min, of.max) for _ in range(size)], dtype=object).reshape(shape), of)


def expected(x: list[int], x_type: FixedType, op: Dense, accum: FixedType, result: FixedType, column: int) -> int:
    """Bias first, then the products in index order, each rounded to the accumulator's LSB."""
    weight = op.weight
    total = 0
    if op.bias is not None:
        total = round_to(int(op.bias.data[column]) * op.bias.fixed().lsb / accum.lsb, accum.quantization)
    saturating = accum.overflow is not Overflow.WRAP
    if saturating:
        total = keep_in_range(total, accum)
    for k, q in enumerate(x):
        product = Fraction(q * int(weight.data[k, column])) * x_type.lsb * weight.fixed().lsb
        total += round_to(product / accum.lsb, accum.quantization)
        if saturating:
            total = keep_in_range(total, accum)
    return cast_value(keep_in_range(total, accum) * accum.lsb, result)


@pytest.mark.parametrize("widest", [6, 12, 40, 90])
def test_dense_sums(widest: int) -> None:
    rng = random.Random(widest)
    for _ in range(150):
        inputs, outputs = rng.randint(1, 6), rng.randint(1, 4)
        x_type, accum, result = (random_type(rng, widest) for _ in range(3))
        weight = random_tensor(rng, (inputs, outputs), random_type(rng, widest))
        bias = random_tensor(rng, (outputs,), random_type(rng, widest)) if rng.random() < 0.7 else None
        op = Dense(weight, bias, accum)
        x = np.array([[rng.randint(x_type.min, x_type.max) for _ in range(inputs)] for _ in range(3)], dtype=object)
        y = op.eval([Tensor(x, x_type).data], [x_type], result, OverflowCount())
        wanted = [[expected(row.tolist(), x_type, op, accum, result, n) for n in range(outputs)] for row in x]
        assert y.tolist() == wanted, (x_type, weight.type, accum, result)


def test_automatic_accumulator_is_exact_and_smallest() -> None:
    rng = random.Random(3)
    for _ in range(200):
        inputs = rng.randint(1, 3)
        x_type = random_type(rng, 3)
        op = Dense(
            random_tensor(rng, (inputs, 1), random_type(rng, 4)), random_tensor(rng, (1,), random_type(rng, 5))
        )
        of = op.sum_type(x_type)
        grid = np.array(np.meshgrid(*[range(x_type.min, x_type.max + 1)] * inputs)).reshape(inputs, -1).T
        overflow = OverflowCount()
        sums = op.eval([grid], [x_type], of, overflow)
        assert overflow.values == 0
        exact = grid @ op.weight.data * float(x_type.lsb * op.weight.fixed().lsb) + op.bias.floats()
        assert (sums * float(of.lsb) == exact).all()
        if of.width > 1:
            low, high = min(int(sums.min()), 0), max(int(sums.max()), 0)
            assert low < of.min // 2 or high > of.max // 2, (of, low, high)


def test_rank_three_equals_rows() -> None:
    rng = np.random.default_rng(0)
    of = FixedType(8, 3)
    op = Dense(Tensor(rng.integers(-128, 128, (4, 3)), of), None, FixedType(16, 6))
    x = rng.integers(-128, 128, (5, 2, 4))
    y = op.eval([x], [of], FixedType(10, 5), OverflowCount())
    rows = op.eval([x.reshape(10, 4)], [of], FixedType(10, 5), OverflowCount())
    assert (y.reshape(10, 3) == rows).all()


@pytest.mark.parametrize("mode", Quantization)
@pytest.mark.parametrize(("bits", "shift"), [(6, 1), (8, 3), (8, 9), (15, 10), (15, 16), (20, 17), (24, 30), (25, 46)])
def test_many_rounded_products(mode: Quantization, bits: int, shift: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Several blocks of samples, several matrices at once."""
    monkeypatch.setattr(accumulate, "_PRODUCTS", 1 << 9)
    rng = np.random.default_rng(bits)
    x, w = (rng.integers(-(1 << bits), 1 << bits, shape) for shape in ((2, 40, 150), (2, 150, 7)))
    x[:, 0], x[:, 1], w[..., 0] = -(1 << bits), (1 << bits) - 1, -(1 << bits)
    bias = Tensor(rng.integers(-9, 9, (2, 7)), FixedType(60, 60 - 2 * bits + shift))
    of = FixedType(bits + 1, 1)
    accum = FixedType(60, 60 - 2 * bits + shift, True, mode)
    wanted = quantize(x[..., np.newaxis] * w[..., np.newaxis, :, :], shift, mode).sum(axis=-2)
    wanted += bias.data[..., np.newaxis, :]
    found = accumulate.accumulate(x, of, Tensor(w, of), bias, accum, OverflowCount())
    assert found.dtype == np.int64
    assert (found == wanted).all()


@pytest.mark.parametrize("wide_one", ["x", "weight", "start"])
def test_small_integers_in_object_arrays(wide_one: str) -> None:
    rng = np.random.default_rng(2)
    given = {
        "x": rng.integers(-99, 99, (4, 6)), "weight": rng.integers(-99, 99, (6, 3)), "start": np.array([[1, -2, 3]]),
    }  # fmt: skip
    wanted = quantize(given["x"][..., np.newaxis] * given["weight"], 5, Quantization.TRN).sum(axis=-2) + given["start"]
    given[wide_one] = given[wide_one].astype(object)
    assert (accumulate._rounding(*given.values(), 5, Quantization.TRN) == wanted).all()


def test_a_large_matrix_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    weight, of = Tensor(rng.integers(-100, 100, (50, 9)), FixedType(8, 2)), FixedType(5, 2)
    bounds = Interval(-rng.random(50), rng.random(50))
    whole = accumulate.exact_sum_bounds(of, weight, None, 10), Dense(weight).interval([bounds])
    monkeypatch.setattr(accumulate, "_BLOCK", 30)
    monkeypatch.setattr(accumulate, "PART", 100)
    split = accumulate.exact_sum_bounds(of, weight, None, 10), Dense(weight).interval([bounds])
    assert split[0] == whole[0]
    np.testing.assert_allclose(split[1].low, whole[1].low, rtol=1e-12)
    np.testing.assert_allclose(split[1].high, whole[1].high, rtol=1e-12)


def test_small_values_in_an_array_of_large_ones() -> None:
    """A convolution works on parts of an array of Python integers; a part may have small values only."""
    rounding = FixedType(25, 10, quantization=Quantization.RND_ZERO)
    op = Dense(Tensor(np.array([[3], [-5]]), FixedType(16, 1)), None, rounding)
    of, result = FixedType(64, 10), FixedType(20, 10)
    x = np.array([[7 << 40, -(3 << 41)]], dtype=object)
    small = op.eval([x], [of], result, OverflowCount())
    large = op.eval([np.concatenate([x, [[1 << 62, 0]]])], [of], result, OverflowCount())
    assert small.tolist() == large[:1].tolist()


@pytest.mark.parametrize(
    ("rows", "terms", "outputs"),
    [(4000, 3, 2), (100, 576, 64), (30, 4000, 20), (9, 4096, 9), (5, 5000, 3), (40, 5000, 3), (1, 40000, 2)],
)
@pytest.mark.parametrize("groups", [(), (1,), (3,)])
def test_products_in_parts(rows: int, terms: int, outputs: int, groups: tuple[int, ...]) -> None:
    rng = np.random.default_rng(rows)
    x = rng.integers(-(1 << 15), 1 << 15, (*groups, rows, terms))
    w = rng.integers(-(1 << 15), 1 << 15, (*groups, terms, outputs))
    assert np.array_equal(accumulate.matmul(x, w), x @ w)
