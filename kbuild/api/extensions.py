"""Handlers as hls4ml's extensions write them, made into kbuild's.

Such a handler describes a layer by a dictionary. Its `class_name` names a layer that kbuild has, the other keys are
that layer's settings as in Keras; `weight_data` and `bias_data` are its weights.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, TypeVar

import numpy as np

from kbuild.dataclass import dataclass, replace
from kbuild.errors import RecipeError
from kbuild.fixed import FloatArray
from kbuild.frontend.keras.config import Config
from kbuild.frontend.keras.extensions import register
from kbuild.frontend.keras.handler import Handler, LayerCall
from kbuild.frontend.keras.layers import handler_of
from kbuild.ir import Node

V2Handler = Callable[..., tuple[dict[str, Any], Sequence[int | None]]]
F = TypeVar("F", bound=Callable[..., Any])

_NOTE = "registered by the program"
_DATA = {"weight_data": "kernel", "bias_data": "bias"}


class DataReader:
    """What a handler asks for weights."""

    def __init__(self, call: LayerCall) -> None:
        self._call = call

    def get_weights_data(self, layer_name: str, var_name: str | Sequence[str]) -> Any:
        """A weight of the layer, or one for each of several names. Raises UnsupportedModel for one it does not have."""
        if not isinstance(var_name, str):
            return tuple(self.get_weights_data(layer_name, name) for name in var_name)
        if var_name not in self._call.weights:
            raise self._call.error(
                f'its handler asks for the weight "{var_name}"; name the weights of the class where it is registered: '
                f'weights=("{var_name}",)'
            )
        return np.array(self._call.weights[var_name])


def get_weights_data(data_reader: DataReader, layer_name: str, var_name: str | Sequence[str]) -> Any:
    """Weights of a layer, from a handler's `data_reader`."""
    return data_reader.get_weights_data(layer_name, var_name)


def parse_default_keras_layer(keras_layer: Mapping[str, Any], input_names: Sequence[str] | None) -> dict[str, Any]:
    """The settings that most layers have: `name`, `class_name`, `inputs`, `data_format`, `activation`, `use_bias`."""
    config = keras_layer["config"]
    layer: dict[str, Any] = {"name": config["name"], "class_name": keras_layer["class_name"]}
    if input_names is not None:
        layer["inputs"] = list(input_names)
    layer["data_format"] = config.get("data_format", "channels_last")
    layer |= {key: config[key] for key in ("activation", "epsilon", "use_bias") if key in config}
    return layer


def register_keras_v2_layer_handler(layer_cname: str, handler_func: V2Handler, weights: Sequence[str] = ()) -> None:
    """Let a function read the layers of a class: `f(keras_layer, input_names, input_shapes, data_reader)`.

    keras_layer: the layer as Keras serializes it (`class_name`, `config`); input_names; input_shapes, with None for
    the batch; data_reader: gives the weights that `weights` names, in Keras' order. The function returns the layer as
    a dictionary (see `parse_default_keras_layer`) and its output shape. It is used for models of Keras 3, too, where no
    other handler knows the class. Raises RecipeError where another handler reads the class.
    """
    names = tuple(weights)

    def build(call: LayerCall) -> Node:
        layer, shape = handler_func(
            _serialized(call), [n.name for n in call.inputs], [[None, *n.shape] for n in call.inputs], DataReader(call)
        )
        node = _built(call, layer, call.inputs)
        if node.shape not in (tuple(shape), tuple(shape)[1:]):  # without or with the batch
            raise call.error(f"its handler says that the output has shape {tuple(shape)}; it is {node.shape}")
        return node

    register(layer_cname, Handler(build, _NOTE, lambda config: names), handler_func, keras=(2,))


def keras_handler(*layer_cnames: str, weights: Sequence[str] = ()) -> Callable[[F], F]:
    """`register_keras_v2_layer_handler` as a decorator, for one or more classes."""

    def decorate(function: F) -> F:
        for name in layer_cnames:
            register_keras_v2_layer_handler(name, function, weights)
        return function

    return decorate


