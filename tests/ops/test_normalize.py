"""Normalizations against exact fractions, and against the real ones within the derived bound."""

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

from kbuild.fixed import FixedType, from_float, to_float
from kbuild.ir import Graph, Interval, Layer, Node, OverflowCount, Tensor
from kbuild.ops.input import Input
from kbuild.ops.normalize import STATISTICS, Normalize
from kbuild.passes.context import Context
from kbuild.passes.normalizing import quotient_error
from kbuild.passes.resolve_precision import run

sys.path.insert(0, str(Path(__file__).parent))
from oracle import cast_value, random_type


def tensor(rng: random.Random, shape: tuple[int, ...], of: FixedType) -> Tensor:
    values = [rng.randint(of.min, of.max) for _ in range(math.prod(shape))]
    return Tensor(np.array(values, dtype=object).reshape(shape), of)


def random_shape(rng: random.Random) -> tuple[tuple[int, ...], dict[str, object]]:
    """A shape, and what to normalize over."""
    shape = tuple(rng.randint(1, 4) for _ in range(rng.randint(1, 3)))
    axes = tuple(sorted(rng.sample(range(len(shape)), rng.randint(1, len(shape)))))
    at = rng.choice(axes)
    groups = rng.choice([n for n in range(1, shape[at] + 1) if shape[at] % n == 0])
    return shape, {"axes": axes, "groups": groups, "group_axis": at}


