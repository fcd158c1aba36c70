"""How far the fixed-point graph may be from the real one: a bound on the error of every value, derived op by op.

Each value has its real number v and a bound e on |computed - v|. An op adds to what its inputs' errors can do:

- in general: the op with its rounded constants, over every input within v +- e (the op's own interval arithmetic);
- where products are rounded to an accumulator: one LSB of it for each product;
- a table: half a cell by the largest slope of the function, a whole one more at the ends beyond which the function is
  held constant, since it changes by no more than an LSB there; and half an LSB for the rounding of an entry, or an
  LSB at the end of its type;
- softmax: exp(2 e) - 1 of the probability, and the LSBs that `docs/arithmetic.md` promises;
- normalization: the shift of the mean, the relative shift of the root, and `quotient_error` of the tables;
- recurrent layers: the same rules applied to each operation of each step;
- the cast to the result: one LSB unless it is exact, and what saturation cuts off; an automatic type never wraps. No
  error is larger than the result's type is wide.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from kbuild.emulate import float_values
from kbuild.fixed import FixedType, Overflow, contains, to_float
from kbuild.ir import Graph, Interval, Node, Op, Tensor
from kbuild.ops.contraction import Contraction
from kbuild.ops.einsum import Einsum
from kbuild.ops.gather import Gather
from kbuild.ops.gru import Gru
from kbuild.ops.lstm import Lstm
from kbuild.ops.lut import Lut
from kbuild.ops.normalize import Normalize
from kbuild.ops.rnn import Recurrent, SimpleRnn
from kbuild.ops.softmax import Softmax
from kbuild.passes.normalizing import quotient_error

Array = np.ndarray
LARGEST_SLOPE = {
    "sigmoid": 0.25, "tanh": 1.0, "softplus": 1.0, "softsign": 1.0, "gelu": 1.13, "gelu_tanh": 1.13, "silu": 1.1,
    "mish": 1.1, "hard_silu": 1.5, "log_sigmoid": 1.0, "soft_shrink": 1.0, "sparse_plus": 1.0, "squareplus": 1.0,
    "tanh_shrink": 1.0, "gaussian": 0.8578, "reciprocal_significand": 1.0, "reciprocal_exponent": 1.0,
    "selu": 1.0507009873554805 * 1.6732632423543772,
}  # fmt: skip


@dataclass(frozen=True)
class Bounded:
    """Real values and a bound on the error of what was computed for them, of equal shapes."""

    value: Array
    error: Array

    def __add__(self, other: Bounded) -> Bounded:
        return Bounded(self.value + other.value, self.error + other.error)

    def __mul__(self, other: Bounded) -> Bounded:
        error = abs(self.value) * other.error + abs(other.value) * self.error + self.error * other.error
        return Bounded(self.value * other.value, error)

    def parts(self, count: int) -> list[Bounded]:
        """Equal parts of the last axis."""
        both = np.split(self.value, count, axis=-1), np.split(self.error, count, axis=-1)
        return [Bounded(v, e) for v, e in zip(*both, strict=True)]


def error_bounds(
    real: Graph, fixed: Graph, inputs: Mapping[str, Array], integers: Mapping[str, Array], wrapped: set[str]
) -> dict[str, Bounded]:
    """Bounds of every value of the fixed graph, made of the real one node by node, by node name.

    `integers` are what was made of the real `inputs`; `wrapped` the nodes where values left their types.
    """
    values = dict(float_values(real, inputs))
    found: dict[str, Bounded] = {}
    for node in fixed:
        before = [found[name] for name in node.inputs]
        value = values[node.name]
        if node.op.kind == "input":
            error = abs(to_float(integers[node.name], node.fixed()) - value)
        else:
            types = [fixed[name].fixed() for name in node.inputs]
            op = _Step(real[node.name].op, node.op, types, value, node)
            error = op.cast(Bounded(value, op.error(before)), node.fixed(), op.exact(), node.name in wrapped).error
        found[node.name] = Bounded(value, error)
    return found


@dataclass(frozen=True)
class _Step:
    """One op, as it was meant and as it is computed: inputs' types, the real result, the node."""

    real: Op
    op: Op
    types: Sequence[FixedType]
    value: Array
    node: Node

    def exact(self) -> bool:
        """Whether the result type holds every result."""
        return self.op.is_finite(self.types) and contains(self.node.fixed(), self.op.infer_type(self.types))

    def cast(self, x: Bounded, to: FixedType, exact: bool, overflowed: bool) -> Bounded:
        """After the cast to a type."""
        low, high = (float(end) for end in to.range)
        if exact:
            return x
        error = x.error + float(to.lsb)
        if overflowed:
            beyond = np.maximum(0, np.maximum(x.value + x.error - high, low - x.value + x.error))
            error = error + (beyond if to.overflow is Overflow.SAT else np.inf)
        return Bounded(x.value, np.minimum(error, np.maximum(high - x.value, x.value - low) + float(to.lsb)))

    def error(self, before: Sequence[Bounded]) -> Array:
        """The error before the cast to the result."""
        op, real = self.op, self.real
        if isinstance(op, Recurrent):
            return _Cell(self, op, real).run(before)  # type: ignore[arg-type]
        if isinstance(op, Lut):
            return function_error(op, self.types[0], before[0])
        if isinstance(op, Softmax):
            grown = np.expm1(np.minimum(2 * before[0].error.max(axis=-1, keepdims=True), 50.0))
            return np.minimum(self.value * grown, 1.0) + (2 + op.distinct) * float(self.node.fixed().lsb)
        if isinstance(op, Normalize) and isinstance(real, Normalize):
            return self._normalized(op, real, before[0])
        if isinstance(op, Gather) and isinstance(real, Gather):
            return np.full(self.value.shape, abs(op.weight.floats() - real.weight.floats()).max())
        return self._general(before) + self._accumulated(before)

    def _general(self, before: Sequence[Bounded]) -> Array:
        errors = []
        for sample in range(len(self.value)):
            ranges = [Interval(x.value[sample] - x.error[sample], x.value[sample] + x.error[sample]) for x in before]
            reach, value = self.op.interval(ranges), self.value[sample]
            errors.append(np.maximum(reach.high - value, value - reach.low))
        return np.maximum(np.stack(errors), 0.0)

    def _accumulated(self, before: Sequence[Bounded]) -> float:
        """What rounding each product to the accumulator can add up to."""
        op = self.op
        if not isinstance(op, Contraction | Einsum) or op.accum is None:
            return 0.0
        second = op.weight.fixed() if op.weight is not None else self.types[1]
        if self.types[0].fraction + second.fraction <= op.accum.fraction:
            return 0.0
        terms = op.terms if isinstance(op, Contraction) else max(x.value[0].size for x in before)
        return (terms + 1) * float(op.accum.lsb)

    def _normalized(self, op: Normalize, real: Normalize, x: Bounded) -> Array:
        """d / s with |d' - d| <= 2 e and |s' - s| <= e, for e the largest error that shares the statistic."""
        shape = self.value.shape[1:]
        split, axes = real._grouped(x.value)
        error = real._grouped(x.error)[0].max(axis=axes, keepdims=True)
        count = real.count(shape)
        if real.statistic == "sum_square":
            d, shift, scale = split, 1.0, math.sqrt(count)
            root = np.sqrt((split * split).sum(axis=axes, keepdims=True))
        else:
            variance = real.statistic == "variance"
            d, shift, scale = split - split.mean(axis=axes, keepdims=True) * variance, 1.0 + variance, 1.0
            root = np.sqrt((d * d).mean(axis=axes, keepdims=True) + real.epsilon)
        least = math.sqrt(real.epsilon)
        root, lower = np.maximum(root, least), np.maximum(np.maximum(root - scale * error, least), 1e-30)
        y = (d / np.maximum(root, 1e-30)).reshape(self.value.shape)
        moved = ((shift * error + abs(d / np.maximum(root, 1e-30)) * scale * error) / lower).reshape(self.value.shape)
        quotient = Bounded(y, np.minimum(moved, 2 * real.root_bound(count)) + quotient_error(op, self.types[0], shape))
        if op.scale is not None and real.scale is not None:
            quotient = quotient * _constant(op.scale, real.scale)
        return quotient.error + (0.0 if op.bias is None or real.bias is None else _constant(op.bias, real.bias).error)


