"""Recurrent cells against a loop over exact fractions, over types, modes, activations, gates and directions."""

from __future__ import annotations

import random
import sys
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from kbuild.fixed import FixedType, Overflow, Quantization, from_float, to_float
from kbuild.ir import Graph, Interval, Layer, Node, OverflowCount, Tensor
from kbuild.ops import rnn
from kbuild.ops.gru import Gru
from kbuild.ops.input import Input
from kbuild.ops.lstm import Lstm
from kbuild.ops.rnn import Recurrent, SimpleRnn
from kbuild.passes import context, ranges, recurrent, tables
from kbuild.passes.context import Context
from kbuild.passes.resolve_precision import run

sys.path.insert(0, str(Path(__file__).parent))
from oracle import cast_value, keep_in_range, random_type, round_to

CELLS = {"simple_rnn": SimpleRnn, "lstm": Lstm, "gru": Gru}
NAMES = ("tanh", "sigmoid", "relu", "linear", "elu")


def tensor(rng: random.Random, shape: tuple[int, ...], of: FixedType) -> Tensor:
    values = [rng.randint(of.min, of.max) for _ in range(int(np.prod(shape)))]
    return Tensor(np.array(values, dtype=object).reshape(shape), of)


def random_op(rng: random.Random, kind: str, widest: int) -> tuple[Recurrent, int]:
    """A typed cell and the number of its input features."""
    features, units = rng.randint(1, 3), rng.randint(1, 3)
    cls = CELLS[kind]
    columns = cls.gates * units
    half = rng.random() < 0.5

    def of() -> FixedType:
        return random_type(rng, widest)

    def table() -> Tensor:
        return tensor(rng, (rng.choice([1, 4, 16]),), of())

    def address() -> tuple[int, int]:
        return rng.randint(-40, 40), rng.randint(0, 3)

    fields: dict[str, object] = {
        "weight": tensor(rng, (features, columns), of()),
        "recurrent_weight": tensor(rng, (units, columns), of()),
        "bias": tensor(rng, (columns,), of()) if half else None,
        "recurrent_bias": tensor(rng, (columns,), of()) if rng.random() < 0.5 else None,
        "activation": rng.choice(NAMES),
        "table": table(),
        "table_address": address(),
        "accum": of(),
        "recurrent_accum": of(),
        "state": of(),
        "go_backwards": rng.random() < 0.5,
        "flip": rng.random() < 0.5,
        "return_sequences": rng.random() < 0.5,
        "output": rng.randrange(cls.states),
    }
    if kind != "simple_rnn":
        fields |= {"recurrent_activation": rng.choice(NAMES)}
        fields |= {"recurrent_table": table(), "recurrent_address": address()}
    if kind == "lstm":
        fields |= {"cell": of(), "cell_table": table(), "cell_address": address()}
    if kind == "gru":
        fields |= {"reset_after": rng.random() < 0.5}
    return cls(**fields), features  # type: ignore[arg-type]


def accumulated(x: Sequence[Fraction], weight: Tensor, bias: Tensor | None, accum: FixedType, column: int) -> Fraction:
    """Bias first, then the products in order, each rounded to the accumulator's LSB."""
    total = 0
    if bias is not None:
        total = round_to(int(bias.data[column]) * bias.fixed().lsb / accum.lsb, accum.quantization)
    saturating = accum.overflow is not Overflow.WRAP
    if saturating:
        total = keep_in_range(total, accum)
    for value, w in zip(x, weight.data[:, column], strict=True):
        total += round_to(value * int(w) * weight.fixed().lsb / accum.lsb, accum.quantization)
        if saturating:
            total = keep_in_range(total, accum)
    return keep_in_range(total, accum) * accum.lsb


