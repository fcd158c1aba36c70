"""Recurrent cells: what they have in common, and the simplest of them, `simple_rnn`."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from kbuild.dataclass import dataclass, replace
from kbuild.fixed import FixedType, FloatArray, IntArray, type_for
from kbuild.ir.op import Evaluation, Interval, Op, OverflowCount, Shape
from kbuild.ir.tensor import Tensor
from kbuild.ops import bounds, exact
from kbuild.ops.accumulate import exact_sum_bounds
from kbuild.ops.casting import cast_inside, recast_into
from kbuild.ops.compiled import Compiled, Sums
from kbuild.ops.floatsums import Accumulation, contraction_of_columns
from kbuild.ops.functions import FUNCTIONS
from kbuild.ops.identity import Identity
from kbuild.ops.loop import Loop
from kbuild.ops.lut import Lut
from kbuild.ops.multipliers import STRATEGIES, Matrix, Multiplying
from kbuild.ops.relu import Relu
from kbuild.parallel import parts

if TYPE_CHECKING:
    from kbuild.ops.native.kernels import Kernels

_UNCOUNTED = OverflowCount()  # every value of an activation is of its type
_BLOCK = 1 << 17  # sums of one step that are worked on at once

State = tuple[IntArray, ...]
Step = Callable[[IntArray, State, OverflowCount], State]
Contract = Callable[[FixedType, Tensor, Tensor | None, FixedType], Accumulation]  # as `contraction_of_columns`
FloatState = tuple[FloatArray, ...]
Address = tuple[int, int]  # offset and shift of a table's index, as in `ops/lut.py`


def unit(function: str, params: tuple[float, ...], table: Tensor | None, address: Address) -> Op:
    """The activation as an operation: `linear` and `relu` are exact, every other function is a table."""
    if function == "linear":
        return Identity()
    if function == "relu":
        return Relu()
    return Lut(function, params, table, *address)


@dataclass(frozen=True)
class Activation:
    """An activation of integers of a type, exact, and the type of its values."""

    evaluate: Evaluation
    type: FixedType

    @classmethod
    def of(cls, op: Op, before: FixedType) -> Activation:
        """An operation as an activation of integers of the type `before`."""
        result = op.infer_type([before])
        return cls(op.prepared([before], result), result)

    def __call__(self, q: IntArray) -> IntArray:
        return self.evaluate([q], _UNCOUNTED)


def exact_sum(x: FixedType, weight: Tensor, bias: Tensor | None) -> FixedType:
    """The exact type of `x @ weight + bias` for any x of its type."""
    fraction = x.fraction + weight.fixed().fraction
    fraction = fraction if bias is None else max(fraction, bias.fixed().fraction)
    return type_for(*exact_sum_bounds(x, weight, bias, fraction), fraction)


@dataclass(frozen=True)
class Reach:
    """Bounds of what happens inside a recurrent layer: of the pre-activations and of each state."""

    sums: Interval
    states: tuple[Interval, ...]


@dataclass(frozen=True, kw_only=True)
class Recurrent(Loop, Multiplying, Compiled):
    """A cell applied to x [T, K] step by step, from a state of zeros or from further inputs [U].

    weight [K, G * U]; recurrent_weight [U, G * U]; bias and recurrent_bias [G * U] or None, G the number of gates. In
    each step, with states already cast to their types:

        a = x[t] @ weight + bias                         in the type `accum`
        r = h @ recurrent_weight + recurrent_bias        in the type `recurrent_accum`

    accumulated as in `ops/accumulate.py`; a + r is exact. Tables are indexed by that sum as in `ops/lut.py`. What
    follows is the cell's own; every new state is exact until its one cast, h, number 0, to the type `state`.

    Strategy and reuse factors, of the products with the input and of those with the state, never change the result.
    """

    weight: Tensor
    recurrent_weight: Tensor
    bias: Tensor | None = None
    recurrent_bias: Tensor | None = None
    activation: str = "tanh"
    activation_params: tuple[float, ...] = ()
    accum: FixedType | None = None
    recurrent_accum: FixedType | None = None
    state: FixedType | None = None
    table: Tensor | None = None
    table_address: Address = (0, 0)
    strategy: str = "latency"
    reuse_factor: int = 1
    recurrent_reuse_factor: int = 1

    settings: ClassVar[tuple[str, ...]] = (*Multiplying.settings, "RecurrentReuseFactor")
    gates: ClassVar[int] = 1
    states: ClassVar[int] = 1
    variables: ClassVar[tuple[str, ...]] = (
        "weight",
        "recurrent_weight",
        "bias",
        "recurrent_bias",
        "accum",
        "recurrent_accum",
        "state",
        "table",
        "result",
    )

    @property
    def units(self) -> int:
        """U, the number of elements of a state."""
        return self.recurrent_weight.shape[0]

    def reusing(self, strategy: str, *reuse: int) -> Recurrent:
        return replace(self, strategy=strategy, reuse_factor=reuse[0], recurrent_reuse_factor=reuse[1])

    @property
    def constants(self) -> tuple[Tensor, ...]:
        return self.weight, self.recurrent_weight

    @property
    def reuse_factors(self) -> tuple[int, ...]:
        return self.reuse_factor, self.recurrent_reuse_factor

    def matrices(self, shapes: Sequence[Shape], io_type: str) -> tuple[Matrix, ...]:
        return Matrix(*self.matrix_shape), Matrix(*self.recurrent_shape, recurrent=True)

    @property
    def matrix_shape(self) -> tuple[int, int]:
        """Terms and sums of the products with the input."""
        return self.weight.shape[0], self.gates * self.units

    @property
    def recurrent_shape(self) -> tuple[int, int]:
        """Terms and sums of the products with the state that are one matrix, the smallest if there are several."""
        return self.units, self.gates * self.units

    @property
    def functions(self) -> tuple[str, ...]:
        """Names of the activations in use."""
        return (self.activation,)

    def state_sizes(self) -> tuple[int, ...]:
        return (self.units,) * self.states

    def state_types(self) -> tuple[FixedType, ...]:
        if self.state is None:
            raise ValueError("the states still have no fixed-point type")
        return (self.state,)

    def sums(self) -> tuple[FixedType, FixedType]:
        """Types of the two accumulations, which must exist by now."""
        if self.accum is None or self.recurrent_accum is None:
            raise ValueError("the accumulators still have no fixed-point type")
        return self.accum, self.recurrent_accum

    def sum_type(self) -> FixedType:
        """The exact type of the sum of both accumulations: what indexes the tables."""
        return exact.sum_of(*self.sums())

    def verify(self, shapes: Sequence[Shape]) -> None:
        super().verify(shapes)
        columns = self.gates * self.units
        wanted: tuple[tuple[str, Tensor | None, Shape], ...] = (
            ("weight", self.weight, (shapes[0][1], columns)),
            ("recurrent_weight", self.recurrent_weight, (self.units, columns)),
            ("bias", self.bias, (columns,)),
            ("recurrent_bias", self.recurrent_bias, (columns,)),
        )
        for name, tensor, shape in wanted:
            if tensor is not None and tensor.shape != shape:
                raise ValueError(f"the {name} has shape {tensor.shape}, not {shape}")
        for function in self.functions:
            if function not in ("linear", "relu", *FUNCTIONS):
                raise ValueError(f"no function is called {function}")
        if self.strategy not in STRATEGIES:
            raise ValueError(f"no strategy is called {self.strategy}")

    @abstractmethod
    def act(self) -> Op:
        """The activation of what becomes, or goes into, the state."""

    # ---- integers

    @abstractmethod
    def stepper(self, contract: Contract) -> Step:
        """The next states for a [G * U, B] of the type `accum` and states [U, B] of their types."""

    def recurrent(self, contract: Contract, columns: slice = slice(None)) -> Accumulation:
        """`h @ recurrent_weight + recurrent_bias` of some columns, in the type `recurrent_accum`, for h [U, B]."""
        weight = Tensor(self.recurrent_weight.data[:, columns], self.recurrent_weight.type)
        bias = self.recurrent_bias and Tensor(self.recurrent_bias.data[columns], self.recurrent_bias.type)
        return contract(self.state_types()[0], weight, bias, self.sums()[1])

    def eval(
        self, inputs: Sequence[IntArray], types: Sequence[FixedType], result: FixedType, overflow: OverflowCount
    ) -> IntArray:
        return self.prepared(types, result)(inputs, overflow)

    def adder(self) -> Callable[[IntArray, IntArray], IntArray]:
        """`a + r`, exact."""
        accum, recurrent_accum = self.sums()
        bits = accum.width, recurrent_accum.width
        return lambda a, r: exact.add(a, accum.fraction, r, recurrent_accum.fraction, bits)[0]

    def prepared(self, types: Sequence[FixedType], result: FixedType) -> Evaluation:
        return self._by_steps(types, result, contraction_of_columns)

    def compiled(
        self, shapes: Sequence[Shape], types: Sequence[FixedType], result: FixedType, kernels: Kernels
    ) -> Evaluation | None:
        def contract(x: FixedType, weight: Tensor, bias: Tensor | None, accum: FixedType) -> Accumulation:
            found = kernels.columns(Sums(x, weight, bias, accum, accum))
            return found or contraction_of_columns(x, weight, bias, accum)

        return self._by_steps(types, result, contract)

    def products(self, shapes: Sequence[Shape]) -> int:
        return shapes[0][0] * (self.weight.data.size + self.recurrent_weight.data.size)

    def _by_steps(self, types: Sequence[FixedType], result: FixedType, contract: Contract) -> Evaluation:
        """Inside, samples are innermost, so that gates and states are contiguous, and some at a time, for the cache."""
        of = self.state_types()
        accumulated = contract(types[0], self.weight, self.bias, self.sums()[0])
        step = self.stepper(contract)
        block = max(_BLOCK // (self.gates * self.units), 1)

        def kept(sums: IntArray, state: State, overflow: OverflowCount) -> list[IntArray]:
            return self.kept(len(sums), state, lambda t, now: step(sums[t], now, overflow))

        def evaluate(inputs: Sequence[IntArray], overflow: OverflowCount) -> IntArray:
            samples = len(inputs[0])
            shape = self.infer_shape([x.shape[1:] for x in inputs])
            found = [np.zeros((0, *shape), np.int64)]
            for some in parts(samples, block):
                sums = accumulated(np.ascontiguousarray(np.moveaxis(inputs[0][some], 0, -1)), overflow)
                state: State = tuple(np.zeros((self.units, sums.shape[-1]), np.int64) for _ in of)
                if len(inputs) > 1:
                    given = zip(inputs[1:], types[1:], of, strict=True)
                    state = tuple(cast_inside(q[some].T, t.fraction, to, overflow) for q, t, to in given)
                found.append(np.moveaxis(np.stack(kept(sums, state, overflow)), -1, 0).reshape(-1, *shape))
            return recast_into(np.concatenate(found), of[self.output], result, overflow)

        return evaluate

    # ---- floats

    @abstractmethod
    def step_float(self, a: FloatArray, state: FloatState) -> FloatState:
        """The next states in float64."""

    def recurrent_float(self, h: FloatArray) -> FloatArray:
        """`h @ recurrent_weight + recurrent_bias`."""
        y = h @ self.recurrent_weight.floats()
        return y if self.recurrent_bias is None else y + self.recurrent_bias.floats()

    def eval_float(self, inputs: Sequence[FloatArray]) -> FloatArray:
        sums = inputs[0] @ self.weight.floats()
        sums = sums if self.bias is None else sums + self.bias.floats()
        state: FloatState = tuple(inputs[1:])
        state = state or (np.zeros((len(sums), self.units)),) * self.states
        kept = self.kept(sums.shape[1], state, lambda t, now: self.step_float(sums[:, t], now))
        return np.stack(kept, axis=1) if self.return_sequences else kept[-1]

    # ---- bounds

    @abstractmethod
    def reach(self, inputs: Sequence[Interval]) -> Reach:
        """Bounds of everything that any step computes."""

    def input_bounds(self, x: Interval) -> Interval:
        """Of `x[t] @ weight + bias` for every t."""
        hull = Interval(x.low.min(axis=0), x.high.max(axis=0))
        return bounds.matmul(hull, self.weight.floats(), 0.0 if self.bias is None else self.bias.floats())

    def recurrent_bounds(self, h: Interval) -> Interval:
        """Of `h @ recurrent_weight + recurrent_bias`."""
        bias = 0.0 if self.recurrent_bias is None else self.recurrent_bias.floats()
        return bounds.matmul(h, self.recurrent_weight.floats(), bias)

    def start(self, inputs: Sequence[Interval]) -> tuple[Interval, ...]:
        """Of the first states."""
        return tuple(inputs[1:]) or (bounds.constant(0.0, 0.0, (self.units,)),) * self.states

    def interval(self, inputs: Sequence[Interval]) -> Interval:
        """Of the real layer; once states have types, those of the type, which hold whatever rounding adds up to."""
        shape = self.infer_shape([inputs[0].low.shape])
        if self.state is not None:
            low, high = (float(end) for end in self.state_types()[self.output].range)
            return bounds.constant(low, high, shape)
        found = self.reach(inputs).states[self.output]
        return Interval(np.broadcast_to(found.low, shape), np.broadcast_to(found.high, shape))


@dataclass(frozen=True, kw_only=True)
class SimpleRnn(Recurrent):
    """`h = activation(a + r)`, cast to `state`."""

    kind: ClassVar[str] = "simple_rnn"
    arity: ClassVar[tuple[int, int | None]] = (1, 2)

    def act(self) -> Op:
        """The activation."""
        return unit(self.activation, self.activation_params, self.table, self.table_address)

    def stepper(self, contract: Contract) -> Step:
        (to,) = self.state_types()
        plus, recurrent, act = self.adder(), self.recurrent(contract), Activation.of(self.act(), self.sum_type())

        def step(a: IntArray, state: State, overflow: OverflowCount) -> State:
            h = act(plus(a, recurrent(state[0], overflow)))
            return (cast_inside(h, act.type.fraction, to, overflow),)

        return step

    def step_float(self, a: FloatArray, state: FloatState) -> FloatState:
        return (self.act().eval_float([a + self.recurrent_float(state[0])]),)

    def reach(self, inputs: Sequence[Interval]) -> Reach:
        a = self.input_bounds(inputs[0])

        def sums(h: Interval) -> Interval:
            return bounds.plus(a, self.recurrent_bounds(h))

        (start,) = self.start(inputs)
        h = bounds.settle(lambda h: bounds.of(self.act(), sums(h)), start, inputs[0].low.shape[0])
        return Reach(sums(h), (h,))
