"""The steps of a sequence one by one, for what is computed for each of them."""

from __future__ import annotations

from collections.abc import Callable

from kbuild.frontend.keras.handler import LayerCall
from kbuild.ir import Node
from kbuild.ops.concatenate import Concatenate
from kbuild.ops.pad import Pad
from kbuild.ops.reshape import Reshape


def each_step(call: LayerCall, apply: Callable[[Node], Node]) -> Node:
    """What `apply` makes of each step of the input, one after the other."""
    steps, *shape = call.shape
    made: list[Node] = []
    for step in range(steps):
        around = (-step, step + 1 - steps), *((0, 0) for _ in shape)
        result = apply(call.add(Reshape(tuple(shape)), call.add(Pad(around))))
        made.append(call.add(Reshape((1, *result.shape)), result))
    return call.add(Concatenate(0), *made)