class KerasV3LayerHandler:
    """Base of handlers that look at a layer of Keras 3 itself.

    `handles` are class names, perhaps behind their module; `weights` the names of weights, in Keras' order, that the
    description reads. `handle` returns a description of one layer, or several that follow one another.
    """

    handles: Sequence[str] = ()
    weights: Sequence[str] = ()

    def handle(self, layer: Any, in_tensors: Sequence[Any], out_tensors: Sequence[Any]) -> Any:
        """A dictionary, or a tuple of them; tensors have `name` and `shape`, with None for the batch."""
        raise NotImplementedError


class _V3(Protocol):
    handles: Sequence[str]

    def handle(self, layer: Any, in_tensors: Sequence[Any], out_tensors: Sequence[Any]) -> Any: ...


H = TypeVar("H", bound=type[_V3])


@dataclass(frozen=True)
class _Tensor:
    name: str
    shape: tuple[int | None, ...]


def register_keras_v3_layer_handler(handler: H) -> H:
    """Register a class like `KerasV3LayerHandler` for the classes that it `handles`; usable as a decorator.

    It reads live models alone, since it looks at the layer object. Raises RecipeError where another handler reads one
    of its classes.
    """
    if not handler.handles:
        raise RecipeError(f"{handler.__name__} has no `handles`; name the classes of layers that it reads")
    made = handler()
    names = tuple(vars(handler).get("weights", ()))

    def build(call: LayerCall) -> Node:
        if call.live is None:
            raise call.error("its handler looks at the layer itself; convert the live model instead of the file")
        inputs = [_Tensor(node.name, (None, *node.shape)) for node in call.inputs]
        return _chain(call, made.handle(call.live, inputs, _outputs(call.live)))

    for name in handler.handles:
        register(name.rpartition(".")[2], Handler(build, _NOTE, lambda config: names), handler, keras=(3,))
    return handler


def _outputs(layer: Any) -> list[Any]:
    """The tensors that a layer makes; none where it is called more than once."""
    try:
        found = layer.output
    except (AttributeError, RuntimeError, ValueError):
        return []
    return list(found) if isinstance(found, (list, tuple)) else [found]


def _chain(call: LayerCall, described: Any) -> Node:
    """Layers that follow one another, each reading the tensors it names, else the one before."""
    steps = [described] if isinstance(described, Mapping) else list(described)
    if not steps:
        raise call.error("its handler describes no layer")
    values: dict[str, Node] = {node.name: node for node in call.inputs}
    inputs, node = call.inputs, call.inputs[0]
    for number, layer in enumerate(steps):
        named = [name for name in layer.get("input_keras_tensor_names", ()) if name in values]
        reads = tuple(values[name] for name in named) or inputs
        step = call if number == len(steps) - 1 else call.part(f"part{number + 1}", str(layer.get("class_name")))
        node = _built(step, layer, reads)
        values |= dict.fromkeys(layer.get("output_keras_tensor_names", ()), node)
        inputs = (node,)
    return node


def _serialized(call: LayerCall) -> dict[str, Any]:
    """The layer as hls4ml's handlers know it."""
    config = {"name": call.config.layer, **copy.deepcopy(dict(call.config.values))}
    return {"class_name": call.config.class_name.rpartition(">")[2], "config": config}


def _built(call: LayerCall, layer: Mapping[str, Any], inputs: tuple[Node, ...]) -> Node:
    """The nodes of a described layer."""
    class_name = layer.get("class_name") or call.config.class_name
    handler = handler_of(str(class_name), call.config.keras)
    own = str(class_name) == call.config.class_name.rpartition(">")[2]
    if handler is None or own:
        raise call.error(
            f"its handler describes a layer of class {class_name}, which no operation of kbuild is; set class_name to "
            "one that kbuild layers lists, or write a handler that adds operations (docs/extending.md)"
        )
    weights: dict[str, FloatArray] = {}
    for key, name in _DATA.items():
        if layer.get(key) is not None:
            weights[name] = np.asarray(layer[key], dtype=np.float64)
    values = {key: value for key, value in layer.items() if key not in _DATA}
    if weights:
        values.setdefault("use_bias", "bias" in weights)
    config = Config(call.config.layer, str(class_name), values, call.config.keras)
    return handler.build(replace(call, config=config, weights=weights, inputs=inputs))