def _constant(made: Tensor, real: Tensor) -> Bounded:
    return Bounded(real.floats(), abs(made.floats() - real.floats()))


def slope_of(function: str, params: Sequence[float], x: Bounded) -> Array | float:
    """The largest slope of a function where its input can be."""
    if function in ("exp", "expm1"):
        return np.exp(np.minimum(x.value + x.error, 700.0))
    if function in ("elu", "celu"):
        return max(1.0, *(abs(p) for p in params[:1])) if function == "elu" else 1.0
    if function in ("clipped_line", "leaky_relu"):
        return max(abs(params[0]) if params else 1.0, 1.0 if function == "leaky_relu" else 0.0)
    return LARGEST_SLOPE[function]


def function_error(op: Lut, of: FixedType, x: Bounded) -> Array:
    """A function by its table, over inputs of a type."""
    table, lsb = op.made(), float(of.lsb)
    cell = 2.0**op.shift * lsb if op.shift else 0.0
    first, last = op.offset * lsb, (op.offset + (table.data.size << op.shift)) * lsb
    inside = (x.value - x.error >= first) & (x.value + x.error <= last)
    reached = x.error + np.where(inside, 0.5, 1.5) * cell
    step, (low, high) = float(table.fixed().lsb), map(float, table.fixed().range)
    rounded, value = np.where(inside, 0.5, 1.5) * step, op.eval_float([x.value])
    # a type may end below a 1 that is never reached; one that ends further inside is too small, and no excuse
    rounded = np.maximum(rounded, np.clip(np.maximum(value - high, low - value), 0.0, step))
    if op.function == "sqrt":  # its slope has no bound, but |sqrt(a) - sqrt(b)| <= sqrt(|a - b|)
        return np.sqrt(reached) + rounded
    return slope_of(op.function, op.params, Bounded(x.value, reached)) * reached + rounded


