"""A rising function whose value a quantizer rounds, of inputs that are too many for a table: steps, which are exact."""

from __future__ import annotations

import numpy as np

from kbuild.fixed import FixedType, FloatArray, IntArray, Overflow, from_float, to_float, type_for
from kbuild.ir import Tensor
from kbuild.ops.lut import Lut
from kbuild.ops.step import MOST_THRESHOLDS, Step
from kbuild.passes.tables import Span

RISING = ("sigmoid", "tanh", "softplus", "softsign", "selu", "log_sigmoid", "exp", "expm1", "sqrt", "squareplus")
_FLOAT_BITS = 52  # of inputs that float64 holds


def steps_of(op: Lut, x: FixedType, span: Span, result: FixedType) -> Step | None:
    """The function of inputs of type x between the bounds, rounded as the type `result` does, as a step function.

    None where there is none: the function may fall, has too many values, or would wrap.
    """
    if op.function not in RISING or x.width > _FLOAT_BITS or result.width > MOST_THRESHOLDS.bit_length():
        return None
    first = max(int(np.floor(span[0] * 2.0**x.fraction)), x.min)
    last = min(int(np.ceil(span[1] * 2.0**x.fraction)), x.max)

    def value(q: IntArray) -> FloatArray:
        return op.eval_float([to_float(q, x)])

    ends = value(np.array([first, last]))
    low, high = (float(end) for end in result.range)
    if result.overflow not in (Overflow.SAT, Overflow.SAT_SYM) and not (low <= ends[0] and ends[1] <= high):
        return None
    least, most = (int(q) for q in from_float(ends, result))
    if most - least + 1 > MOST_THRESHOLDS:
        return None
    levels = np.arange(least + 1, most + 1)
    # The first input whose value reaches a level, between one that does not and one that does.
    below, reached = np.full(levels.shape, first), np.full(levels.shape, last)
    while (reached - below > 1).any():
        middle = (below + reached) // 2
        enough = from_float(value(middle), result) >= levels
        below, reached = np.where(enough, below, middle), np.where(enough, middle, reached)
    bounds = type_for(min(0, first), max(0, last), x.fraction)
    values = type_for(min(0, least), max(0, most), result.fraction)
    return Step(Tensor(reached, bounds), Tensor(np.arange(least, most + 1), values))
