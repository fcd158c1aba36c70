"""Functions between wide values and a quantizer: steps that are exact for every input."""

from __future__ import annotations

import numpy as np
import pytest

from kbuild.fixed import FixedType, Overflow, Quantization, from_float, to_float
from kbuild.ir import Graph, Layer, Node, OverflowCount, verify
from kbuild.ops.input import Input
from kbuild.ops.lut import Lut
from kbuild.ops.quantize import Quantize
from kbuild.ops.step import Step
from kbuild.passes.context import Context
from kbuild.passes.pipeline import optimize
from kbuild.passes.quantized_functions import RISING, steps_of

SAT, RND = Overflow.SAT, Quantization.RND


@pytest.mark.parametrize("function", RISING)
@pytest.mark.parametrize(
    ("result", "x"),
    [
        (FixedType(6, 1, True, Quantization.RND_CONV, SAT), FixedType(18, 5)),
        (FixedType(9, 3, True, RND, Overflow.SAT_SYM), FixedType(17, 3)),
        (FixedType(4, 0, False, Quantization.TRN, SAT), FixedType(16, 6)),
    ],
)
def test_every_input(function: str, x: FixedType, result: FixedType) -> None:
    op = Lut(function)
    q = np.arange(x.min, x.max + 1)
    steps = steps_of(op, x, (float(x.range[0]), float(x.range[1])), result)
    assert steps is not None
    found = steps.eval([q], [x], result, OverflowCount())
    assert np.array_equal(found, from_float(op.eval_float([to_float(q, x)]), result))


def test_those_that_are_none() -> None:
    x, span = FixedType(18, 5), (-16.0, 16.0)
    assert steps_of(Lut("gelu"), x, span, FixedType(6, 3, True, RND, SAT)) is None  # falls below zero
    assert steps_of(Lut("exp"), x, span, FixedType(6, 3, True, RND)) is None  # would wrap
    assert steps_of(Lut("tanh"), x, span, FixedType(14, 1, True, RND, SAT)) is None  # of too many values
    assert steps_of(Lut("tanh"), FixedType(60, 5), span, FixedType(6, 1, True, RND, SAT)) is None


def test_a_wide_value_gets_steps_and_a_narrow_one_a_table() -> None:
    of = FixedType(6, 1, True, RND, SAT)
    for lsb, kind in ((2.0**-12, Step), (2.0**-4, Lut)):
        x = Node("x", Input((4,)), (), (4,), Layer("x", "InputLayer"))
        act = Node("act", Lut("tanh"), ("x",), (4,), Layer("act", "Activation"))
        q = Node("q", Quantize((of,)), ("act",), (4,), Layer("q", "Quantizer"))
        data = np.round(np.random.default_rng(1).uniform(-7.9, 7.9, (512, 4)) / lsb) * lsb
        graph = optimize(verify(Graph("m", (x, act, q), ("q",))), Context(calibration={"x": data}))
        assert isinstance(graph["act"].op, kind)
