"""Convolutions in float64 against the accumulation over whole windows, however they are lowered and cut."""

from __future__ import annotations

import random
import sys
from pathlib import Path

import numpy as np
import pytest

from kbuild.dataclass import replace
from kbuild.fixed import FixedType, Overflow, Quantization
from kbuild.ir import OverflowCount, Tensor
from kbuild.ops import floatconv
from kbuild.ops.conv import Conv
from kbuild.ops.floatsums import float_sums

sys.path.insert(0, str(Path(__file__).parent))
from oracle import random_type


def random_conv(rng: random.Random) -> tuple[Conv, tuple[int, ...]]:
    """A convolution without accumulator, depthwise and grouped ones among them, and the shape of its input."""
    while True:
        rank = rng.choice([1, 2, 2, 3])
        groups = rng.choice([1, 1, 1, 2, 3, 4])
        depthwise = groups > 1 and rng.random() < 0.5
        inside, outside = (1, 1) if depthwise else (rng.randint(1, 3), rng.randint(1, 3))
        kernel = tuple(rng.randint(1, 3) for _ in range(rank))
        shape = (*(rng.randint(1, 7 if rank < 3 else 4) for _ in range(rank)), groups * inside)
        w, b = random_type(rng, 8), random_type(rng, 8)
        values = np.random.default_rng(rng.randint(0, 999))
        op = Conv(
            Tensor(values.integers(w.min, w.max + 1, (*kernel, inside, groups * outside)), w),
            Tensor(np.array([rng.randint(b.min, b.max) for _ in range(groups * outside)]), b),
            strides=tuple(rng.randint(1, 3) for _ in range(rank)),
            padding=tuple((rng.randint(0, 2), rng.randint(0, 2)) for _ in range(rank)),
            dilation=tuple(rng.choice([1, 1, 2, 3]) for _ in range(rank)),
            input_dilation=tuple(rng.choice([1, 1, 2]) for _ in range(rank)),
            groups=groups,
        )
        if min(op.infer_shape([shape])) >= 1:
            op.verify([shape])
            return op, shape


def accumulator(rng: random.Random, exact: FixedType) -> FixedType:
    """The exact accumulator, or one that rounds each product or wraps."""
    if rng.random() < 0.4:
        return exact
    cut = rng.randint(0, 4)
    width = max(exact.width - cut - rng.randint(0, 3), 2)
    return FixedType(width, width - (exact.fraction - cut), True, rng.choice([Quantization.TRN, Quantization.RND]))


def test_equal_to_whole_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    rng, whole = random.Random(3), floatconv.BLOCK
    taken, kinds = 0, set()
    for _ in range(250):
        op, shape = random_conv(rng)
        of = random_type(rng, 8)
        accum = accumulator(rng, op.sum_type(of))
        narrow = rng.randint(3, 9)
        result = FixedType(narrow, narrow - accum.fraction + 2, True, Quantization.RND, Overflow.SAT)
        op = replace(op, accum=accum)
        floats = float_sums(of, op.matrix, op.bias, accum, result, op.groups)
        if floats is None:
            continue
        taken += 1
        kinds.add((op.groups == 1, op.groups == shape[-1] == op.outputs, floats.remainders is None))
        x = np.random.default_rng(taken).integers(of.min, of.max + 1, (5, *shape))
        wanted_count = OverflowCount()
        wanted = op._unfolded(of, result, [x], wanted_count)
        for block in (whole, rng.choice([1, 10, 60])):
            monkeypatch.setattr(floatconv, "BLOCK", block)
            count = OverflowCount()
            found = op.eval([x], [of], result, count)
            assert found.dtype == np.int64
            assert np.array_equal(found, wanted), (op, of)
            assert count == wanted_count
        monkeypatch.setattr(floatconv, "BLOCK", whole)
    assert taken > 150
    assert len(kinds) == 8


def test_results_that_no_word_holds() -> None:
    """An accumulator that wraps, cast to a type of more bits than int64 has."""
    x, of, result = FixedType(8, 4), FixedType(8, 4), FixedType(90, 10)
    rng = np.random.default_rng(0)
    weight = Tensor(rng.integers(of.min, of.max + 1, (2, 1, 2)), of)
    op = Conv(weight, None, FixedType(6, 2), strides=(1,), padding=((0, 0),), dilation=(1,), input_dilation=(1,))
    values = rng.integers(x.min, x.max + 1, (3, 5, 1))
    y = op.eval([values], [x], result, OverflowCount())
    narrow = op.eval([values], [x], FixedType(6, 2), OverflowCount())
    assert y.dtype == object and (y == narrow.astype(object) << (result.fraction - 4)).all()
