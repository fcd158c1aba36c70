"""Layers of several inputs."""

from __future__ import annotations

from collections.abc import Callable

from kbuild.frontend.keras.handler import Handler, LayerCall
from kbuild.ir import Node
from kbuild.ops.concatenate import Concatenate
from kbuild.ops.identity import Identity
from kbuild.ops.merge import Merge


def _merge(operation: str) -> Callable[[LayerCall], Node]:
    def build(call: LayerCall) -> Node:
        if operation == "subtract" and len(call.inputs) != 2:
            raise call.error(f"is called with {len(call.inputs)} inputs, not two")
        if not call.inputs:
            raise call.error("is called without inputs")
        if len(call.inputs) == 1:
            return call.add(Identity())
        return call.add(Merge(operation))

    return build


def _concatenate(call: LayerCall) -> Node:
    if not call.inputs:
        raise call.error("is called without inputs")
    return call.add(Concatenate(call.axis(call.config.integer("axis", -1), len(call.inputs[0].shape))))


_NOTE = "two or more inputs, broadcast where shapes differ"

HANDLERS = {
    "Add": Handler(_merge("add"), _NOTE),
    "Subtract": Handler(_merge("subtract"), "two inputs, broadcast where shapes differ"),
    "Multiply": Handler(_merge("multiply"), _NOTE),
    "Average": Handler(_merge("average"), _NOTE),
    "Maximum": Handler(_merge("maximum"), _NOTE),
    "Minimum": Handler(_merge("minimum"), _NOTE),
    "Concatenate": Handler(_concatenate, "any axis"),
}
