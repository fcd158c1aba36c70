"""What hls4ml calls the sizes of a layer: `n_in`, `filt_width`, `pad_left` ..., from the operation that is printed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import Any

from kbuild.ir import Graph, Node, Op
from kbuild.ops.contraction import Contraction
from kbuild.ops.conv import Conv
from kbuild.ops.dense import Dense
from kbuild.ops.gather import Gather
from kbuild.ops.lut import Lut
from kbuild.ops.pad import Pad
from kbuild.ops.pool import Pool
from kbuild.ops.reduce import Reduce
from kbuild.ops.relu import Relu
from kbuild.ops.reshape import Reshape
from kbuild.ops.rnn import Recurrent
from kbuild.ops.softmax import Softmax

Found = dict[str, Any]
Shape = tuple[int, ...]

_AXES = ("depth", "height", "width")  # the last of them are those of fewer spatial axes
_SIDES = (("front", "back"), ("top", "bottom"), ("left", "right"))


def sizes(node: Node, inputs: Sequence[Shape]) -> Found:
    """The sizes of a node of these input shapes; none where hls4ml has no such names."""
    if isinstance(node.op, Recurrent):
        return {"n_sequence": inputs[0][0], "n_in": inputs[0][-1], "n_out": node.shape[-1]}
    describe = _DESCRIBED.get(type(node.op))
    if describe is not None:
        return describe(node.op, inputs[0], node.shape)
    if len(inputs) == 1:
        return {"n_in": prod(inputs[0])}
    return {}


def activation(graph: Graph, node: Node) -> str | None:
    """The function of an activation, or the one that was fused into a layer of products."""
    if isinstance(node.op, Lut):
        return node.op.function
    if isinstance(node.op, Recurrent):
        return node.op.activation
    if isinstance(node.op, Relu | Softmax):
        return node.op.kind
    if not isinstance(node.op, Contraction):
        return None
    prefix = f"{node.layer.name}_"
    own = [user.layer.name for user in graph.users[node.name] if user.layer.class_name == "Activation"]
    return next((name.removeprefix(prefix) for name in own if name.startswith(prefix)), "linear")


def _spatial(prefix: str, values: Sequence[Any]) -> Found:
    names = _AXES[len(_AXES) - len(values) :] if len(values) <= len(_AXES) else ()
    return {f"{prefix}_{name}": value for name, value in zip(names, values, strict=False)}


def _padding(pairs: Sequence[tuple[int, int]]) -> Found:
    sides = _SIDES[len(_SIDES) - len(pairs) :] if len(pairs) <= len(_SIDES) else ()
    ends = [(name, n) for names, pair in zip(sides, pairs, strict=False) for name, n in zip(names, pair, strict=True)]
    return {f"pad_{name}": n for name, n in ends}


def _dense(op: Op, x: Shape, y: Shape) -> Found:
    return {"n_in": x[-1], "n_out": y[-1]}


def _conv(op: Op, x: Shape, y: Shape) -> Found:
    assert isinstance(op, Conv)
    return {
        **_spatial("in", x[:-1]), **_spatial("out", y[:-1]), **_spatial("filt", op.kernel),
        **_spatial("stride", op.strides), **_spatial("dilation", op.dilation), **_padding(op.padding),
        "n_chan": x[-1], "n_filt": y[-1], "data_format": "channels_last",
    }  # fmt: skip


def _pool(op: Op, x: Shape, y: Shape) -> Found:
    assert isinstance(op, Pool)
    flat = len(op.size) == 1
    around = {"n_in": x[0], "n_out": y[0]} if flat else {**_spatial("in", x[:-1]), **_spatial("out", y[:-1])}
    return {
        **around, **_spatial("pool", op.size), **_spatial("stride", op.strides), **_padding(op.padding),
        "n_filt": x[-1], "pool_op": op.operation.capitalize(), "data_format": "channels_last",
    }  # fmt: skip


def _reduce(op: Op, x: Shape, y: Shape) -> Found:
    assert isinstance(op, Reduce)
    around = {"n_in": x[0]} if len(x) == 2 else _spatial("in", x[:-1])
    return {**around, "n_filt": x[-1], "pool_op": op.operation.capitalize(), "data_format": "channels_last"}


def _pad(op: Op, x: Shape, y: Shape) -> Found:
    assert isinstance(op, Pad)
    return {**_spatial("in", x[:-1]), **_spatial("out", y[:-1]), **_padding(op.padding[:-1]), "n_chan": x[-1]}


def _gather(op: Op, x: Shape, y: Shape) -> Found:
    assert isinstance(op, Gather)
    return {"n_in": prod(x), "n_out": y[-1], "vocab_size": op.weight.shape[0]}


_DESCRIBED: Mapping[type[Op], Callable[[Op, Shape, Shape], Found]] = {
    Conv: _conv,
    Dense: _dense,
    Pool: _pool,
    Reduce: _reduce,
    Pad: _pad,
    Gather: _gather,
    Reshape: lambda op, x, y: {"target_shape": list(y)},
}
