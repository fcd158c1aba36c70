"""Types inside a `scan`: those of the states are the least that hold what a step makes of them, over all steps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from kbuild.fixed import FixedType, union_type
from kbuild.ir import Interval, Op
from kbuild.ops.scan import Scan
from kbuild.passes.exactness import CONSTANT_WIDTH, EXACT_WIDTH, is_quantized_later

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
    states grow beyond all that is kept, at the step where they do, or where something that is made of them does."""
    starts = resolver.types[1:]
    states = [rounded.get(number, of) for number, of in enumerate(starts or [_BEFORE] * len(op.before))]
    typed = _typed(op, states, resolver)
    for step in range(resolver.intervals[0].low.shape[0]):
        begun = step > 0 or bool(starts)  # else the state has only been zero, which is of any type
        after = [rounded.get(number) or union_type(node.fixed(), *([states[number]] if begun else []))
                 for number, node in enumerate(typed.after)]  # fmt: skip
        grown = [number for number, of in enumerate(after) if of != states[number]]
        if not grown:
            break
        states, typed = after, _typed(op, after, resolver)
        if _widest(typed) > EXACT_WIDTH:
            return typed, grown
    return typed, []


def _widest(typed: Scan) -> int:
    """The most bits that anything in a step has before it is cast."""
    computed = [node for node in typed.body if node.op.kind != "input"]
    exact = (node.op.infer_type([source.fixed() for source in typed.body.inputs_of(node)]) for node in computed)
    return max(of.width for of in (*exact, *typed.state_types()))


def _typed(op: Scan, states: list[FixedType], resolver: Resolver) -> Scan:
    """With states of these types."""
    from kbuild.passes.resolve_precision import resolved as graph_resolved
    from kbuild.passes.resolve_precision import type_interval

    sequence = resolver.intervals[0]
    element = Interval(sequence.low.min(axis=0), sequence.high.max(axis=0))
    given = {op.element.name: (resolver.types[0], element)}
    # As in `exactness`: where only quantizers read a state, its last bits decide how it is rounded.
    rounded = [name for name, node in zip(op.body.outputs, op.before, strict=True) if is_quantized_later(op.body, node)]
    given |= {node.name: (of, type_interval(node, of)) for node, of in zip(op.before, states, strict=True)}
    context, ranges, exact = resolver.context, resolver.ranges, resolver.exact
    return op.with_inside(graph_resolved(op.body, given, context, ranges, exact, rounded))


def _rounded(typed: Scan, number: int, resolver: Resolver) -> FixedType:
    """A type of more bits than float32 has for the state, as it was seen."""
    from kbuild.passes.recurrent import state_type

    seen = resolver.ranges()
    names = (typed.after[number].name, *resolver.node.inputs[1:][number : number + 1])
    low, high = zip(*(seen[name] for name in names), strict=True)
    return state_type((-np.inf, np.inf), (min(low), max(high)), CONSTANT_WIDTH)
