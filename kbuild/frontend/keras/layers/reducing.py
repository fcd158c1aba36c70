"""Functions of `keras.ops` that combine elements: reductions over axes and products of tensors."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from kbuild.fixed import FloatArray
from kbuild.frontend.keras.handler import Handler, LayerCall
from kbuild.frontend.keras.layers.product import summed
from kbuild.frontend.keras.operands import axes_of, function, operand, tensor
from kbuild.ir import Node, Tensor
from kbuild.ops.dense import Dense
from kbuild.ops.einsum import Einsum
from kbuild.ops.normalize import Normalize
from kbuild.ops.reduce import Reduce
from kbuild.ops.transpose import Transpose

_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_SMALLEST_SQUARE = 1e-12  # of a vector that is normalized


def _reduce(operation: str) -> Callable[[LayerCall], Node]:
    def build(call: LayerCall) -> Node:
        x = tensor(call)
        axes = axes_of(call, "axis", len(x.shape))
        if axes is None:
            raise call.error("combines the samples of a batch; name the axes, such as axis=1")
        keepdims = call.config.has("keepdims") and call.config.flag("keepdims", False)
        count = math.prod(x.shape[axis] for axis in axes)
        return call.add(Reduce(operation, tuple(sorted(axes)), count, keepdims), x)

    return build


def _matmul(call: LayerCall) -> Node:
    """Products of the matrices in the last two axes; of a tensor and a constant matrix, a dense layer."""
    one, two = operand(call, 1), operand(call, 2)
    flipped = [call.config.raw(key) is True for key in ("transpose_first", "transpose_second")]
    rank = max(len(x.shape) for x in (one, two) if isinstance(x, Node)) if not _constants(one, two) else 0
    if rank < 1 or any(isinstance(x, Node) and len(x.shape) != rank for x in (one, two)):
        raise call.error("multiplies values of different rank, whose batches would not meet")
    if isinstance(one, Node) and not isinstance(two, Node):
        matrix = np.atleast_2d(np.squeeze(two, tuple(range(two.ndim - 2)))) if _is_matrix(two) else two
        if matrix.ndim != 2 or flipped[0]:
            raise call.error(f"multiplies by a constant of shape {two.shape}; it must be one matrix")
        return call.add(Dense(Tensor(matrix.T if flipped[1] else matrix)), one)
    shared, (m, k, n) = _LETTERS[: rank - 2], "xyz"
    first, second = (k + m if flipped[0] else m + k), (n + k if flipped[1] else k + n)
    if rank < 2:
        raise call.error("needs two axes beside the batch")
    if isinstance(one, Node) and isinstance(two, Node):
        return call.add(Einsum(f"{shared}{first},{shared}{second}->{shared}{m}{n}"), one, two)
    assert isinstance(two, Node) and not isinstance(one, Node)
    if one.ndim != 2:
        raise call.error(f"multiplies a constant of shape {one.shape}; it must be one matrix")
    return call.add(Einsum(f"{shared}{second},{first}->{shared}{m}{n}", Tensor(one)), two)


def _constants(*operands: Node | FloatArray) -> bool:
    return not any(isinstance(x, Node) for x in operands)


def _is_matrix(values: FloatArray) -> bool:
    return values.ndim >= 2 and all(n == 1 for n in values.shape[:-2])


def _dot(call: LayerCall) -> Node:
    x, matrix = tensor(call), operand(call, 2)
    if isinstance(matrix, Node) or matrix.ndim != 2:
        raise call.error("is a product with something else than one constant matrix; use the Dot layer, or matmul")
    return call.add(Dense(Tensor(matrix)), x)


def _einsum(call: LayerCall) -> Node:
    """Two operands, or one whose axes change their order. The batch is the first axis of tensors and of the result."""
    text = call.config.text("subscripts", "").replace(" ", "")
    words, arrow, output = text.partition("->")
    parts = words.split(",")
    letters_only = all(word.isascii() and word.isalpha() for word in (*parts, output))
    if not arrow or len(parts) > 2 or not letters_only or len(call.arguments) < len(parts):
        raise call.error(f"the equation {text[:60]} is not of one or two operands with letters and -> in it")
    found = [operand(call, number) for number in range(1, len(parts) + 1)]
    batch = output[0]
    for word, value in zip(parts, found, strict=True):
        if isinstance(value, Node) != (word[0] == batch) or batch in word[1:]:
            raise call.error(f"the equation {text[:60]} does not keep the batch as the first axis of each tensor")
    output, inner = output[1:], [w[1:] if isinstance(x, Node) else w for w, x in zip(parts, found, strict=True)]
    if len(inner) == 1:
        (x,) = found
        if not isinstance(x, Node) or len(set(inner[0])) < len(inner[0]) or len(inner[0]) != len(x.shape):
            raise call.error(f"the equation {text[:60]} does more than to sum over axes and to change their order")
        x, letters = summed(call, x, inner[0], output)
        if sorted(letters) != sorted(output):
            raise call.error(f"the equation {text[:60]} does more than to sum over axes and to change their order")
        return call.add(Transpose(tuple(letters.index(letter) for letter in output)), x)
    return _einsum_of_two(call, inner, found, output)


def _einsum_of_two(call: LayerCall, words: list[str], found: list[Node | FloatArray], output: str) -> Node:
    (one, two), (first, second) = found, words
    if isinstance(two, Node):
        one, two, first, second = two, one, second, first
        if isinstance(two, Node):
            (one, first), (two, second) = (
                summed(call, source, letters, other + output)
                for source, letters, other in ((one, first, second), (two, second, first))
            )
            return call.add(Einsum(f"{second},{first}->{output}"), two, one)
    if not isinstance(one, Node) or isinstance(two, Node):
        raise call.error("has two constants; write their result instead")
    if len(second) != two.ndim:
        raise call.error(f"the constant of shape {two.shape} has not the axes {second}")
    one, first = summed(call, one, first, second + output)
    two = two.sum(axis=tuple(axis for axis, letter in enumerate(second) if letter not in first + output))
    second = "".join(letter for letter in second if letter in first + output)
    last = len(second) == 2 and first[-1:] == second[0] and output == first[:-1] + second[1] and second[1] not in first
    return call.add(Dense(Tensor(two)) if last else Einsum(f"{first},{second}->{output}", Tensor(two)), one)


def _normalize(call: LayerCall) -> Node:
    """Unit length along axes."""
    x = tensor(call)
    if call.config.has("order") and call.config.integer("order") != 2:
        raise call.error("normalizes by another order than 2; use UnitNormalization")
    axes = axes_of(call, "axis", len(x.shape), default=-1)
    if axes is None:
        raise call.error("normalizes over the samples of a batch; name the axes, such as axis=-1")
    return call.add(Normalize(axes=tuple(sorted(axes)), statistic="sum_square", epsilon=_SMALLEST_SQUARE), x)


_AXES = ("axis", "keepdims")
_TRANSPOSED = ("transpose_first", "transpose_second")

HANDLERS: dict[str, Handler] = {
    f"ops.{name}": function(_reduce(operation), "of keras.ops, over any axes but the batch", settings=_AXES)
    for name, operation in (
        ("Sum", "sum"), ("Mean", "mean"), ("Max", "max"), ("Min", "min"), ("Amax", "max"), ("Amin", "min")
    )
} | {
    "ops.Matmul": function(_matmul, "of keras.ops: two tensors of equal rank, or one and a matrix", 2, _TRANSPOSED),
    "ops.Dot": function(_dot, "of keras.ops, with a constant matrix", 2),
    "ops.Einsum": function(_einsum, "of keras.ops: two operands with the batch first", 2, ("subscripts",)),
    "ops.Normalize": function(_normalize, "of keras.ops, order 2, any axes", 1, ("axis", "order", "epsilon")),
}  # fmt: skip