@dataclass(frozen=True)
class _Cell:
    """A recurrent layer, step by step."""

    step: _Step
    op: Recurrent
    real: Recurrent

    def run(self, before: Sequence[Bounded]) -> Array:
        x, op = before[0], self.op
        sums = self.product(x, op.weight, self.real.weight, op.bias, self.real.bias, op.accum, self.step.types[0])
        zero = np.zeros((len(x.value), op.units))
        state = [self.state(h, i) for i, h in enumerate(before[1:])] or [Bounded(zero, zero)] * op.states
        kept = []
        for t in range(x.value.shape[1])[:: -1 if op.go_backwards else 1]:
            state = self.next(Bounded(sums.value[:, t], sums.error[:, t]), state)
            kept.append(state[op.output].error)
        return np.stack(kept[:: -1 if op.flip else 1], axis=1) if op.return_sequences else kept[-1]

    def product(
        self, x: Bounded, made: Tensor, real: Tensor, bias: Tensor | None, real_bias: Tensor | None,
        accum: FixedType | None, of: FixedType,
    ) -> Bounded:  # fmt: skip
        weight = _constant(made, real)
        value = x.value @ weight.value
        error = x.error @ (abs(weight.value) + weight.error) + abs(x.value) @ weight.error
        if bias is not None and real_bias is not None:
            both = _constant(bias, real_bias)
            value, error = value + both.value, error + both.error
        assert accum is not None
        rounded = of.fraction + made.fixed().fraction > accum.fraction
        return Bounded(value, error + rounded * (made.shape[0] + 1) * float(accum.lsb))

    def recurrent(self, h: Bounded, columns: slice = slice(None)) -> Bounded:
        def part(tensor: Tensor | None) -> Tensor | None:
            return None if tensor is None else Tensor(tensor.data[..., columns], tensor.type)

        op, real = self.op, self.real
        weight, real_weight = part(op.recurrent_weight), part(real.recurrent_weight)
        assert weight is not None and real_weight is not None
        bias, real_bias = part(op.recurrent_bias), part(real.recurrent_bias)
        return self.product(h, weight, real_weight, bias, real_bias, op.recurrent_accum, op.state_types()[0])

    def state(self, x: Bounded, number: int) -> Bounded:
        return self.step.cast(x, self.op.state_types()[number], exact=False, overflowed=True)

    def applied(self, unit: Op, x: Bounded, of: FixedType) -> Bounded:
        value = unit.eval_float([x.value])
        if not isinstance(unit, Lut):
            return Bounded(value, x.error)  # linear and relu
        return Bounded(value, function_error(unit, of, x))

    def next(self, a: Bounded, state: Sequence[Bounded]) -> list[Bounded]:
        op, of = self.op, self.op.sum_type()
        if isinstance(op, SimpleRnn):
            return [self.state(self.applied(op.act(), a + self.recurrent(state[0]), of), 0)]
        if isinstance(op, Lstm):
            i, f, g, o = (a + self.recurrent(state[0])).parts(4)
            i, f, o = (self.applied(op.gate(), x, of) for x in (i, f, o))
            cell = self.state(f * state[1] + i * self.applied(op.act(), g, of), 1)
            return [self.state(o * self.applied(op.act_cell(), cell, op.state_types()[1]), 0), cell]
        assert isinstance(op, Gru)
        return [self.gru(op, a, state[0], of)]

    def gru(self, op: Gru, a: Bounded, h: Bounded, of: FixedType) -> Bounded:
        size = 2 * op.units
        a_gates, a_n = _columns(a, slice(None, size)), _columns(a, slice(size, None))
        r = self.recurrent(h) if op.reset_after else self.recurrent(h, slice(None, size))
        update, reset = self.applied(op.gate(), a_gates + _columns(r, slice(None, size)), of).parts(2)
        if op.reset_after:
            assert op.recurrent_accum is not None
            p = reset * _columns(r, slice(size, None))
            p = Bounded(p.value, p.error + float(op.recurrent_accum.lsb))
        else:
            p = self.recurrent(self.state(reset * h, 0), slice(size, None))
        n = self.applied(op.act(), a_n + p, of)
        rest = Bounded(1 - update.value, update.error)
        return self.state(update * h + rest * n, 0)


def _columns(x: Bounded, columns: slice) -> Bounded:
    return Bounded(x.value[:, columns], x.error[:, columns])


