"""`gru`: gated recurrent unit, with the reset before or after the recurrent product."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from kbuild.dataclass import dataclass
from kbuild.fixed import FixedType, FloatArray, IntArray, shift_left
from kbuild.ir.op import Interval, Op, OverflowCount
from kbuild.ir.tensor import Tensor
from kbuild.ops import bounds, exact
from kbuild.ops.casting import cast_inside
from kbuild.ops.rnn import Activation, Address, Contract, FloatState, Reach, Recurrent, State, Step, unit


@dataclass(frozen=True, kw_only=True)
class Gru(Recurrent):
    """Gated recurrent unit (Cho et al. 2014), in the order of Keras.

    With a and r split into parts z, r, n, each [U], and gate the `recurrent_activation`:

        z = gate(a_z + r_z);  r = gate(a_r + r_r)
        n = activation(a_n + p)
        h = z * h + (1 - z) * n                                  exact, cast to the type `state`

    where, with `reset_after`, p is r * r_n cast to the type `recurrent_accum`; else p is the accumulation of
    (r * h) @ recurrent_weight_n + recurrent_bias_n, for r * h cast to the type `state`.
    """

    reset_after: bool = True
    recurrent_activation: str = "sigmoid"
    recurrent_params: tuple[float, ...] = ()
    recurrent_table: Tensor | None = None
    recurrent_address: Address = (0, 0)

    kind: ClassVar[str] = "gru"
    arity: ClassVar[tuple[int, int | None]] = (1, 2)
    gates: ClassVar[int] = 3

    @property
    def recurrent_shape(self) -> tuple[int, int]:
        return self.units, self.units * (self.gates if self.reset_after else 1)

    @property
    def functions(self) -> tuple[str, ...]:
        return (self.activation, self.recurrent_activation)

    def act(self) -> Op:
        """The activation of the candidate."""
        return unit(self.activation, self.activation_params, self.table, self.table_address)

    def gate(self) -> Op:
        """The activation of the gates."""
        return unit(self.recurrent_activation, self.recurrent_params, self.recurrent_table, self.recurrent_address)

    def stepper(self, contract: Contract) -> Step:
        (to,), (_, recurrent_accum) = self.state_types(), self.sums()
        outer, inner = slice(0, 2 * self.units), slice(2 * self.units, None)
        plus, before = self.adder(), self.sum_type()
        recurrent = self.recurrent(contract, slice(None) if self.reset_after else outer)
        recurrent_inner = None if self.reset_after else self.recurrent(contract, inner)
        gate, act = Activation.of(self.gate(), before), Activation.of(self.act(), before)

        def step(a: IntArray, state: State, overflow: OverflowCount) -> State:
            (h,) = state
            r = recurrent(h, overflow)
            update, reset = np.split(gate(plus(a[outer], r[outer])), 2)
            if recurrent_inner is None:
                product = exact.multiply(reset, r[inner])
                p = cast_inside(product, gate.type.fraction + recurrent_accum.fraction, recurrent_accum, overflow)
            else:
                past = cast_inside(exact.multiply(reset, h), gate.type.fraction + to.fraction, to, overflow)
                p = recurrent_inner(past, overflow)
            return (self._mixed(update, gate.type, h, act(plus(a[inner], p)), act.type, overflow),)

        return step

    def _mixed(
        self, update: IntArray, of: FixedType, h: IntArray, n: IntArray, of_n: FixedType, overflow: OverflowCount
    ) -> IntArray:
        """`update * h + (1 - update) * n`, cast to the state."""
        (to,) = self.state_types()
        update, fraction = shift_left(update, max(-of.fraction, 0)), max(of.fraction, 0)
        rest, _ = exact.add(np.full_like(update, 1), 0, -update, fraction)
        kept, new = exact.multiply(update, h), exact.multiply(rest, n)
        total, at = exact.add(kept, fraction + to.fraction, new, fraction + of_n.fraction)
        return cast_inside(total, at, to, overflow)

    def step_float(self, a: FloatArray, state: FloatState) -> FloatState:
        (h,) = state
        size = 2 * self.units
        r = self.recurrent_float(h)
        update, reset = np.split(self.gate().eval_float([a[:, :size] + r[:, :size]]), 2, axis=-1)
        p = reset * r[:, size:] if self.reset_after else self.recurrent_float(reset * h)[:, size:]
        n = self.act().eval_float([a[:, size:] + p])
        return (update * h + (1 - update) * n,)

    def reach(self, inputs: Sequence[Interval]) -> Reach:
        a_z, a_r, a_n = bounds.split(self.input_bounds(inputs[0]), 3)
        (h,) = self.start(inputs)
        for _ in range(inputs[0].low.shape[0] + 1):  # once more for the bounds of the sums
            r_z, r_r, r_n = bounds.split(self.recurrent_bounds(h), 3)
            sums = [bounds.plus(a_z, r_z), bounds.plus(a_r, r_r)]
            update, reset = (bounds.of(self.gate(), v) for v in sums)
            if not self.reset_after:
                r_n = bounds.split(self.recurrent_bounds(bounds.times(reset, h)), 3)[2]
            sums.append(bounds.plus(a_n, bounds.times(reset, r_n) if self.reset_after else r_n))
            n = bounds.of(self.act(), sums[2])
            last, h = h, bounds.hull(h, _mix(update, h, n))
        lows, highs = [s.low for s in sums], [s.high for s in sums]
        return Reach(Interval(np.concatenate(lows), np.concatenate(highs)), (last,))


def _mix(update: Interval, h: Interval, n: Interval) -> Interval:
    """Of `update * h + (1 - update) * n`: between h and n where update is between 0 and 1."""
    rest = Interval(1 - update.high, 1 - update.low)
    anywhere = bounds.limited(bounds.plus(bounds.times(update, h), bounds.times(rest, n)))
    between = bounds.hull(h, n)
    convex = (update.low >= 0) & (update.high <= 1)
    return Interval(np.where(convex, between.low, anywhere.low), np.where(convex, between.high, anywhere.high))
