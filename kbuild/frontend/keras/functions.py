"""Functions of TensorFlow in a graph of Keras 2, as the functions of `keras.ops` that they are.

Keras 2 saves `x * 2`, `tf.concat(...)` and the like as layers of the class TFOpLambda with the name of the function,
and `x[:, 1:]` as SlicingOpLambda. They are given the class and the arguments that Keras 3 would write.
"""

from __future__ import annotations

from collections.abc import Mapping

from kbuild.dataclass import dataclass, field, replace
from kbuild.errors import UnsupportedModel
from kbuild.frontend.keras.calls import FUNCTIONS, RawCall
from kbuild.frontend.keras.safety import quoted
from kbuild.frontend.keras.spec import LayerSpec


@dataclass(frozen=True)
class _Function:
    """The class in Keras 3; names of the operands; settings by their names here and there, and those that differ."""

    operation: str
    operands: tuple[str, ...] = ("x",)
    settings: Mapping[str, str] = field(default_factory=dict)
    defaults: Mapping[str, object] = field(default_factory=dict)


_REDUCTION = {"axis": "axis", "keepdims": "keepdims"}
_AXIS = {"axis": "axis"}
_PAIR = ("x", "y")
_FUNCTIONS: dict[str, _Function] = {
    "__operators__.add": _Function("Add", _PAIR),
    "__operators__.getitem": _Function("GetItem", ("x", "slice_spec")),
    "cast": _Function("Cast", settings={"dtype": "dtype"}),
    "clip_by_value": _Function("Clip", ("t",), {"clip_value_min": "x_min", "clip_value_max": "x_max"}),
    "concat": _Function("Concatenate", ("values",), _AXIS),
    "expand_dims": _Function("ExpandDims", ("input",), _AXIS),
    "gather": _Function("Take", ("params", "indices"), _AXIS),
    "identity": _Function("Copy", ("input",)),
    "linalg.matmul": _Function(
        "Matmul", ("a", "b"), {"transpose_a": "transpose_first", "transpose_b": "transpose_second"}
    ),
    "math.abs": _Function("Absolute"),
    "math.add": _Function("Add", _PAIR),
    "math.add_n": _Function("AddN", ("inputs",)),
    "math.divide": _Function("Divide", _PAIR),
    "math.exp": _Function("Exp"),
    "math.expm1": _Function("Expm1"),
    "math.l2_normalize": _Function("Normalize", settings=_AXIS | {"epsilon": "epsilon"}, defaults={"axis": None}),
    "math.maximum": _Function("Maximum", _PAIR),
    "math.minimum": _Function("Minimum", _PAIR),
    "math.multiply": _Function("Multiply", _PAIR),
    "math.negative": _Function("Negative"),
    "math.pow": _Function("Power", _PAIR),
    "math.reduce_max": _Function("Max", ("input_tensor",), _REDUCTION),
    "math.reduce_mean": _Function("Mean", ("input_tensor",), _REDUCTION),
    "math.reduce_min": _Function("Min", ("input_tensor",), _REDUCTION),
    "math.reduce_sum": _Function("Sum", ("input_tensor",), _REDUCTION),
    "math.sigmoid": _Function("Sigmoid"),
    "math.softplus": _Function("Softplus", ("features",)),
    "math.sqrt": _Function("Sqrt"),
    "math.square": _Function("Square"),
    "math.subtract": _Function("Subtract", _PAIR),
    "math.tanh": _Function("Tanh"),
    "math.truediv": _Function("TrueDivide", _PAIR),
    "nn.bias_add": _Function("Add", ("value", "bias")),
    "nn.elu": _Function("Elu", ("features",)),
    "nn.gelu": _Function("Gelu", ("features",), {"approximate": "approximate"}, {"approximate": False}),
    "nn.leaky_relu": _Function("LeakyRelu", ("features",), {"alpha": "negative_slope"}),
    "nn.relu": _Function("Relu", ("features",)),
    "nn.relu6": _Function("Relu6", ("features",)),
    "nn.selu": _Function("Selu", ("features",)),
    "nn.silu": _Function("Silu", ("features",)),
    "nn.softmax": _Function("Softmax", ("logits",), _AXIS),
    "nn.softsign": _Function("Softsign", ("features",)),
    "pad": _Function(
        "Pad", ("tensor",), {"paddings": "pad_width", "mode": "mode", "constant_values": "constant_values"}
    ),
    "repeat": _Function("Repeat", ("input",), _AXIS | {"repeats": "repeats"}),
    "reshape": _Function("Reshape", ("tensor",), {"shape": "newshape"}),
    "reverse": _Function("Flip", ("tensor",), _AXIS),
    "split": _Function("Split", ("value",), _AXIS | {"num_or_size_splits": "sizes"}, {"axis": 0}),
    "squeeze": _Function("Squeeze", ("input",), _AXIS),
    "stack": _Function("Stack", ("values",), _AXIS),
    "stop_gradient": _Function("StopGradient", ("input",)),
    "tile": _Function("Tile", ("input",), {"multiples": "repeats"}),
    "transpose": _Function("Transpose", ("a",), {"perm": "axes"}),
    "where": _Function("Where", ("condition", "x", "y")),
    "unstack": _Function("Unstack", ("value",), _AXIS, {"axis": 0}),
}
_ALIASES = {
    f"compat.v1.{name}": name for name in ("gather", "pad", "transpose", "squeeze", "expand_dims", "concat", "reshape")
}
_ALIASES |= {f"keras.activations.{name}": f"nn.{name}" for name in ("relu", "gelu", "elu", "selu", "softmax", "silu")}
_ALIASES["compat.v1.where_v2"] = "where"
_ALIASES |= {f"nn.{name}": f"math.{name}" for name in ("sigmoid", "tanh", "softplus")}
_IGNORED = {"validate_indices": None, "batch_dims": 0, "conjugate": False, "data_format": None}


def function_name(layer: LayerSpec) -> str:
    """The name of the function that a layer of the classes FUNCTIONS is, without `tf.`."""
    name = layer.config.get("function", layer.config.get("name", ""))
    return str(name).removeprefix("tf.")


def translated(layer: LayerSpec, calls: list[RawCall]) -> tuple[LayerSpec, list[RawCall]]:
    """The layer and its calls; of a known function, those of the function in `keras.ops`. Raises UnsupportedModel."""
    if layer.class_name not in FUNCTIONS:
        return layer, calls
    name = function_name(layer)
    function = _FUNCTIONS.get(_ALIASES.get(name, name))
    if function is None:
        return layer, calls
    made = [RawCall(call.inputs, _arguments(layer.name, name, function, call.arguments)) for call in calls]
    return replace(layer, class_name=f"ops.{function.operation}", config={}), made


def _arguments(layer: str, name: str, function: _Function, given: Mapping[str, object]) -> dict[str, object]:
    found: dict[str, object] = dict(function.defaults)
    for key, value in given.items():
        if key in function.operands:
            found[str(function.operands.index(key) + 1)] = value
        elif key.isdecimal() and int(key) <= len(function.operands):
            found[key] = value
        elif key in function.settings:
            found[function.settings[key]] = value
        elif key != "name" and value is not None and value != _IGNORED.get(key):
            raise UnsupportedModel(
                f"the layer {quoted(layer)} calls the TensorFlow function {quoted(name)} with the argument "
                f"{quoted(key)}, which is not supported; write it as Keras layers"
            )
    return found
