"""Handlers that add operations, and new operations: how kbuild's own layers are written, for layers of others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from kbuild.frontend.keras.extensions import register
from kbuild.frontend.keras.handler import Handler, LayerCall
from kbuild.ir import Node
from kbuild.ops import registered
from kbuild.ops.custom import CustomOp

__all__ = ["Handler", "LayerCall", "layer_handler", "register_layer_handler", "register_operation"]

Build = Callable[[LayerCall], Node]
C = TypeVar("C", bound=type[CustomOp])


def register_operation(op: C) -> C:
    """Let handlers add operations of a class, derived from `kbuild.ops.custom.CustomOp`; usable as a decorator.

    Raises RecipeError for a class that is not complete, and for a `kind` that another operation has.
    """
    registered.register(op)
    return op


def register_layer_handler(class_name: str, handler: Handler) -> None:
    """Let a handler read the layers of a class, in models of Keras 2 and 3, live or from files.

    class_name: `Class`, or `package>Class` as it is registered in Keras. Raises RecipeError where the class has a
    handler from elsewhere.
    """
    register(class_name, handler, handler.build)


def layer_handler(*class_names: str, weights: Sequence[str] = (), note: str = "") -> Callable[[Build], Build]:
    """`register_layer_handler` as a decorator of the function that builds.

    weights: names of the layer's weights in Keras' order; `call.weight(name, shape)` gives them.
    """
    names = tuple(weights)

    def decorate(build: Build) -> Build:
        for class_name in class_names:
            register_layer_handler(class_name, Handler(build, note, lambda config: names))
        return build

    return decorate
