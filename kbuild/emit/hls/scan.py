"""The step of a `scan`: the kernel calls of its graph."""

from __future__ import annotations

from kbuild.emit.hls.design import arrays, value_name
from kbuild.emit.hls.loops import Body
from kbuild.emit.hls.steps import steps
from kbuild.ops.scan import Scan


def body(op: Scan) -> Body:
    """The states are copied at its end, since all nodes read those before the step."""
    made = tuple(step for _, step in steps(op.body))
    values = {array.name: array for array in arrays(op.body, made)}
    element = values.pop(value_name(op.element.name))
    states = tuple(values.pop(value_name(before.name)) for before in op.before)
    update = tuple(f"kbuild::begin<{state.size}>({value_name(after.name)}, {state.name});"
                   for state, after in zip(states, op.after, strict=True))  # fmt: skip
    return Body(element, states, made, tuple(values.values()), update)
