"""Types inside a `scan`: those of the states are the least that hold what a step makes of them, over all steps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from kbuild.fixed import FixedType, union_type
from kbuild.ir import Interval, Op
from kbuild.ops.scan import Scan
from kbuild.passes.exactness import CONSTANT_WIDTH, EXACT_WIDTH

if TYPE_CHECKING:
    from kbuild.passes.resolve_precision import Resolver

_BEFORE = FixedType(1, 1, signed=False)  # holds the zero that a state begins with


def resolved(op: Op, resolver: Resolver) -> tuple[Op, FixedType]:
    """The op with types inside, and the type of its value.

    A state that a quantizer rounds in each step has a type that soon holds all that it becomes. Any other grows from
    step to step, and is exact for as many steps as there are; where that is more than is kept of any value it is
    rounded in each step, to what the data need.
    """
    assert isinstance(op, Scan)
    rounded: dict[int, FixedType] = {}
    while True:
        typed, wide = _settled(op, resolver, rounded)
        if not wide:
            return typed, resolver.result(typed)
        rounded |= {number: _rounded(typed, number, resolver) for number in wide}


def _settled(op: Scan, resolver: Resolver, rounded: Mapping[int, FixedType]) -> tuple[Scan, list[int]]:
    """With types that hold the states of all steps, but for those that are rounded to a type of their own; and which
    states grow beyond all that is kept, at the step where they do."""
    starts = resolver.types[1:]
    states = [rounded.get(number, of) for number, of in enumerate(starts or [_BEFORE] * len(op.before))]
    typed = _typed(op, states, resolver)
    for step in range(resolver.intervals[0].low.shape[0]):
        begun = step > 0 or bool(starts)  # else the state has only been zero, which is of any type
        after = [rounded.get(number) or union_type(node.fixed(), *([states[number]] if begun else []))
                 for number, node in enumerate(typed.after)]  # fmt: skip
        wide = [number for number, of in enumerate(after) if of.width > EXACT_WIDTH]
        if wide or after == states:
            return typed, wide
        states = after
        typed = _typed(op, states, resolver)
    return typed, []


def _typed(op: Scan, states: list[FixedType], resolver: Resolver) -> Scan:
    """With states of these types."""
    from kbuild.passes.resolve_precision import resolved as graph_resolved
    from kbuild.passes.resolve_precision import type_interval

    sequence = resolver.intervals[0]
    element = Interval(sequence.low.min(axis=0), sequence.high.max(axis=0))
    given = {op.element.name: (resolver.types[0], element)}
    given |= {node.name: (of, type_interval(node, of)) for node, of in zip(op.before, states, strict=True)}
    return op.with_inside(graph_resolved(op.body, given, resolver.context, resolver.ranges, resolver.exact))


def _rounded(typed: Scan, number: int, resolver: Resolver) -> FixedType:
    """A type of more bits than float32 has for the state, as it was seen; it saturates."""
    from kbuild.passes.resolve_precision import fitted_type

    seen = resolver.ranges()
    names = (typed.after[number].name, *resolver.node.inputs[1:][number : number + 1])
    low, high = zip(*(seen[name] for name in names), strict=True)
    return fitted_type(typed.after[number].fixed(), CONSTANT_WIDTH, (-np.inf, np.inf), (min(low), max(high)))