def broadcast(rng: random.Random, shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(n if rng.random() < 0.5 else 1 for n in shape)


def group_of(op: Normalize, place: tuple[int, ...], shape: tuple[int, ...]) -> list[tuple[int, ...]]:
    """The places whose values share a statistic with this one."""
    size = shape[op.group_axis] // op.groups
    ranges = [range(n) if axis in op.axes else [place[axis]] for axis, n in enumerate(shape)]
    if op.groups > 1:
        first = place[op.group_axis] // size * size
        ranges[op.group_axis] = range(first, first + size)
    return list(product(*ranges))


def quotient(op: Normalize, values: list[Fraction], at: int, of: FixedType) -> Fraction:
    """The quotient before its cast, for the value number `at` of a group."""
    assert op.table is not None
    n, lsb = len(values), of.lsb
    if op.statistic == "variance":
        d = values[at] - sum(values) / n
        v = sum((x - sum(values) / n) ** 2 for x in values) / n
    else:
        d, v = values[at], sum(x * x for x in values) / (n if op.statistic == "mean_square" else 1)
    scale = lsb**2 / (1 if op.statistic == "sum_square" else n * n) / 2**op.guard  # of one step of w
    e = round(Fraction(op.epsilon) / scale) * scale
    w = (max(v, e) if op.statistic == "sum_square" else v + e) / scale
    assert w.denominator == 1
    w, power = max(w, Fraction(1)), 0
    while w >= 4 ** (power + 1):
        power += 1
    top = op.top(of, n)
    index = int((w / 4**power - 1) * 2**top) >> op.table_shift
    entry = int(op.table.data[min(index, op.table.data.size - 1)]) * op.table.fixed().lsb
    unit = lsb if op.statistic == "sum_square" else lsb / n
    return d / unit * 2 ** (op.guard // 2) * entry / 2**power


@pytest.mark.parametrize("statistic", STATISTICS)
@pytest.mark.parametrize("widest", [4, 10, 30])
def test_normalizations(widest: int, statistic: str) -> None:
    rng = random.Random(widest)
    for _ in range(60):
        shape, fields = random_shape(rng)
        x_type, accum, result = (random_type(rng, widest) for _ in range(3))
        op = Normalize(
            **fields,  # type: ignore[arg-type]
            statistic=statistic,
            epsilon=rng.choice([0.0, 1e-3, 0.7, 5.0]),
            scale=tensor(rng, broadcast(rng, shape), random_type(rng, widest)) if rng.random() < 0.6 else None,
            bias=tensor(rng, broadcast(rng, shape), random_type(rng, widest)) if rng.random() < 0.6 else None,
            guard=rng.choice([0, 2, 6]),
            table=tensor(rng, (rng.choice([1, 3, 24]),), random_type(rng, widest)),
            accum=accum,
        )
        op.verify([shape])
        op = replace(op, table_shift=max(op.top(x_type, op.count(shape)) - rng.randint(0, 5), 0))
        x = tensor(rng, (2, *shape), x_type).data
        y = op.eval([x], [x_type], result, OverflowCount())
        one = Tensor(np.ones((1,) * len(shape)), None)
        scale = np.broadcast_to((op.scale or one).data, shape)
        bias = np.broadcast_to((op.bias or one).data, shape)
        for sample in range(2):
            for place in product(*(range(n) for n in shape)):
                group = group_of(op, place, shape)
                values = [int(x[(sample, *p)]) * x_type.lsb for p in group]
                z = cast_value(quotient(op, values, group.index(place), x_type), accum) * accum.lsb
                z = z if op.scale is None else z * int(scale[place]) * op.scale.fixed().lsb
                z = z if op.bias is None else z + int(bias[place]) * op.bias.fixed().lsb
                assert y[(sample, *place)] == cast_value(z, result), (op, x_type, place)
        full, overflow = op.infer_type([x_type]), OverflowCount()
        op.eval([x], [x_type], full, overflow)
        wide_accum = OverflowCount()
        replace(op, scale=None, bias=None).eval([x], [x_type], accum, wide_accum)
        assert overflow.values == wide_accum.values  # the result's exact type loses nothing more


def resolved(op: Normalize, x: np.ndarray) -> Graph:
    shape = x.shape[1:]
    source = Node("x", Input(shape), (), shape, Layer("x", "InputLayer"))
    graph = Graph("one", (source, Node("y", op, ("x",), shape, Layer("y", "Normalize"))), ("y",))
    return run(graph, Context(calibration={"x": x}))


@pytest.mark.parametrize("statistic", STATISTICS)
def test_the_real_layer_is_within_the_bound(statistic: str) -> None:
    rng, npr = random.Random(3), np.random.default_rng(3)
    for _ in range(60):
        shape, fields = random_shape(rng)
        shape = tuple(n * rng.choice([1, 5]) for n in shape)
        size = rng.choice([1e-3, 1.0, 30.0])
        scale = Tensor(npr.normal(1, 0.5, broadcast(rng, shape)))
        bias = Tensor(npr.normal(0, 1, broadcast(rng, shape)))
        op = Normalize(**fields, statistic=statistic, epsilon=rng.choice([1e-6, 1e-3, 0.1]))  # type: ignore[arg-type]
        op = replace(op, scale=scale if rng.random() < 0.7 else None, bias=bias if rng.random() < 0.7 else None)
        x = npr.normal(0, size, (50, *shape)) * npr.choice([0.01, 1.0], (50, *(1,) * len(shape)))
        x[0] = 0.0
        typed = resolved(op, x)
        of, node = typed["x"].fixed(), typed["y"]
        made = node.op
        assert isinstance(made, Normalize)
        q = from_float(x, of)
        overflow = OverflowCount()
        z, real = (replace(made, scale=None, bias=None), replace(op, scale=None, bias=None))
        assert made.accum is not None
        quotients = to_float(z.eval([q], [of], made.accum, overflow), made.accum)
        true = real.eval_float([to_float(q, of)])
        assert np.abs(quotients - true).max() <= quotient_error(made, of, shape), made
        assert quotient_error(made, of, shape) <= 2.0**-11 * op.root_bound(op.count(shape))
        y = to_float(made.eval([q], [of], node.fixed(), overflow), node.fixed())
        steps = float(node.fixed().lsb) * 2
        largest = 1.0 if made.scale is None else np.abs(made.scale.floats()).max() + float(made.scale.fixed().lsb)
        bound = largest * quotient_error(made, of, shape) + steps
        for tensor_, factor in ((made.scale, op.root_bound(op.count(shape))), (made.bias, 1.0)):
            bound += 0.0 if tensor_ is None else float(tensor_.fixed().lsb) * factor
        assert np.abs(y - op.eval_float([to_float(q, of)])).max() <= bound, made


def test_bounds_hold() -> None:
    rng, npr = random.Random(8), np.random.default_rng(8)
    for _ in range(60):
        shape, fields = random_shape(rng)
        op = Normalize(**fields, statistic=rng.choice(STATISTICS), epsilon=1e-6)  # type: ignore[arg-type]
        op = replace(op, scale=Tensor(npr.normal(0, 1, shape)), bias=Tensor(npr.normal(0, 1, shape)))
        x = npr.choice([-1.0, 0.0, 1.0, 7.0], (200, *shape))
        bounds = op.interval([Interval(x.min(axis=0), x.max(axis=0))])
        y = op.eval_float([x])
        assert (bounds.low - 1e-9 <= y).all() and (y <= bounds.high + 1e-9).all()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"axes": ()}, "are not axes of"),
        ({"axes": (1, 0)}, "are not axes of"),
        ({"axes": (2,)}, "are not axes of"),
        ({"statistic": "median"}, "no statistic is called median"),
        ({"epsilon": -1.0}, "epsilon is -1.0, which is negative"),
        ({"guard": 3}, "guard is 3, not an even number of bits"),
        ({"groups": 3, "group_axis": 1}, "4 elements are not 3 equal groups"),
        ({"groups": 2, "group_axis": 0}, "which is not normalized over"),
        ({"scale": Tensor(np.ones((4,)))}, "the scale of shape"),
    ],
)
def test_contradictions_are_refused(change: dict[str, object], sentence: str) -> None:
    op = Normalize(axes=(1,))
    op.verify([(3, 4)])
    with pytest.raises(ValueError, match=sentence):
        replace(op, **change).verify([(3, 4)])
