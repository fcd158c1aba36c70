"""Functions of `keras.ops` that work element by element: arithmetic, powers, limits."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from kbuild.fixed import FloatArray
from kbuild.frontend.keras.handler import Handler, LayerCall
from kbuild.frontend.keras.operands import constant, function, operand, tensor, tensors
from kbuild.frontend.keras.safety import quoted
from kbuild.ir import Node, Tensor
from kbuild.ops.affine import Affine
from kbuild.ops.constant import Constant
from kbuild.ops.identity import Identity
from kbuild.ops.lut import Lut
from kbuild.ops.merge import Merge
from kbuild.ops.relu import Relu

MAX_POWER = 4


def _aligned(call: LayerCall, values: FloatArray, x: Node) -> FloatArray:
    """A constant with at least the rank of a tensor and without the batch axis, along which it must be the same."""
    rank = len(x.shape)
    if values.ndim == rank + 1 and len(values) == 1:
        values = values[0]
    if values.ndim > rank:
        raise call.error(f"the constant of shape {values.shape} has an axis for the batch; give it one value for all")
    return values.reshape((1,) * (rank - values.ndim) + values.shape)


def _with_constant(call: LayerCall, operation: str, x: Node, values: FloatArray) -> Node:
    """x and a constant: as a scale and a shift where that is the same, else as a value of its own."""
    try:
        same = np.broadcast_shapes(values.shape, x.shape) == x.shape
    except ValueError as error:
        raise call.error(f"the constant of shape {values.shape} does not broadcast to {x.shape}") from error
    none, one = np.zeros((1,) * len(x.shape)), np.ones((1,) * len(x.shape))
    if same and operation == "add":
        return call.add(Affine(Tensor(one), Tensor(values)), x)
    if same and operation == "multiply":
        return call.add(Affine(Tensor(values), Tensor(none)), x)
    part = call.part("constant", "Constant")
    other = part.add_node(part.layer.name, Constant(Tensor(values)), (), part.layer)
    return call.add(Merge(operation), x, other)


def _two(call: LayerCall, operation: str) -> Node:
    """Two operands, each a tensor or a constant. Unlike a layer, a function broadcasts the batch axis too."""
    one, two = operand(call, 1), operand(call, 2)
    if isinstance(one, Node) and isinstance(two, Node):
        if len(one.shape) != len(two.shape):
            raise call.error(
                f"reads values of shapes {one.shape} and {two.shape}, whose batches would not meet; "
                "use the Keras layer of this name, or give both the same rank"
            )
        return call.add(Merge(operation), one, two)
    if isinstance(one, Node):
        assert not isinstance(two, Node)
        values = _aligned(call, two, one)
        if operation == "subtract":
            return _with_constant(call, "add", one, -values)
        return _with_constant(call, operation, one, values)
    if not isinstance(two, Node):
        raise call.error("has two constants; write their result instead")
    values = _aligned(call, one, two)
    if operation != "subtract":
        return _with_constant(call, operation, two, values)
    minus = Affine(Tensor(-np.ones((1,) * len(two.shape))), Tensor(values))
    if np.broadcast_shapes(values.shape, two.shape) == two.shape:
        return call.add(minus, two)
    raise call.error(f"the constant of shape {values.shape} is larger than the value of shape {two.shape}")


def _binary(operation: str) -> Callable[[LayerCall], Node]:
    return lambda call: _two(call, operation)


def _divide(call: LayerCall) -> Node:
    x, by = tensor(call), operand(call, 2)
    if isinstance(by, Node):
        raise call.error("divides by a tensor, for which there is no operation; multiply by a constant instead")
    if not by.all():
        raise call.error("divides by zero")
    return _with_constant(call, "multiply", x, 1 / _aligned(call, by, x))


def _negative(call: LayerCall) -> Node:
    x = tensor(call)
    return _with_constant(call, "multiply", x, np.full((1,) * len(x.shape), -1.0))


def _absolute(call: LayerCall) -> Node:
    """A leaky ReLU with slope -1."""
    x = tensor(call)
    return call.add(Relu(slope=Tensor(np.full((1,) * len(x.shape), -1.0))), x)


def _square(call: LayerCall) -> Node:
    x = tensor(call)
    return call.add(Merge("multiply"), x, x)


def _power(call: LayerCall) -> Node:
    x, power = tensor(call), operand(call, 2)
    exponent = 0.0 if isinstance(power, Node) or power.size != 1 else power.item()
    if exponent not in range(1, MAX_POWER + 1):
        raise call.error(f"its power is not one of the numbers 1 to {MAX_POWER}; use Multiply, or an activation")
    return call.add(Identity(), x) if exponent == 1 else call.add(Merge("multiply"), *[x] * int(exponent))


def _clip(call: LayerCall) -> Node:
    """A ReLU with a maximum where that is the same, else a maximum and a minimum with constants."""
    x = tensor(call)
    low, high = (constant(call, call.config.raw(key)) for key in ("x_min", "x_max"))
    if low.size != 1 or high.size != 1 or low.item() > high.item():
        raise call.error("its limits are not two numbers in order")
    if low.item() == 0:
        return call.add(Relu(max_value=Tensor(high.reshape(()))), x)
    shape = (1,) * len(x.shape)
    above = _with_constant(call.part("lower", "Maximum"), "maximum", x, low.reshape(shape))
    return _with_constant(call, "minimum", above, high.reshape(shape))


def _where(call: LayerCall) -> Node:
    """One of two operands at each place, as a constant says: a scale of ones and zeros, and a shift."""
    chosen, one, two = operand(call, 1), operand(call, 2), operand(call, 3)
    if isinstance(chosen, Node):
        raise call.error("chooses by a value that the model computes; only a constant may choose")
    if isinstance(one, Node) and isinstance(two, Node):
        first = _chosen(call.part("first", "Multiply"), chosen != 0, one, np.zeros(()))
        return call.add(Merge("add"), first, _chosen(call.part("second", "Multiply"), chosen == 0, two, np.zeros(())))
    if isinstance(one, Node):
        return _chosen(call, chosen != 0, one, np.asarray(two))
    if isinstance(two, Node):
        return _chosen(call, chosen == 0, two, np.asarray(one))
    raise call.error("has no tensor to choose from; write the result instead")


def _chosen(call: LayerCall, kept: NDArray[np.bool_], x: Node, other: FloatArray) -> Node:
    """x where it is kept, else a constant."""
    scale = _aligned(call, kept.astype(np.float64), x)
    shift = np.where(scale != 0, 0.0, _aligned(call, other, x))
    try:
        same = np.broadcast_shapes(shift.shape, x.shape) == x.shape
    except ValueError:
        same = False
    if not same:
        raise call.error(f"chooses at {shift.shape} places of a tensor of shape {x.shape}; repeat the tensor before")
    return call.add(Affine(Tensor(scale), Tensor(shift)), x)


def _add_n(call: LayerCall) -> Node:
    found = tensors(call)
    if len({node.shape for node in found}) > 1:
        raise call.error("adds values of different shapes")
    return call.add(Merge("add"), *found) if len(found) > 1 else call.add(Identity(), *found)


def _table(name: str) -> Callable[[LayerCall], Node]:
    return lambda call: call.add(Lut(name), tensor(call))


def _identity(call: LayerCall) -> Node:
    return call.add(Identity(), tensor(call))


def _cast(call: LayerCall) -> Node:
    if "float" not in str(call.config.raw("dtype")):
        raise call.error(f"casts to {quoted(call.config.raw('dtype'))}; kbuild computes in fixed point throughout")
    return _identity(call)


_TWO = "of keras.ops, or an operator such as x + y: two tensors of equal rank, or a tensor and a constant"
_NOTE = "of keras.ops"

HANDLERS: dict[str, Handler] = {
    **{
        f"ops.{name}": function(_binary(name.lower()), _TWO, operands=2)
        for name in ("Add", "Subtract", "Multiply", "Maximum", "Minimum")
    },
    **{
        f"ops.{name}": function(_divide, "of keras.ops, by a constant", operands=2) for name in ("Divide", "TrueDivide")
    },
    "ops.AddN": function(_add_n, "tf.add_n of Keras 2"),
    "ops.Negative": function(_negative, _NOTE),
    **{f"ops.{name}": function(_absolute, _NOTE) for name in ("Abs", "Absolute")},
    "ops.Square": function(_square, _NOTE),
    "ops.Power": function(_power, f"of keras.ops, up to the power {MAX_POWER}", operands=2),
    "ops.Clip": function(_clip, "of keras.ops, between two numbers", settings=("x_min", "x_max")),
    "ops.Where": function(_where, "of keras.ops, by a constant condition", operands=3),
    "ops.Sqrt": function(_table("sqrt"), "of keras.ops; 0 for negative values"),
    "ops.Expm1": function(_table("expm1"), _NOTE),
    "ops.Copy": function(_identity, "dropped"),
    "ops.StopGradient": function(_identity, "acts in training only: dropped"),
    "ops.Cast": function(_cast, "between types of floats: dropped", settings=("dtype",)),
}
