"""Sums in float64 against the accumulation of `accumulate.py` and its casts, integers and overflow counts alike."""

from __future__ import annotations

import math
import random
import sys
from pathlib import Path

import numpy as np
import pytest

from kbuild.dataclass import replace
from kbuild.fixed import FixedType, IntArray, Overflow, Quantization, quantize
from kbuild.ir import OverflowCount, Tensor
from kbuild.ops import remainders
from kbuild.ops.accumulate import accumulate
from kbuild.ops.casting import cast_into
from kbuild.ops.floatsums import contraction, contraction_of_columns, float_sums, nearest, rounding_offset
from kbuild.ops.remainders import Remainders

sys.path.insert(0, str(Path(__file__).parent))
from oracle import random_type

FLOORS = (Quantization.TRN, Quantization.RND, Quantization.RND_MIN_INF)
BY_OFFSET = (*FLOORS, Quantization.RND_CONV)


@pytest.mark.parametrize("mode", Quantization)
@pytest.mark.parametrize("bits", [1, 2, 7, 20])
def test_the_nearest_integer_is_the_mode(mode: Quantization, bits: int) -> None:
    rng = np.random.default_rng(bits)
    edge = 1 << 29
    q = np.concatenate([np.arange(-64, 65), rng.integers(-edge, edge, 1000), [-edge, edge, edge - 1]])
    offset = rounding_offset(mode, bits)
    assert (offset is not None) == (mode in BY_OFFSET)
    if offset is not None:
        assert nearest(q * 2.0**-bits + offset).tolist() == quantize(q, bits, mode).tolist()


def test_nearest_integers_have_51_bits() -> None:
    edge = (1 << 51) - 1
    q = [-edge, 1 - edge, -1, 0, 1, edge]
    assert nearest(np.array(q, dtype=np.float64)).tolist() == q


def random_sums(rng: random.Random) -> tuple[FixedType, Tensor, Tensor | None, FixedType, FixedType]:
    """Types of an input, an accumulator and a result around the exact ones, and constants: [K, N] and [N]."""
    terms, outputs = rng.choice([1, 2, 9, 40]), rng.randint(1, 5)
    x, w, b = (random_type(rng, 18) for _ in range(3))
    weight = Tensor(np.array([[rng.randint(w.min, w.max) for _ in range(outputs)] for _ in range(terms)]), w)
    bias = Tensor(np.array([rng.randint(b.min, b.max) for _ in range(outputs)]), b) if rng.random() < 0.7 else None
    fraction = x.fraction + w.fraction + rng.randint(-9, 3)
    width = rng.randint(4, 46)
    accum = FixedType(width, width - fraction, True, rng.choice(list(Quantization)), rng.choice(list(Overflow)))
    narrow = rng.randint(2, 24)
    coarse = fraction - rng.randint(-2, 20)
    result = FixedType(narrow, narrow - coarse, True, rng.choice(list(Quantization)), rng.choice(list(Overflow)))
    return x, weight, bias, accum, result


def extreme(rng: random.Random, of: FixedType, shape: tuple[int, int]) -> IntArray:
    """Integers of a type, its ends among them."""
    low, high = of.min, of.max
    values = [rng.choice([low, high, rng.randint(low, high), rng.randint(low, high)]) for _ in range(math.prod(shape))]
    return np.array(values).reshape(shape)


def test_equal_to_accumulate_and_cast() -> None:
    rng = random.Random(5)
    taken = rounded = wrapped = 0
    for _ in range(1500):
        x, weight, bias, accum, result = random_sums(rng)
        floats = float_sums(x, weight, bias, accum, result)
        if floats is None:
            continue
        taken, rounded = taken + 1, rounded + (floats.remainders is not None)
        wrapped += floats.accum is not None
        q = extreme(rng, x, (12, len(weight.data)))
        wanted_count, count = OverflowCount(), OverflowCount()
        sums = accumulate(q, x, weight, bias, accum, wanted_count)
        wanted = cast_into(sums, accum.fraction, result, wanted_count)
        found = contraction(x, weight, bias, accum, result)(q, count)
        told = (x, weight.type, accum, result)
        assert found.dtype == np.int64
        assert found.tolist() == wanted.tolist(), told
        assert count == wanted_count, told
        columns = contraction_of_columns(x, weight, bias, accum)(q.T, OverflowCount())
        assert columns.tolist() == sums.T.tolist(), told
    assert taken > 500
    assert rounded > 100
    assert wrapped > 100


