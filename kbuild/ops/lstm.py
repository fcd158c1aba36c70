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
from kbuild.ops.casting import cast_into
from kbuild.ops.rnn import Address, FloatState, Reach, Recurrent, State, unit


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

    def step(self, a: IntArray, state: State, overflow: OverflowCount) -> State:
        h, c = state
        to_h, to_c = self.state_types()
        accum, recurrent_accum = self.sums()
        r, widths = self.recurrent(h, overflow), (accum.width, recurrent_accum.width)
        total, _ = exact.add(a, accum.fraction, r, recurrent_accum.fraction, widths)
        before = self.sum_type()
        i, f, g, o = np.split(total, 4, axis=-1)
        (i, of), (f, _), (o, _) = (self.applied(self.gate(), q, before) for q in (i, f, o))
        g, of_g = self.applied(self.act(), g, before)
        kept = exact.multiply(f, c, (of.width, to_c.width))
        added = exact.multiply(i, g, (of.width, of_g.width))
        widths = (of.width + to_c.width, of.width + of_g.width)
        total, fraction = exact.add(kept, of.fraction + to_c.fraction, added, of.fraction + of_g.fraction, widths)
        c = cast_into(total, fraction, to_c, overflow)
        shown, of_shown = self.applied(self.act_cell(), c, to_c)
        h = exact.multiply(o, shown, (of.width, of_shown.width))
        return cast_into(h, of.fraction + of_shown.fraction, to_h, overflow), c

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
