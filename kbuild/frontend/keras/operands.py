"""What the functions of `keras.ops` are called with: tensors, constants, settings."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from kbuild.dataclass import replace
from kbuild.fixed import FloatArray
from kbuild.frontend.keras.config import Config
from kbuild.frontend.keras.handler import Handler, LayerCall
from kbuild.frontend.keras.safety import quoted
from kbuild.frontend.keras.spec import Slot
from kbuild.ir import Node

Operand = Node | FloatArray
_OWN = ("name", "dtype", "trainable")  # settings of any operation, which change nothing
_ARRAYS = ("__numpy__", "__tensor__")


def function(
    build: Callable[[LayerCall], Node | tuple[Node, ...]], note: str, operands: int = 1, settings: tuple[str, ...] = ()
) -> Handler:
    """The handler of a function with so many operands and these settings, which stand in the configuration or the call.

    Another setting is refused unless it is null or false, which in every function of Keras is as if it were not there.
    """

    def results(call: LayerCall) -> tuple[Node, ...]:
        given = {key: value for key, value in call.arguments.items() if not key.isdecimal()}
        values = {**call.config.values, **given}
        own = call.config.values
        for key, value in values.items():
            unknown = key not in settings and (key not in _OWN or key not in own)
            if unknown and value is not None and value is not False:
                raise call.error(f"is called with {key} = {quoted(value)[1:-1]}, which is not supported")
        if any(int(key) > operands for key in call.arguments if key.isdecimal()):
            raise call.error(f"is called with more than {operands} operands; give its settings by their names")
        config = Config(call.config.layer, call.config.class_name, values, call.config.keras)
        made = build(call.configured(config))
        nodes = made if isinstance(made, tuple) else (made,)
        if not all(node.shape for node in nodes):
            raise call.error("leaves no axis beside the batch; keep one, as with keepdims=True or a slice")
        return nodes

    return Handler(lambda call: results(call)[0], note, build_all=results)


def raw(call: LayerCall, number: int) -> object:
    """The operand of that number, counted from 1, with its tensors as `Slot`s. Raises UnsupportedModel."""
    if str(number) not in call.arguments:
        raise call.error(f"is called without its operand {number}")
    return call.arguments[str(number)]


def operand(call: LayerCall, number: int) -> Operand:
    """A tensor or a constant."""
    return _operand(call, raw(call, number))


def tensor(call: LayerCall, number: int = 1) -> Node:
    """A tensor."""
    found = operand(call, number)
    if not isinstance(found, Node):
        raise call.error(f"operand {number} is a constant; it must be a tensor of the model")
    return found


def tensors(call: LayerCall, number: int = 1) -> tuple[Node, ...]:
    """A list of tensors."""
    value = raw(call, number)
    found = [_operand(call, item) for item in value] if isinstance(value, list) else []
    if not found or not all(isinstance(item, Node) for item in found):
        raise call.error(f"operand {number} is not a list of tensors of the model")
    return tuple(item for item in found if isinstance(item, Node))


def constant(call: LayerCall, value: object) -> FloatArray:
    """Numbers as they stand in the file. Raises UnsupportedModel where they are none."""
    if isinstance(value, Mapping) and value.get("class_name") in _ARRAYS and isinstance(value.get("config"), Mapping):
        value = value["config"].get("value")
    try:
        found = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        found = np.asarray(np.nan)
    if not np.isfinite(found).all() or found.size == 0:
        raise call.error(f"the operand {quoted(value)[1:-1]} is neither a tensor nor finite numbers")
    return found


def _operand(call: LayerCall, value: object) -> Operand:
    return call.inputs[value.index] if isinstance(value, Slot) else constant(call, value)


def on_tensor(build: Callable[[LayerCall], Node]) -> Callable[[LayerCall], Node]:
    """The handler of a layer for a function whose first operand is the layer's input."""
    return lambda call: build(replace(call, inputs=(tensor(call),)))


def integer_or_list(call: LayerCall, key: str) -> int | list[int]:
    """A setting that is an integer, or a list of them."""
    value = call.config.raw(key)
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    found = call.config.integers(key)
    numbers = [number for number in found if number is not None]
    if len(numbers) < len(found):
        raise call.error(f"{key} is {quoted(value)[1:-1]}, not integers")
    return numbers


def axes_of(call: LayerCall, key: str, rank: int, default: int | None = None) -> tuple[int, ...] | None:
    """The axes in a setting, counted without the batch; None where it names none. Raises UnsupportedModel."""
    if not call.config.has(key):
        return None if default is None else (call.axis(default, rank),)
    given = integer_or_list(call, key)
    found = tuple(call.axis(axis, rank) for axis in ([given] if isinstance(given, int) else given))
    if len(set(found)) < len(found):
        raise call.error("names an axis twice")
    return found