def activated(name: str, value: Fraction, fraction: int, table: Tensor, address: tuple[int, int]) -> Fraction:
    """The activation of a value that is an integer at `fraction` fraction bits."""
    if name == "linear":
        return value
    if name == "relu":
        return max(value, Fraction(0))
    q = int(value * Fraction(2) ** fraction)
    index = min(max((q - address[0]) >> address[1], 0), table.data.size - 1)
    return int(table.data[index]) * table.fixed().lsb


def cast(value: Fraction, to: FixedType) -> Fraction:
    return cast_value(value, to) * to.lsb


class Oracle:
    """One cell in exact fractions."""

    def __init__(self, op: Recurrent) -> None:
        self.op = op
        assert op.accum is not None and op.recurrent_accum is not None and op.state is not None
        self.accum, self.recurrent_accum, self.state = op.accum, op.recurrent_accum, op.state
        self.fraction = max(op.accum.fraction, op.recurrent_accum.fraction)

    def act(self, value: Fraction) -> Fraction:
        return activated(self.op.activation, value, self.fraction, self.op.table, self.op.table_address)

    def gate(self, value: Fraction) -> Fraction:
        op = self.op
        assert isinstance(op, Lstm | Gru)
        return activated(op.recurrent_activation, value, self.fraction, op.recurrent_table, op.recurrent_address)

    def recurrent(self, h: Sequence[Fraction], column: int) -> Fraction:
        return accumulated(h, self.op.recurrent_weight, self.op.recurrent_bias, self.recurrent_accum, column)

    def step(self, x: Sequence[Fraction], states: list[list[Fraction]]) -> list[list[Fraction]]:
        op, n = self.op, self.op.units
        a = [accumulated(x, op.weight, op.bias, self.accum, k) for k in range(op.gates * n)]
        h = states[0]
        if isinstance(op, SimpleRnn):
            return [[cast(self.act(a[k] + self.recurrent(h, k)), self.state) for k in range(n)]]
        if isinstance(op, Lstm):
            return self.lstm(op, a, h, states[1])
        assert isinstance(op, Gru)
        return [self.gru(op, a, h)]

    def lstm(self, op: Lstm, a: list[Fraction], h: list[Fraction], c: list[Fraction]) -> list[list[Fraction]]:
        n, cell = op.units, op.cell
        assert cell is not None
        z = [a[k] + self.recurrent(h, k) for k in range(4 * n)]
        new_c = [cast(self.gate(z[n + k]) * c[k] + self.gate(z[k]) * self.act(z[2 * n + k]), cell) for k in range(n)]
        shown = [activated(op.activation, v, cell.fraction, op.cell_table, op.cell_address) for v in new_c]
        return [[cast(self.gate(z[3 * n + k]) * shown[k], self.state) for k in range(n)], new_c]

    def gru(self, op: Gru, a: list[Fraction], h: list[Fraction]) -> list[Fraction]:
        n = op.units
        update = [self.gate(a[k] + self.recurrent(h, k)) for k in range(n)]
        reset = [self.gate(a[n + k] + self.recurrent(h, n + k)) for k in range(n)]
        if op.reset_after:
            p = [cast(reset[k] * self.recurrent(h, 2 * n + k), self.recurrent_accum) for k in range(n)]
        else:
            past = [cast(reset[k] * h[k], self.state) for k in range(n)]
            p = [self.recurrent(past, 2 * n + k) for k in range(n)]
        new = [self.act(a[2 * n + k] + p[k]) for k in range(n)]
        return [cast(update[k] * h[k] + (1 - update[k]) * new[k], self.state) for k in range(n)]

    def run(self, x: list[list[Fraction]], start: list[list[Fraction]], result: FixedType) -> list[object]:
        states, kept = start, []
        for row in reversed(x) if self.op.go_backwards else x:
            states = self.step(row, states)
            kept.append([cast_value(v, result) for v in states[self.op.output]])
        if not self.op.return_sequences:
            return kept[-1]
        return kept[::-1] if self.op.flip else kept


