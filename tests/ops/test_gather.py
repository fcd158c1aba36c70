"""Embedding rows against exact fractions: fractions of an index are dropped, indices outside saturate and count."""

from __future__ import annotations

import random
import sys
from pathlib import Path

import numpy as np
import pytest

from kbuild.errors import RecipeError
from kbuild.fixed import FixedType
from kbuild.ir import Graph, Interval, Layer, Node, OverflowCount, Tensor
from kbuild.ops.gather import Gather
from kbuild.ops.input import Input
from kbuild.ops.reshape import Reshape
from kbuild.passes.context import Context
from kbuild.passes.resolve_precision import run

sys.path.insert(0, str(Path(__file__).parent))
from oracle import cast_value, random_type


def embedding(rows: int) -> Graph:
    """Input [4], as [2, 2], embedded."""
    weight = Tensor(np.random.default_rng(rows).normal(size=(rows, 3)))
    layer = Layer("e", "Embedding")
    x = Node("x", Input((4,)), (), (4,), Layer("x", "InputLayer"))
    square = Node("square", Reshape((2, 2)), ("x",), (2, 2), Layer("square", "Reshape"))
    return Graph("g", (x, square, Node("e", Gather(weight), ("square",), (2, 2, 3), layer)), ("e",))


@pytest.mark.parametrize("widest", [6, 12, 40])
def test_rows(widest: int) -> None:
    rng = random.Random(widest)
    for _ in range(150):
        rows, of = rng.randint(1, 5), random_type(rng, widest)
        table = [[rng.randint(of.min, of.max) for _ in range(2)] for _ in range(rows)]
        op = Gather(Tensor(np.array(table, dtype=object), of))
        x_type, result = random_type(rng, widest), random_type(rng, widest)
        q = [rng.choice([x_type.min, x_type.max, rng.randint(x_type.min, x_type.max)]) for _ in range(12)]
        overflow = OverflowCount()
        y = op.eval([Tensor(np.array(q, dtype=object).reshape(4, 3), x_type).data], [x_type], result, overflow)
        assert y.shape == (4, 3, 2)
        asked = [int(v * x_type.lsb) for v in q]  # int() rounds towards zero
        wanted = [[cast_value(v * of.lsb, result) for v in table[min(max(i, 0), rows - 1)]] for i in asked]
        assert y.reshape(12, 2).tolist() == wanted
        assert overflow.values >= sum(not 0 <= i < rows for i in asked)
        exact = op.infer_type([x_type])
        lost = OverflowCount()
        op.eval([np.arange(rows)[None]], [FixedType(8, 8)], exact, lost)
        assert lost.values == 0


def test_an_input_of_indices_holds_them_all() -> None:
    """Whatever the data: they need not have every index."""
    typed = run(embedding(1000), Context(calibration={"x": np.zeros((2, 4))}))
    of = typed["x"].fixed()
    assert (of.width, of.fraction, of.signed) == (10, 0, False)


def test_an_index_that_the_input_cannot_hold_is_refused() -> None:
    class Given(Context):
        def type_of(self, node: Node, variable: str) -> FixedType | None:
            return FixedType(16, 6) if node.name == "x" else None

    with pytest.raises(
        RecipeError, match=r"layer e: its input of type fixed<16,6> holds no index above 31, .* last row is 99"
    ):
        run(embedding(100), Given())
    assert run(embedding(32), Given())["e"].type is not None


def test_bounds_hold() -> None:
    op = Gather(Tensor(np.random.default_rng(0).normal(size=(7, 3))))
    x = np.random.default_rng(1).uniform(-2, 9, (50, 4))
    bounds = op.interval([Interval(x.min(axis=0), x.max(axis=0))])
    y = op.eval_float([x])
    assert (bounds.low <= y).all() and (y <= bounds.high).all()
