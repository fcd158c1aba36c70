"""One call of a layer in a Functional configuration: the tensors that it reads and its other arguments.

- Keras 2: `[["dense", 0, 0, {}], ...]`, tensors as (layer, call, index, keyword arguments); early ones lack the last;
  of a TensorFlow function `["x", 0, 0, {"y": 2.0}]`, whose first argument may be `["_CONSTANT_VALUE", -1, 3.0, {}]`;
- Keras 3: `{"args": [...], "kwargs": {...}}` with tensors as `{"class_name": "__keras_tensor__", "config":
  {"keras_history": ["dense", 0, 0]}}`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from kbuild.errors import UnsupportedModel
from kbuild.frontend.keras.safety import quoted
from kbuild.frontend.keras.spec import Slot

FUNCTIONS = ("TFOpLambda", "SlicingOpLambda")  # classes under which Keras 2 saves the functions of TensorFlow
_STATES = ("sequences", "initial_state")
_RECURRENT = ("SimpleRNN", "LSTM", "GRU", "RNN", "Bidirectional", "QSimpleRNN", "QLSTM", "QGRU", "QBidirectional",
              "hgq>QSimpleRNN", "hgq>QGRU")  # fmt: skip
_QUERY = ("query", "value", "key")
_HEADS = ("MultiHeadAttention", "GroupQueryAttention", "GroupedQueryAttention", "hgq>QMultiHeadAttention",
          "hgq>QLinformerAttention")  # fmt: skip
# The parameters that take tensors, in order; of other classes it is the first one.
_PARAMETERS = {
    **dict.fromkeys(_RECURRENT, _STATES),
    **dict.fromkeys(_HEADS, _QUERY),
}
_CONSTANT = "_CONSTANT_VALUE"


@dataclass(frozen=True)
class Reference:
    """A tensor as the file spells it, before its call is counted from 0."""

    layer: str
    call: int
    index: int


@dataclass
class RawCall:
    """One entry of `inbound_nodes`. Functions have all their arguments, tensors in them as `Slot`s."""

    inputs: list[Reference] = field(default_factory=list)
    arguments: dict[str, object] = field(default_factory=dict)

    def slotted(self, value: object) -> object:
        """A value with its tensors among the inputs and `Slot`s in their places."""
        if is_reference(value) or _is_tensor(value):
            (leaf,) = _leaves(value)
            if isinstance(leaf, Reference):
                self.inputs.append(leaf)
                return Slot(len(self.inputs) - 1)
            return leaf.value if isinstance(leaf, _Constant) else leaf
        if isinstance(value, dict) and value.get("class_name") == "__tuple__":
            value = value.get("items")
        return [self.slotted(item) for item in value] if isinstance(value, list) else value


def read_call(entry: object, layer: str, class_name: str) -> RawCall:
    """One call of a layer, or of a function."""
    function = class_name.startswith("ops.") or class_name in FUNCTIONS
    if isinstance(entry, dict) and "args" in entry:
        args, kwargs = entry["args"], entry.get("kwargs") or {}
        if not isinstance(args, list) or not isinstance(kwargs, dict):
            raise UnsupportedModel(f"a call of the layer {quoted(layer)} has no lists of arguments")
        return _function(args, kwargs) if function else _layer(args, kwargs, class_name)
    if function:
        return _function([entry], next(_keyword_arguments(entry), {}))
    return _layer_of_2(entry, layer, class_name)


def _function(args: list[object], kwargs: Mapping[str, object]) -> RawCall:
    """Positional arguments are named by their numbers, from 1."""
    call = RawCall()
    for key, value in ({str(number): value for number, value in enumerate(args, 1)} | dict(kwargs)).items():
        call.arguments[key] = call.slotted(value)
    return call


def _layer(args: list[object], kwargs: Mapping[str, object], class_name: str) -> RawCall:
    parameters = _PARAMETERS.get(class_name, ("inputs",))
    names = (*parameters, *(f"number {number}" for number in range(len(parameters) + 1, len(args) + 1)))
    arguments = dict(zip(names, args, strict=False)) | dict(kwargs)
    if parameters[0] not in arguments and "inputs" in arguments:
        arguments[parameters[0]] = arguments.pop("inputs")
    return _with_tensors(RawCall(), arguments, parameters)


def _layer_of_2(entry: object, layer: str, class_name: str) -> RawCall:
    call = RawCall()
    arguments: dict[str, object] = {}
    for leaf in _leaves(entry):
        if not isinstance(leaf, Reference):
            shown = f"the constant {leaf.value}" if isinstance(leaf, _Constant) else leaf
            raise UnsupportedModel(f"a call of the layer {quoted(layer)} has the input {quoted(shown)}, not a tensor")
        call.inputs.append(leaf)
    for kwargs in _keyword_arguments(entry):
        arguments |= {key: value for key, value in kwargs.items() if value is not None}
    return _with_tensors(call, arguments, _PARAMETERS.get(class_name, ("inputs",)))


def _with_tensors(call: RawCall, arguments: dict[str, object], parameters: tuple[str, ...]) -> RawCall:
    """Add tensors in the order of the parameters; what is no tensor stays an argument."""
    for name in parameters:
        leaves = list(_leaves(arguments[name])) if name in arguments else []
        tensors = [leaf for leaf in leaves if isinstance(leaf, Reference)]
        if tensors and len(tensors) == len(leaves):
            call.inputs += tensors
            del arguments[name]
    call.arguments |= {key: value for key, value in arguments.items() if value is not None}
    return call


def has_tensor(value: object) -> bool:
    """Whether an argument of a layer is a tensor, or has one in it."""
    return any(isinstance(leaf, Reference) for leaf in _leaves(value))


def is_reference(value: object) -> bool:
    """Whether this is (layer, call, index), perhaps with keyword arguments."""
    return (
        isinstance(value, list)
        and len(value) in (3, 4)
        and isinstance(value[0], str)
        and isinstance(value[1], int)
        and not isinstance(value[1], bool)
        and (value[0] == _CONSTANT or (isinstance(value[2], int) and not isinstance(value[2], bool)))
    )


@dataclass(frozen=True)
class _Constant:
    """What stands in the place of a tensor."""

    value: object


def _is_tensor(value: object) -> bool:
    return isinstance(value, dict) and value.get("class_name") == "__keras_tensor__"


def _leaves(value: object) -> Iterator[object]:
    """References and constants of a nested structure in order; dictionaries by sorted key, as Keras flattens them."""
    if isinstance(value, list):
        if is_reference(value):
            yield _Constant(value[2]) if value[0] == _CONSTANT else Reference(value[0], value[1], value[2])
        else:
            for item in value:
                yield from _leaves(item)
    elif isinstance(value, dict) and value.get("class_name") == "__keras_tensor__":
        config = value.get("config")
        history = config.get("keras_history") if isinstance(config, dict) else None
        if not is_reference(history):
            raise UnsupportedModel(f"a tensor has the keras_history {quoted(history)}, not [layer, call, index]")
        yield from _leaves(history)
    elif isinstance(value, dict) and value.get("class_name") == "__tuple__":
        yield from _leaves(value.get("items"))
    elif isinstance(value, dict):
        for key in sorted(value, key=str):
            yield from _leaves(value[key])
    else:
        yield value


def _keyword_arguments(value: object) -> Iterator[Mapping[str, object]]:
    """The fourth elements of Keras 2's references."""
    if is_reference(value):
        assert isinstance(value, list)
        if len(value) == 4 and isinstance(value[3], dict):
            yield value[3]
    elif isinstance(value, list):
        for item in value:
            yield from _keyword_arguments(item)
    elif isinstance(value, dict):
        for key in sorted(value, key=str):
            yield from _keyword_arguments(value[key])


def references(value: object, what: str) -> list[Reference]:
    """`input_layers` and `output_layers`: one reference, a list or a dictionary of them."""
    leaves = list(_leaves(value)) if value is not None else []
    if not leaves or not all(isinstance(leaf, Reference) for leaf in leaves):
        raise UnsupportedModel(f"{what} are not a list of [layer, call, index]")
    return [leaf for leaf in leaves if isinstance(leaf, Reference)]