def values(q: np.ndarray, of: FixedType) -> list[object]:
    return [values(row, of) for row in q] if q.ndim > 1 else [int(v) * of.lsb for v in q]


@pytest.mark.parametrize("widest", [5, 12, 40, 80])
@pytest.mark.parametrize("kind", CELLS)
def test_cells(kind: str, widest: int) -> None:
    rng = random.Random(widest)
    for _ in range(60):
        op, features = random_op(rng, kind, widest)
        steps = rng.randint(1, 4)
        given = rng.random() < 0.5
        shapes = [(steps, features), *([(op.units,)] * (op.states if given else 0))]
        op.verify(shapes)
        types, result = [random_type(rng, widest) for _ in shapes], random_type(rng, widest)
        inputs = [tensor(rng, (2, *shape), of).data for shape, of in zip(shapes, types, strict=True)]
        y = op.eval(inputs, types, result, OverflowCount())
        assert y.shape == (2, *op.infer_shape(shapes))
        for sample in range(2):
            zero = [[Fraction(0)] * op.units for _ in range(op.states)]
            first = [
                [cast(v, to) for v in values(q[sample], of)]
                for q, of, to in zip(inputs[1:], types[1:], op.state_types(), strict=False)
            ]
            wanted = Oracle(op).run(values(inputs[0][sample], types[0]), first or zero, result)
            assert y[sample].tolist() == wanted, (op, types, result)


@pytest.mark.parametrize("widest", [12, 80])
@pytest.mark.parametrize("kind", CELLS)
def test_samples_in_blocks(monkeypatch: pytest.MonkeyPatch, kind: str, widest: int) -> None:
    rng, whole = random.Random(widest), rnn._BLOCK
    for samples in (0, 1, 7):
        op, features = random_op(rng, kind, widest)
        shapes = [(3, features), *([(op.units,)] * op.states)]
        types, result = [random_type(rng, widest) for _ in shapes], random_type(rng, widest)
        inputs = [tensor(rng, (samples, *shape), of).data for shape, of in zip(shapes, types, strict=True)]
        found = []
        for block in (whole, 2 * op.gates * op.units):
            monkeypatch.setattr(rnn, "_BLOCK", block)
            overflow = OverflowCount()
            found.append((op.eval(inputs, types, result, overflow).tolist(), overflow.values))
        assert found[0] == found[1]


def random_float(rng: random.Random, kind: str, steps: int) -> tuple[Graph, np.ndarray]:
    """A float graph of one cell and inputs."""
    npr = np.random.default_rng(rng.randrange(1 << 30))
    features, units = rng.randint(1, 4), rng.randint(1, 5)
    cls = CELLS[kind]
    scale = rng.choice([0.3, 1.0])
    fields: dict[str, object] = {
        "weight": Tensor(npr.normal(0, scale, (features, cls.gates * units))),
        "recurrent_weight": Tensor(npr.normal(0, 0.5 / units**0.5, (units, cls.gates * units))),
        "bias": Tensor(npr.normal(0, 0.5, (cls.gates * units,))),
        "activation": rng.choice(["tanh", "relu", "softsign", "linear"]),
        "return_sequences": True,
        "output": rng.randrange(cls.states),
    }
    if kind != "simple_rnn":
        line = rng.random() < 0.5
        fields |= {"recurrent_activation": "clipped_line" if line else "sigmoid"}
        fields |= {"recurrent_params": (0.2, 0.5, 0.0, 1.0) if line else ()}
    if kind == "gru":
        fields |= {"reset_after": rng.random() < 0.5}
    op = cls(**fields)  # type: ignore[arg-type]
    x = Node("x", Input((steps, features)), (), (steps, features), Layer("x", "InputLayer"))
    y = Node("y", op, ("x",), (steps, units), Layer("y", kind))
    return Graph("one", (x, y), ("y",)), npr.normal(0, 1, (64, steps, features))


