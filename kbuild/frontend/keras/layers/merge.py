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


def _operator(operation: str) -> Callable[[LayerCall], Node]:
    """A function of `keras.ops`, also written as an operator. Unlike a layer it broadcasts the batch axis too."""
    layer = _merge(operation)

    def build(call: LayerCall) -> Node:
        if len(call.inputs) != 2 or len(call.inputs[0].shape) != len(call.inputs[1].shape):
            raise call.error("needs two inputs of equal rank; use the Keras layer of this name")
        return layer(call)

    return build


def _concatenate(call: LayerCall) -> Node:
    if not call.inputs:
        raise call.error("is called without inputs")
    return call.add(Concatenate(call.axis(call.config.integer("axis", -1), len(call.inputs[0].shape))))


_NOTE = "two or more inputs, broadcast where shapes differ"
_OPERATOR_NOTE = "of keras.ops, or an operator such as x + y: two tensors of equal rank"

HANDLERS = {
    "Add": Handler(_merge("add"), _NOTE),
    "Subtract": Handler(_merge("subtract"), "two inputs, broadcast where shapes differ"),
    "Multiply": Handler(_merge("multiply"), _NOTE),
    "Average": Handler(_merge("average"), _NOTE),
    "Maximum": Handler(_merge("maximum"), _NOTE),
    "Minimum": Handler(_merge("minimum"), _NOTE),
    "Concatenate": Handler(_concatenate, "any axis"),
    "ops.Add": Handler(_operator("add"), _OPERATOR_NOTE),
    "ops.Subtract": Handler(_operator("subtract"), _OPERATOR_NOTE),
    "ops.Multiply": Handler(_operator("multiply"), _OPERATOR_NOTE),
    "ops.Maximum": Handler(_operator("maximum"), _OPERATOR_NOTE),
    "ops.Minimum": Handler(_operator("minimum"), _OPERATOR_NOTE),
}
