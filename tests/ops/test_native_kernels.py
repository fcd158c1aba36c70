"""Compiled kernels against the NumPy definition: integers and counts of overflows, with ==."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from compiled_kernels import AVX2, KINDS, compiled, needs_compiler
from hypothesis import given, settings
from hypothesis import strategies as st

from kbuild.dataclass import replace
from kbuild.fixed import FixedType, IntArray, Overflow, Quantization
from kbuild.ir import OverflowCount, Tensor
from kbuild.ops.accumulate import accumulate
from kbuild.ops.casting import cast_into
from kbuild.ops.compiled import Sums
from kbuild.ops.conv import Conv
from kbuild.ops.dense import Dense

sys.path.insert(0, str(Path(__file__).parent))
from oracle import random_type
from test_floatconv import random_conv

pytestmark = needs_compiler
each_kind = pytest.mark.parametrize("kind", KINDS)
RANDOM = st.randoms(use_true_random=False)


def values(rng: random.Random, of: FixedType, shape: tuple[int, ...]) -> IntArray:
    """Integers of a type: any, or in each row its ends alone, or one of them."""
    low, high = of.min, of.max
    draw = np.random.default_rng(rng.randint(0, 1 << 30))
    kinds = draw.integers(0, 4, (shape[0], *(1 for _ in shape[1:])))
    anything, ends = draw.integers(low, high + 1, shape), draw.choice([low, high], shape)
    return np.where(kinds == 0, low, np.where(kinds == 1, high, np.where(kinds == 2, ends, anything)))


def modes(rng: random.Random) -> tuple[Quantization, Overflow]:
    return rng.choice(list(Quantization)), rng.choice(list(Overflow))


def random_sums(rng: random.Random) -> Sums:
    """Operands of up to 16 bits, weights of a few more; accumulators and results around what is exact."""
    terms, outputs = rng.choice([1, 2, 9, 40, 300]), rng.choice([1, 3, 8, 11, 17, 33, 70])
    x, w, b = random_type(rng, 16), random_type(rng, rng.choice([8, 16, 16, 20])), random_type(rng, 18)
    weight = Tensor(values(rng, w, (terms, outputs)), w)
    bias = Tensor(values(rng, b, (outputs,)), b) if rng.random() < 0.7 else None
    fraction = x.fraction + w.fraction - rng.choice([-2, 0, 0, 1, 5, 10, 15, 16, 17, 25])
    width = rng.choice([6, 16, 24, 45])
    accum = FixedType(width, width - fraction, rng.random() < 0.9, *modes(rng))
    narrow = rng.randint(2, 24)
    coarse = fraction - rng.randint(-3, 20)
    return Sums(x, weight, bias, accum, FixedType(narrow, narrow - coarse, rng.random() < 0.8, *modes(rng)))


def definition(of: Sums, q: IntArray) -> tuple[list[list[int]], OverflowCount]:
    count = OverflowCount()
    sums = accumulate(q, of.x, of.weight, of.bias, of.accum, count)
    return cast_into(sums, of.accum.fraction, of.result, count).tolist(), count


def check_sums(kind: str, rng: random.Random) -> None:
    """Dense layers, and the same for a sample in each column."""
    of, kernels = random_sums(rng), compiled(kind)
    dense, columns = kernels.dense(of), kernels.columns(of)
    assert (dense is None) == (columns is None)
    if dense is None or columns is None:
        return
    q = values(rng, of.x, (rng.choice([1, 5, 9, 40]), len(of.weight.data)))
    wanted, overflows = definition(of, q)
    for found, arranged in ((dense, q), (columns, q.T)):
        count = OverflowCount()
        y = found(arranged, count)
        assert y.dtype == np.int64
        assert (y if found is dense else y.T).tolist() == wanted
        assert count == overflows


def check_convolution(kind: str, rng: random.Random) -> None:
    """In any number of dimensions, grouped, depthwise, with strides, dilation, padding and zeros between inputs."""
    op, shape = random_conv(rng)
    of = random_type(rng, rng.choice([8, 16]))
    exact = op.sum_type(of)
    cut = rng.choice([0, 0, 1, 4, 10])
    width = max(exact.width - cut - rng.choice([0, 0, 3]), 2)
    accum = FixedType(width, width - (exact.fraction - cut), True, *modes(rng))
    narrow = rng.randint(3, 12)
    result = FixedType(narrow, narrow - accum.fraction + rng.randint(-1, 4), True, *modes(rng))
    op = replace(op, accum=accum)
    found = op.compiled([shape], [of], result, compiled(kind))
    if found is None:
        return
    x = values(rng, of, (rng.choice([1, 4]), *shape))
    wanted_count, count = OverflowCount(), OverflowCount()
    wanted = op._unfolded(of, result, [x], wanted_count)
    y = found([x], count)
    assert y.shape == wanted.shape
    assert np.array_equal(y, wanted)
    assert count == wanted_count


@each_kind
@settings(max_examples=60, deadline=None)
@given(rng=RANDOM)
def test_sums(kind: str, rng: random.Random) -> None:
    check_sums(kind, rng)


@each_kind
@settings(max_examples=60, deadline=None)
@given(rng=RANDOM)
def test_convolutions(kind: str, rng: random.Random) -> None:
    check_convolution(kind, rng)


@pytest.mark.slow
@pytest.mark.parametrize("kind", [*KINDS, *AVX2])
@pytest.mark.parametrize("check", [check_sums, check_convolution])
def test_many(kind: str, check: Callable[[str, random.Random], None]) -> None:
    for seed in range(3000):
        check(kind, random.Random(seed))


@each_kind
def test_most_are_computed(kind: str) -> None:
    """The tests above see the kernels, in all ways to round and to limit."""
    rng = random.Random(2)
    sums = [random_sums(rng) for _ in range(200)]
    taken = [of for of in sums if compiled(kind).dense(of) is not None]
    assert len(taken) > 100
    assert {of.accum.quantization for of in taken} == set(Quantization)
    assert {(of.result.quantization, of.result.overflow) for of in taken} == {
        (q, o) for q in Quantization for o in Overflow
    }


@each_kind
@pytest.mark.parametrize("bits", [8, 15, 16, 17, 24, 31])
@pytest.mark.parametrize("signed", [True, False])
def test_the_largest_sums(kind: str, bits: int, signed: bool) -> None:
    """The ends of both types in every term, over more terms than 32 bits hold."""
    x, w = FixedType(16, 16, signed), FixedType(bits, bits)
    half = np.array([[w.min, w.max, -1, 0]] * 350)
    weight = Tensor(np.concatenate([np.vstack([half, half]), np.vstack([0 * half, half])], axis=1), w)
    accum = FixedType(60, 60)
    of = Sums(x, weight, None, accum, accum)
    q = np.stack([np.full(700, x.min), np.full(700, x.max), np.tile([x.min, x.max], 350)])
    contract = compiled(kind).dense(of)
    assert contract is not None
    assert contract(q, OverflowCount()).tolist() == (q.astype(object) @ weight.data.astype(object)).tolist()


@each_kind
@pytest.mark.parametrize("mode", Quantization)
@pytest.mark.parametrize("lost", [1, 10, 15, 16, 17, 30])
def test_every_product_rounded(kind: str, mode: Quantization, lost: int) -> None:
    """All products of some inputs and weights, ties among them, alone and added up."""
    x, w = FixedType(16, 16), FixedType(16, 16)
    numbers = np.array([*range(-9, 10), 512, -512, 1 << 14, x.max, x.min, x.min + 1, 1000, -1000])
    accum = FixedType(40, 40 + lost, True, mode)
    weight = Tensor(np.concatenate([numbers] * 3)[np.newaxis], w)
    of = Sums(x, weight, None, accum, accum)
    contract = compiled(kind).dense(of)
    assert contract is not None
    column = numbers[:, np.newaxis]
    assert (contract(column, OverflowCount()).tolist(), OverflowCount()) == definition(of, column)
    many = Sums(x, Tensor(weight.data.T, w), None, accum, accum)
    rows = np.random.default_rng(1).choice(numbers, (20, weight.data.size))
    contract = compiled(kind).dense(many)
    assert contract is not None
    assert (contract(rows, OverflowCount()).tolist(), OverflowCount()) == definition(many, rows)


@each_kind
def test_what_kernels_leave_to_numpy(kind: str) -> None:
    """Operands of more bits, products that need more than 32, sums that have to saturate on the way."""
    x, accum = FixedType(16, 16), FixedType(40, 40)
    weight = Tensor(np.array([[30000], [-30000]]), FixedType(16, 16))

    def taken(**changes: object) -> bool:
        return compiled(kind).dense(replace(Sums(x, weight, None, accum, accum), **changes)) is not None

    assert taken()
    assert not taken(x=FixedType(17, 17))
    assert not taken(weight=Tensor(weight.data << 17, FixedType(33, 33)))
    assert not taken(accum=FixedType(16, 47))
    assert not taken(accum=FixedType(20, 20, True, Quantization.TRN, Overflow.SAT))
    assert not taken(result=FixedType(70, 40))


@each_kind
@pytest.mark.parametrize("up", [29, 30, 31, 32])
def test_up_to_62_bits(kind: str, up: int) -> None:
    """Sums of 31 bits, shifted left as products or by the cast: exact where they are taken, and not taken beyond."""
    x = FixedType(16, 16)
    weight = Tensor(np.array([[x.min], [x.max]]), x)
    near, far = FixedType(40, 40), FixedType(62, 62 - up)
    for accum in (near, far):
        of = Sums(x, weight, None, accum, far)
        contract = compiled(kind).dense(of)
        assert (contract is not None) == (31 + up < 62)
        if contract is not None:
            q = np.array([[x.min, x.max], [x.max, x.min], [x.min, x.min]])
            assert (contract(q, OverflowCount()).tolist(), OverflowCount()) == definition(of, q)


@each_kind
def test_no_samples(kind: str) -> None:
    x, kernels = FixedType(8, 8), compiled(kind)
    of = Sums(x, Tensor(np.ones((4, 3), np.int64), x), None, FixedType(20, 20), x)
    dense, columns = kernels.dense(of), kernels.columns(of)
    assert dense is not None and columns is not None
    assert dense(np.zeros((0, 4), np.int64), OverflowCount()).shape == (0, 3)
    assert columns(np.zeros((4, 0), np.int64), OverflowCount()).shape == (3, 0)
    assert columns(np.ones((2, 4, 300), np.int64), OverflowCount()).tolist() == np.full((2, 3, 300), 4).tolist()


@each_kind
def test_blocks_of_samples(kind: str) -> None:
    """More samples than are packed at a time, of more elements than fit a block, and not contiguous."""
    of, result, rng = FixedType(16, 6), FixedType(16, 6), np.random.default_rng(1)
    w = FixedType(16, 1)
    dense = Dense(Tensor(rng.integers(w.min, w.max + 1, (7, 10)), w))
    conv = Conv(
        Tensor(rng.integers(w.min, w.max + 1, (3, 3, 2, 5)), w), strides=(2, 1), padding=((1, 1), (0, 2)),
        dilation=(1, 1), input_dilation=(1, 1),
    )  # fmt: skip
    for op, x in (
        (dense, rng.integers(of.min, of.max + 1, (20_001, 7))),
        (conv, rng.integers(of.min, of.max + 1, (3, 190, 200, 4))[..., ::2]),
    ):
        found = op.compiled([x.shape[1:]], [of], result, compiled(kind))
        assert found is not None
        count, wanted_count = OverflowCount(), OverflowCount()
        assert np.array_equal(found([x], count), op.eval([x], [of], result, wanted_count))
        assert count == wanted_count
        assert count.values > 0


@each_kind
def test_wrong_inputs(kind: str) -> None:
    x = FixedType(8, 8)
    of = Sums(x, Tensor(np.ones((2, 3), np.int64), x), None, FixedType(20, 20), x)
    dense, columns = compiled(kind).dense(of), compiled(kind).columns(of)
    assert dense is not None and columns is not None
    for q in (np.array([[0, 128]]), np.array([[-129, 0]])):
        with pytest.raises(ValueError, match="outside their type"):
            dense(q, OverflowCount())
        with pytest.raises(ValueError, match="outside their type"):
            columns(q.T, OverflowCount())
    for found in (dense, columns):
        with pytest.raises(ValueError, match="a sample has 3 elements, not 2"):
            found(np.zeros((3, 3), np.int64), OverflowCount())