@pytest.mark.parametrize("fraction", [2, 9])
def test_no_samples(fraction: int) -> None:
    of, accum = FixedType(6, 3), FixedType(16, 16 - fraction)
    weight = Tensor(np.ones((4, 3), np.int64), of)
    assert float_sums(of, weight, None, accum, accum) is not None
    none = np.zeros((0, 4), np.int64)
    assert contraction(of, weight, None, accum, accum)(none, OverflowCount()).shape == (0, 3)
    assert contraction_of_columns(of, weight, None, accum)(none.T, OverflowCount()).shape == (3, 0)


def test_saturating_sums_are_left_alone() -> None:
    """Only where no partial sum leaves the range; a wrapping accumulator may be left on the way."""
    x, weight = FixedType(4, 4), Tensor(np.array([[7], [-7]]), FixedType(4, 4))
    tight = FixedType(7, 7, True, Quantization.TRN, Overflow.SAT)  # -8 * 7 fits, -8 * 7 - 7 * 7 does not
    assert float_sums(x, weight, None, tight, tight) is None
    room = replace(tight, width=8, integer=8)
    assert float_sums(x, weight, None, room, room) is not None
    found = float_sums(x, weight, None, tight.plain(), tight)
    assert found is not None
    assert found.accum == tight.plain()


@pytest.mark.parametrize("bits", [20, 21, 22, 23, 24, 25, 26])
def test_up_to_53_bits(bits: int) -> None:
    """The largest sums of each width: exact where floats are taken, and not taken where they would not be."""
    of = FixedType(bits, bits)
    weight = Tensor(np.full((64, 2), of.min, dtype=np.int64) + np.array([0, 1]), of)
    accum = FixedType(62, 62)
    q = np.full((3, 64), of.min)
    q[1, 0], q[2] = of.min + 1, of.max
    floats = float_sums(of, weight, None, accum, accum)
    assert (floats is not None) == (2 * (bits - 1) + 6 < 50)
    found = contraction(of, weight, None, accum, accum)(q, OverflowCount())
    assert found.tolist() == (q.astype(object) @ weight.data.astype(object)).tolist()


@pytest.mark.parametrize("cut", [0, 1, 17, 30])
def test_a_layer_of_16_bits_is_in_floats(cut: int) -> None:
    """Whatever its exact sums are rounded to."""
    rng = np.random.default_rng(cut)
    x, w = FixedType(16, 8), FixedType(16, -1)
    weight = Tensor(rng.integers(w.min, w.max + 1, (576, 4)), w)
    accum, result = FixedType(42, 42 - 25), FixedType(16, 16 - 25 + cut, True, Quantization.RND, Overflow.SAT)
    assert float_sums(x, weight, None, accum, result) is not None
    q = rng.integers(x.min, x.max + 1, (50, 576))
    found = contraction(x, weight, None, accum, result)(q, OverflowCount())
    assert found.tolist() == cast_into(q @ weight.data, 25, result, OverflowCount()).tolist()


@pytest.mark.parametrize("mode", FLOORS)
@pytest.mark.parametrize("shift", [1, 10, 12, 13, 28, 29, 50])
def test_remainders(monkeypatch: pytest.MonkeyPatch, mode: Quantization, shift: int) -> None:
    rng = np.random.default_rng(shift)
    w, x = rng.integers(-(1 << 20), 1 << 20, (3, 40, 5)), rng.integers(-(1 << 20), 1 << 20, (3, 40, 33))
    products = w[..., np.newaxis] * x[:, :, np.newaxis]
    lost = (products + Remainders(w, shift, 0).added) - (quantize(products, shift, mode) << shift)
    found = remainders.remainders(w, shift, mode)
    assert found is not None
    wanted = (lost + found.added).sum(axis=1)
    for at_once in (remainders._AT_ONCE, 64):
        monkeypatch.setattr(remainders, "_AT_ONCE", at_once)
        assert np.array_equal(found.sums(x, 0.5), wanted * 0.5)


def test_remainders_of_other_modes() -> None:
    w = np.ones((2, 2), np.int64)
    for mode in set(Quantization) - set(FLOORS):
        assert remainders.remainders(w, 3, mode) is None
    assert remainders.remainders(w, 61, Quantization.TRN) is None
