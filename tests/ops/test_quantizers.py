"""`quantize` and `step` against definitions, one value at a time; their float forms and bounds."""

from __future__ import annotations

import random
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from kbuild.fixed import FixedType, to_float, type_for
from kbuild.ir import Interval, OverflowCount, Tensor
from kbuild.ops.quantize import Quantize
from kbuild.ops.step import Step

sys.path.insert(0, str(Path(__file__).parent))
from oracle import cast_value, random_type

UINT = FixedType(4, 4, signed=False)


def draw(rng: random.Random, shape: tuple[int, ...], of: FixedType) -> np.ndarray:
    return np.array([rng.randint(of.min, of.max) for _ in range(int(np.prod(shape)))]).reshape(shape)


@pytest.mark.parametrize("seed", range(30))
def test_every_element_is_cast_to_its_own_type(seed: int) -> None:
    rng = random.Random(seed)
    x, result = random_type(rng, modes=False), random_type(rng, 14)
    types = tuple(None if rng.random() < 0.2 else random_type(rng) for _ in range(rng.randint(2, 4)))
    which = draw(rng, (2, 1, 3), type_for(0, len(types) - 1, 0)) % len(types)
    op = Quantize(types, Tensor(which, UINT))
    q = draw(rng, (5, 2, 4, 3), x)
    exact = op.infer_type([x])
    found = op.eval([q], [x], exact, OverflowCount())
    again = op.eval([q], [x], result, OverflowCount())
    for index, value in np.ndenumerate(q):
        of = types[np.broadcast_to(which, (2, 4, 3))[index[1:]]]
        wanted = Fraction(0) if of is None else cast_value(int(value) * x.lsb, of) * of.lsb
        assert int(found[index]) * exact.lsb == wanted
        assert int(again[index]) == cast_value(wanted, result)
    floats = op.eval_float([to_float(q, x)])
    assert np.array_equal(floats, to_float(found, exact))
    bounds = op.interval([Interval(to_float(q, x).min(axis=0), to_float(q, x).max(axis=0))])
    assert (bounds.low <= floats).all() and (floats <= bounds.high).all()


@pytest.mark.parametrize("seed", range(30))
def test_step_counts_the_thresholds(seed: int) -> None:
    rng = random.Random(seed)
    x, of = random_type(rng, modes=False), random_type(rng, modes=False)
    count, outer = rng.randint(1, 5), rng.choice([(), (3,), (2, 1)])
    drawn = np.array([rng.uniform(-4, 4) for _ in range(int(np.prod(outer)) * count)]).reshape(*outer, count)
    thresholds = np.sort(np.round(drawn * 4) / 4 if rng.random() < 0.5 else drawn, axis=-1)
    values = Tensor(draw(rng, (*rng.choice([(), outer]), count + 1), of), of)
    op = Step(Tensor(thresholds), values)
    op.verify([(2, 3)])
    q = draw(rng, (20, 2, 3), x)
    found = op.eval([q], [x], of, OverflowCount())
    rows = np.broadcast_to(thresholds, (2, 3, count))
    every = np.broadcast_to(values.data, (2, 3, count + 1))
    for index, value in np.ndenumerate(q):
        taken = sum(int(value) * x.lsb >= Fraction(t) for t in rows[index[1:]])
        assert int(found[index]) == int(every[index[1:]][taken])
    assert np.array_equal(found, op.on(x).eval([q], [x], of, OverflowCount()))
    floats = op.eval_float([to_float(q, x)])
    assert np.array_equal(floats, to_float(found, of))
    bounds = op.interval([Interval(to_float(q, x).min(axis=0), to_float(q, x).max(axis=0))])
    assert (bounds.low <= floats).all() and (floats <= bounds.high).all()
    points = op.interval([Interval(to_float(q[0], x), to_float(q[0], x))])
    assert np.array_equal(points.low, floats[0]) and np.array_equal(points.high, floats[0])


@pytest.mark.parametrize(
    ("op", "sentence"),
    [
        (Quantize(()), "1 to 4096 types"),
        (Quantize((UINT, None)), "is not said"),
        (Quantize((UINT, None), Tensor(np.array([0, 2]), UINT)), "type number 2 of 2"),
        (Quantize((UINT, None), Tensor(np.array([0, 1, 1]), UINT)), "do not broadcast"),
        (Step(Tensor([1.0, 0.0]), Tensor(np.arange(3), UINT)), "do not rise"),
        (Step(Tensor([1.0]), Tensor(np.arange(3), UINT)), "do not separate"),
        (Step(Tensor([[1.0], [2.0], [3.0]]), Tensor(np.arange(2), UINT)), "broadcast"),
        (Step(Tensor([[1.0], [2.0]]), Tensor(np.arange(6).reshape(3, 2), UINT)), "not beside"),
    ],
)
def test_contradictions(op: Quantize | Step, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        op.verify([(2,)])