def largest_error(graph: Graph, x: np.ndarray) -> float:
    """Of the layer with automatic types, relative to its largest value or to one; states may saturate once in 1000."""
    typed = run(graph, Context(calibration={"x": x}))
    of, node = typed["x"].fixed(), typed["y"]
    overflow = OverflowCount()
    q = node.op.eval([from_float(x, of)], [of], node.fixed(), overflow)
    assert overflow.values <= 1e-3 * q.size
    true = graph["y"].op.eval_float([x])
    return float(np.abs(to_float(q, node.fixed()) - true).max() / max(np.abs(true).max(), 1.0))


@pytest.mark.parametrize("kind", CELLS)
def test_automatic_types(kind: str) -> None:
    rng = random.Random(9)
    for _ in range(12):
        graph, x = random_float(rng, kind, rng.randint(1, 8))
        assert largest_error(graph, x) <= 0.03, graph["y"].op


@pytest.mark.parametrize("kind", CELLS)
def test_ample_precision(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With 28 bits and 32 times the entries, the cells of the tables are 32 times smaller, and so is the error."""
    monkeypatch.setattr(context, "VALUE_WIDTH", 28)
    monkeypatch.setattr(ranges, "VALUE_WIDTH", 28)
    monkeypatch.setattr(tables, "TABLE_WIDTH", 28)
    monkeypatch.setattr(recurrent, "TABLE_SIZE", 1 << 16)
    rng = random.Random(9)
    for _ in range(12):
        graph, x = random_float(rng, kind, rng.randint(1, 8))
        assert largest_error(graph, x) <= 0.03 / 32, graph["y"].op


@pytest.mark.parametrize("kind", CELLS)
def test_bounds_hold(kind: str) -> None:
    rng = random.Random(4)
    for _ in range(40):
        graph, x = random_float(rng, kind, rng.randint(1, 6))
        op = graph["y"].op
        low, high = x[:4].min(axis=0), x[:4].max(axis=0)
        bounds = op.interval([Interval(low, high)])
        inside = low + (high - low) * np.random.default_rng(0).random((40, *low.shape))
        y = op.eval_float([inside])
        room = 1e-9 * (1 + np.abs(y).max())
        assert (bounds.low - room <= y).all() and (y <= bounds.high + room).all(), op


def test_a_saturating_state_never_wraps() -> None:
    """A linear recurrence that grows beyond its calibration saturates at the ends of its state."""
    one = Tensor(np.array([[1.0]]))
    op = SimpleRnn(weight=one, recurrent_weight=one, activation="linear", return_sequences=True)
    x = Node("x", Input((20, 1)), (), (20, 1), Layer("x", "InputLayer"))
    graph = Graph("sum", (x, Node("y", op, ("x",), (20, 1), Layer("y", "SimpleRNN"))), ("y",))
    typed = run(graph, Context(calibration={"x": np.full((4, 20, 1), 0.25)}))
    of = typed["x"].fixed()
    y = typed["y"].op.eval([np.full((1, 20, 1), of.max)], [of], typed["y"].fixed(), OverflowCount())
    assert (np.diff(y[0, :, 0]) >= 0).all()
    assert typed["y"].op.state.overflow is Overflow.SAT and typed["y"].op.state.quantization is Quantization.RND


def test_contradictions_are_refused() -> None:
    op, features = random_op(random.Random(1), "lstm", 8)
    with pytest.raises(ValueError, match="takes one input and perhaps 2 states, not 2 inputs"):
        op.verify([(3, features), (op.units,)])
    with pytest.raises(ValueError, match="the weight has shape"):
        op.verify([(3, features + 1)])
    with pytest.raises(ValueError, match="an initial state has shape"):
        op.verify([(3, features), (op.units,), (op.units + 1,)])
    with pytest.raises(ValueError, match="no function is called sine"):
        replace(op, activation="sine").verify([(3, features)])
    with pytest.raises(ValueError, match="has no state number 2"):
        replace(op, output=2).verify([(3, features)])
