"""`lstm`: long short-term memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from kbuild.dataclass import dataclass
from kbuild.fixed import FixedType, FloatArray, IntArray
from kbuild.ir.op import Interval, Op, OverflowCount
from kbuild.ir.tensor import Tensor
from kbuild.ops import bounds, exact
from kbuild.ops.casting import cast_inside
from kbuild.ops.rnn import Activation, Address, Contract, FloatState, Reach, Recurrent, State, Step, unit


@dataclass(frozen=True, kw_only=True)
class Lstm(Recurrent):
    """Long short-term memory (Hochreiter and Schmidhuber 1997, with forget gates), in the order of Keras.

    With a + r split into i, f, g, o, each [U]:

        c = gate(f) * c + gate(i) * activation(g)        exact, cast to the type `cell`
        h = gate(o) * activation(c)                      exact, cast to the type `state`

    where gate is `recurrent_activation`. The activation of c has a table of its own, since c has another type.
    """

    recurrent_activation: str = "sigmoid"
    recurrent_params: tuple[float, ...] = ()
    recurrent_table: Tensor | None = None
    recurrent_address: Address = (0, 0)
    cell: FixedType | None = None
    cell_table: Tensor | None = None
    cell_address: Address = (0, 0)

    kind: ClassVar[str] = "lstm"
    arity: ClassVar[tuple[int, int | None]] = (1, 3)
    gates: ClassVar[int] = 4
    states: ClassVar[int] = 2

    @property
    def functions(self) -> tuple[str, ...]:
        return (self.activation, self.recurrent_activation)

    def state_types(self) -> tuple[FixedType, ...]:
        if self.cell is None:
            raise ValueError("the cell still has no fixed-point type")
        return (*super().state_types(), self.cell)

    def act(self) -> Op:
        """The activation of the input."""
        return unit(self.activation, self.activation_params, self.table, self.table_address)

    def act_cell(self) -> Op:
        """The activation of the cell."""
        return unit(self.activation, self.activation_params, self.cell_table, self.cell_address)

    def gate(self) -> Op:
        """The activation of the gates."""
        return unit(self.recurrent_activation, self.recurrent_params, self.recurrent_table, self.recurrent_address)

    def stepper(self, contract: Contract) -> Step:
        (to_h, to_c), units = self.state_types(), self.units
        plus, recurrent, before = self.adder(), self.recurrent(contract), self.sum_type()
        gate, act, act_cell = (
            Activation.of(op, of) for op, of in ((self.gate(), before), (self.act(), before), (self.act_cell(), to_c))
        )
        of, of_g, of_shown = gate.type, act.type, act_cell.type
        at_c = of.fraction + to_c.fraction, of.fraction + of_g.fraction
        widths = of.width + to_c.width, of.width + of_g.width

        def step(a: IntArray, state: State, overflow: OverflowCount) -> State:
            h, c = state
            sums = plus(a, recurrent(h, overflow))
            i_f, g, o = gate(sums[: 2 * units]), act(sums[2 * units : 3 * units]), gate(sums[3 * units :])
            kept = exact.multiply(i_f[units:], c, (of.width, to_c.width))
            added = exact.multiply(i_f[:units], g, (of.width, of_g.width))
            total, fraction = exact.add(kept, at_c[0], added, at_c[1], widths)
            c = cast_inside(total, fraction, to_c, overflow)
            h = exact.multiply(o, act_cell(c), (of.width, of_shown.width))
            return cast_inside(h, of.fraction + of_shown.fraction, to_h, overflow), c

        return step

    def step_float(self, a: FloatArray, state: FloatState) -> FloatState:
        h, c = state
        i, f, g, o = np.split(a + self.recurrent_float(h), 4, axis=-1)
        i, f, o = (self.gate().eval_float([v]) for v in (i, f, o))
        c = f * c + i * self.act().eval_float([g])
        return o * self.act_cell().eval_float([c]), c

    def reach(self, inputs: Sequence[Interval]) -> Reach:
        a = self.input_bounds(inputs[0])
        h, c = self.start(inputs)
        for _ in range(inputs[0].low.shape[0]):
            sums = bounds.plus(a, self.recurrent_bounds(h))
            i, f, g, o = bounds.split(sums, 4)
            i, f, o = (bounds.of(self.gate(), v) for v in (i, f, o))
            next_c = bounds.plus(bounds.times(f, c), bounds.times(i, bounds.of(self.act(), g)))
            next_h = bounds.times(o, bounds.of(self.act_cell(), bounds.limited(next_c)))
            h, c = bounds.hull(h, next_h), bounds.limited(bounds.hull(c, next_c))
        return Reach(bounds.plus(a, self.recurrent_bounds(h)), (h, c))
