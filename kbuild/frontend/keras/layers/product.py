"""Dot and EinsumDense."""

from __future__ import annotations

import math
import re

from kbuild.frontend.keras.config import Config
from kbuild.frontend.keras.handler import Handler, LayerCall
from kbuild.frontend.keras.layers.activation import add_activation
from kbuild.ir import Node, Tensor
from kbuild.ops.dense import Dense
from kbuild.ops.einsum import Einsum
from kbuild.ops.normalize import Normalize
from kbuild.ops.reduce import Reduce
from kbuild.ops.reshape import Reshape

_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
_SMALLEST_SQUARE = 1e-12  # of a vector that is normalized
# The spellings that Keras takes: `...` on neither side, before or after the letters.
_EQUATION = re.compile(r"(\.\.\.)?([a-zA-Z]+)(\.\.\.)?,([a-zA-Z]+)->(\.\.\.)?([a-zA-Z]+)(\.\.\.)?")


def _equation(call: LayerCall) -> tuple[str, str, str, str]:
    """Letters of the axes of input, kernel and output, without the batch, and those of `...` among them."""
    text = call.config.text("equation", "")
    match = _EQUATION.fullmatch(text)
    if match is None or match[1] != match[5] or match[3] != match[7] or (match[1] and match[3]):
        raise call.error(f"the equation {text[:60]} is none that EinsumDense has")
    first, kernel, output = match[2], match[4], match[6]
    free = [letter for letter in _LETTERS if letter not in first + kernel + output]
    elided = "".join(free[: max(len(call.shape) + 1 - len(first), 0)]) if match[1] or match[3] else ""
    first, output = (elided + first, elided + output) if match[1] else (first + elided, output + elided)
    batch = first[0]
    if len(first) != len(call.shape) + 1 or output[0] != batch or batch in kernel:
        raise call.error(f"the equation {text[:60]} does not keep the batch as the first axis of {call.shape}")
    return first[1:], kernel, output[1:], elided


def summed(call: LayerCall, source: Node, letters: str, kept: str) -> tuple[Node, str]:
    """A value and the letters of its axes; those that stand nowhere else are summed over before the product."""
    axes = tuple(axis for axis, letter in enumerate(letters) if letter not in kept)
    if not axes or len(axes) == len(letters):
        return source, letters
    part = call.part("sums", "Sum")
    made = part.add(Reduce("sum", axes, math.prod(source.shape[axis] for axis in axes)), source)
    return made, "".join(letter for letter in letters if letter in kept)


def _einsum_dense(call: LayerCall) -> Node:
    """y = activation(einsum(equation, x, kernel) + bias); a product with the last axis only is a Dense."""
    first, second, output, elided = _equation(call)
    shape = call.config.raw("output_shape")
    given = (shape,) if isinstance(shape, int) else call.config.integers("output_shape")
    named = [letter for letter in output if letter not in elided]
    sizes = dict(zip(first, call.shape, strict=True))
    sizes = {c: n for c, n in zip(named, given, strict=False) if n is not None} | sizes
    if len(given) != len(named) or not set(second + output) <= set(sizes):
        raise call.error(f"output_shape {given} does not give every axis of the output a size")
    kernel = Tensor(call.weight("kernel", tuple(sizes[letter] for letter in second)))
    bias = _bias(call, output, elided, sizes)
    last = len(second) == 2 and first[-1:] == second[0] and output == first[:-1] + second[1] and second[1] not in first
    if last and (bias is None or len(bias.shape) == 1):
        return add_activation(call, call.add(Dense(kernel, bias)))
    source, first = summed(call, call.input, first, second + output)
    return add_activation(call, call.add(Einsum(f"{first},{second}->{output}", kernel, bias), source))


def _bias(call: LayerCall, output: str, elided: str, sizes: dict[str, int]) -> Tensor | None:
    """The bias has the axes of the output from the first of `bias_axes` on, of 1 where one is not among them."""
    if not call.config.has("bias_axes"):
        return None
    axes = call.config.text("bias_axes", "")
    if not axes or not set(axes) <= set(output) - set(elided):
        raise call.error(f"bias_axes is {axes[:60]}, which are not axes of the output beside the batch")
    rest = output[min(output.index(letter) for letter in axes) :]
    return Tensor(call.weight("bias", tuple(sizes[letter] if letter in axes else 1 for letter in rest)))


def _einsum_weights(config: Config) -> tuple[str, ...]:
    return ("kernel", "bias") if config.has("bias_axes") else ("kernel",)


def _dot(call: LayerCall) -> Node:
    """The sum of products along one axis of each input, of which only that axis is shared."""
    if len(call.inputs) != 2:
        raise call.error(f"is called with {len(call.inputs)} inputs, not two")
    raw = call.config.raw("axes")
    axes = (raw, raw) if isinstance(raw, int) else call.config.integers("axes")
    if len(axes) != 2 or axes[0] is None or axes[1] is None:
        raise call.error("axes are one number, or one for each input")
    one, two = (len(source.shape) for source in call.inputs)
    at, other = call.axis(axes[0], one), call.axis(axes[1], two)
    first, rest = _LETTERS[:one], _LETTERS[one : one + two - 1]
    second = rest[:other] + first[at] + rest[other:]
    inputs = call.inputs
    if call.config.flag("normalize", False):
        inputs = (_unit(call, inputs[0], at, "first"), _unit(call, inputs[1], other, "second"))
    node = call.add(Einsum(f"{first},{second}->{first.replace(first[at], '')}{rest}"), *inputs)
    return node if node.shape else call.add(Reshape((1,)), node)


def _unit(call: LayerCall, source: Node, axis: int, part: str) -> Node:
    """An input of unit length along an axis, as a layer of its own: it has its own types."""
    own = call.part(f"{part}_normalized", "UnitNormalization")
    return own.add(Normalize(axes=(axis,), statistic="sum_square", epsilon=_SMALLEST_SQUARE), source)


HANDLERS = {
    "Dot": Handler(_dot, "any axes, normalize"),
    "EinsumDense": Handler(_einsum_dense, "every equation, bias_axes, any supported activation", _einsum_weights),
}
