"""HGQ2 (Keras 3): layers that quantize their inputs, weights and outputs, each element by its own type."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping

import numpy as np

from kbuild.dataclass import replace
from kbuild.fixed import FloatArray, to_float
from kbuild.frontend.keras.config import Config
from kbuild.frontend.keras.handler import ALL, Handler, LayerCall, fitting
from kbuild.frontend.keras.layers import convolution, core, merge, pooling, product
from kbuild.frontend.keras.layers.activation import add_activation, function_name, function_of
from kbuild.frontend.keras.layout import Build, channels_last
from kbuild.frontend.keras.quantizers.exact import exact_tensor
from kbuild.frontend.keras.quantizers.hgq2 import (
    enabled,
    quantized_input,
    quantized_output,
    quantized_weight,
    quantizer_of,
    read,
    variable,
)
from kbuild.ir import Node
from kbuild.ops.affine import Affine
from kbuild.ops.einsum import Einsum
from kbuild.ops.lut import GIVEN, Lut
from kbuild.ops.merge import Merge
from kbuild.ops.reduce import Reduce
from kbuild.ops.transpose import Transpose

_EPSILON = 1e-7  # of Keras, which QSoftmax adds to what it inverts
_TABLE_BITS = 14  # of the input of a table that is given


def _with_bias(call: LayerCall) -> bool:
    if call.config.has("equation"):
        return call.config.has("bias_axes")
    return call.config.flag("use_bias", True)


def _contraction(inner: Build) -> Build:
    """A layer of a kernel and a bias; `inner` builds that of Keras, without its activation where it has one."""

    def build(call: LayerCall) -> Node:
        weights = _quantized(call, variable(call, 0), variable(call, 1) if _with_bias(call) else None)
        return _finished(call, weights, inner)

    return build


def _quantized(call: LayerCall, kernel: FloatArray, bias: FloatArray | None) -> dict[str, FloatArray]:
    """The weights of a layer as its quantizers make them."""
    weights = {"kernel": quantized_weight(call, kernel, "kq_conf", "kq/quantizer")}
    if bias is not None:
        weights["bias"] = quantized_weight(call, bias, "bq_conf", "bq/quantizer")
    return weights


def _finished(call: LayerCall, weights: Mapping[str, FloatArray], inner: Build) -> Node:
    x = quantized_input(call)
    made = inner(replace(x, weights=weights, exact=True))
    return quantized_output(call, add_activation(x, made))


def _plain_einsum(call: LayerCall) -> Node:
    """EinsumDense adds its activation itself."""
    values = {**call.config.values, "activation": None}
    return product.HANDLERS["EinsumDense"].build(
        call.configured(Config(call.config.layer, call.config.class_name, values, call.config.keras))
    )


def _folded_dense(call: LayerCall) -> Node:
    """QBatchNormDense: scale of each input in the kernel, and the mean in the bias, in float32 as there."""
    kernel, bias = variable(call, 0).astype(np.float32), variable(call, 1).astype(np.float32)
    scaled = call.config.flag("scale", True)
    gamma = variable(call, 2).astype(np.float32) if scaled else np.float32(1)
    first = 2 + scaled + 2 * enabled(call, "enable_ebops")
    mean, variance = (variable(call, first + n).astype(np.float32) for n in (0, 1))
    factor = gamma / np.sqrt(variance + np.float32(call.config.number("epsilon", 1e-3)))
    weights = _quantized(
        call, (factor[:, None] * kernel).astype(np.float64), (bias - mean @ kernel).astype(np.float64)
    )
    return _finished(call, weights, core.dense)


def _folded_einsum(call: LayerCall) -> Node:
    """QEinsumDenseBatchnorm: scale of each output in the kernel and the bias, in float32 as there.

    The file does not say whether there is a gamma, but the number of variables does. Epsilon is Keras' own there.
    """
    kernel, bias = variable(call, 0).astype(np.float32), variable(call, 1).astype(np.float32)
    before = 2 + 2 * enabled(call, "enable_ebops")
    scaled = sum(name.isdecimal() for name in call.weights) > before + 2
    gamma = variable(call, 2).astype(np.float32) if scaled else np.float32(1)
    mean, variance = (variable(call, before + scaled + n).astype(np.float32) for n in (0, 1))
    factor = np.asarray(gamma / np.sqrt(variance + np.float32(_EPSILON)))
    axes = call.config.text("equation", "").partition(",")[2].partition("->")[0]
    normalized = "".join(letter for letter in axes if letter in call.config.text("bias_axes", ""))
    offset = np.asarray(-mean * factor).reshape(bias.shape)
    weights = _quantized(
        call,
        np.einsum(f"{axes},{normalized}->{axes}", kernel, factor).astype(np.float64),
        (bias + offset).astype(np.float64),
    )
    return _finished(call, weights, _plain_einsum)


def _batch_normalization(call: LayerCall) -> Node:
    """x * kq(gamma / sqrt(variance + epsilon)) + bq(beta - mean * that); without a beta there is a 1, as in HGQ2."""
    config = call.config
    axis = call.axis(config.integer("axis", -1))
    scaled, centred = config.flag("scale", True), config.flag("center", True)
    gamma = variable(call, 0).astype(np.float32) if scaled else np.float32(1)
    beta = variable(call, int(scaled)).astype(np.float32) if centred else np.float32(1)
    mean, variance = (variable(call, scaled + centred + n).astype(np.float32) for n in (0, 1))
    scale = gamma / np.sqrt(variance + np.float32(config.number("epsilon", 1e-3)))
    offset = np.asarray(beta - mean * scale)
    shape = tuple(n if at == axis else 1 for at, n in enumerate(call.shape))
    made = _quantized(call, scale.astype(np.float64), offset.astype(np.float64))
    tensors = [exact_tensor(values.reshape(shape)) for values in made.values()]
    x = quantized_input(call)
    return quantized_output(call, x.add(Affine(*tensors), x.input))


def _unary_function(call: LayerCall) -> Node:
    x = quantized_input(call)
    return quantized_output(call, add_activation(x, x.input))


def _affined_function(call: LayerCall) -> Node:
    """activation(x * scale + bias) of a quantized input: a table of what float32 makes of each of its values."""
    quantizer = quantizer_of(call, "iq_conf", "iq/quantizer", len(call.shape))
    if quantizer is None or not enabled(call, "enable_iq") or (quantizer.scaler, quantizer.factor) != (1.0, 1.0):
        raise call.error("its input is not quantized to a type; use enable_iq=True, without a scaler or affine")
    of = quantizer.op.infer_type([])
    if of.width > _TABLE_BITS:
        raise call.error(f"its table would have 2**{of.width} entries; quantize its input to {_TABLE_BITS} bits")
    scale, bias = (variable(call, number).astype(np.float32) for number in (0, 1))
    x = to_float(np.arange(of.min, of.max + 1), of).astype(np.float32)
    name = function_name(call, call.config.raw("activation"))
    values = function_of(call, name, 1).eval_float([(x * scale + bias).astype(np.float64)[np.newaxis]])[0]
    output = quantizer_of(call, "oq_conf", "oq/quantizer", len(call.shape)) if enabled(call, "enable_oq") else None
    if output is not None and output.op.uniform is not None:
        values = output.of(values)
    table = Lut(GIVEN, (float(of.fraction),), exact_tensor(values.astype(np.float32)), offset=of.min)
    return quantized_output(call, call.add(table, quantizer.add(call, call.input)))


def _single(inner: Build) -> Build:
    """A layer of Keras on a quantized input."""

    def build(call: LayerCall) -> Node:
        return quantized_output(call, inner(quantized_input(call)))

    return build


def _quantized_inputs(call: LayerCall) -> LayerCall:
    """The call on its inputs, each quantized by its own."""
    if not enabled(call, "enable_iq"):
        return call
    raw = call.config.raw("iq_confs")
    confs = raw if isinstance(raw, list) else [raw] * len(call.inputs)
    if len(confs) != len(call.inputs):
        raise call.error(f"has {len(confs)} input quantizers and {len(call.inputs)} inputs")
    found = []
    for number, (conf, source) in enumerate(zip(confs, call.inputs, strict=True)):
        values = {"iq": conf}
        config = Config(call.config.layer, call.config.class_name, values, call.config.keras).inner("iq")
        path = f"iq/quantizers/quantizer{f'_{number}' if number else ''}/quantizer"
        quantizer = read(call, config, path, len(source.shape))
        found.append(source if quantizer is None else quantizer.add(call, source))
    return call.on(*found)


def _several(inner: Build) -> Build:
    def build(call: LayerCall) -> Node:
        return quantized_output(call, inner(_quantized_inputs(call)))

    return build


_WORDS = re.compile(r"([a-zA-Z]+(?:,[a-zA-Z]+)*)->([a-zA-Z]+)")


def _einsum(call: LayerCall) -> Node:
    """A sum of products of any number of inputs, one after the other; `...` is spelled out in the file."""
    text = call.config.text("equation", "").replace(" ", "")
    match = _WORDS.fullmatch(text)
    words = match[1].split(",") if match else []
    output = match[2] if match else ""
    if len(words) != len(call.inputs) or len(output) < 2 or any(
        word[0] != output[0] or len(set(word)) < len(word) for word in (*words, output)
    ):
        raise call.error(f"the equation {text[:60]} is none of {len(call.inputs)} inputs whose first axis is the "
                         "batch, with each axis once and one beside the batch in the output")  # fmt: skip
    rest, output = [word[1:] for word in words], output[1:]
    word, node = rest[0], call.inputs[0]
    for number in range(1, len(rest)):
        later = {*output, *"".join(rest[number + 1 :])}
        word, node = _summed(call, word, node, {*rest[number], *later})
        other, source = _summed(call, rest[number], call.inputs[number], {*word, *later})
        last = number == len(rest) - 1
        both = output if last else "".join(dict.fromkeys(letter for letter in word + other if letter in later))
        node = call.add(Einsum(f"{word},{other}->{both}"), node, source)
        word = both
    word, node = _summed(call, word, node, {*output})
    order = tuple(word.index(letter) for letter in output)
    return node if word == output else call.add(Transpose(order), node)


def _summed(call: LayerCall, word: str, node: Node, kept: set[str]) -> tuple[str, Node]:
    """The sum over all axes that are not kept."""
    axes = tuple(place for place, letter in enumerate(word) if letter not in kept)
    if not axes:
        return word, node
    count = math.prod(node.shape[axis] for axis in axes)
    return "".join(letter for letter in word if letter in kept), call.add(Reduce("sum", axes, count), node)


def _scaled(call: LayerCall, node: Node, factor: float) -> Node:
    shape = (1,) * len(node.shape)
    tensors = exact_tensor(np.full(shape, factor)), exact_tensor(np.zeros(shape))
    return node if factor == 1 else call.add(Affine(*tensors), node)


def _average_po2(call: LayerCall) -> Node:
    return _scaled(call, call.add(Merge("add")), 2.0 ** round(math.log2(1 / len(call.inputs))))


def _axes(call: LayerCall) -> tuple[int, ...]:
    raw = call.config.raw("axes")
    raw = raw if raw is not None else call.config.raw("axis")
    axes = call.config.integers("axes" if call.config.has("axes") else "axis") if not isinstance(raw, int) else (raw,)
    return tuple(sorted(call.axis(axis) for axis in axes if axis is not None))


def _sum(call: LayerCall) -> Node:
    """QSum, and QMeanPow2 whose factor is the power of two nearest to that of the mean."""
    axes = _axes(call)
    count = math.prod(call.shape[axis] for axis in axes)
    factor = call.config.number("scale", 1.0)
    if call.config.class_name.endswith("QMeanPow2"):
        factor = 2.0 ** round(math.log2(1 / count))
    return _scaled(call, call.add(Reduce("sum", axes, count, call.config.flag("keepdims", False))), factor)


def _table(call: LayerCall, source: Node, part: str, op: Lut, enabled: bool) -> Node:
    """A function between the quantizers of an inner table."""
    rank = len(source.shape)
    confs = {place: call.config.raw(f"{part}_{place}_conf") for place in ("iq", "oq")}
    node = source
    for place, function in (("iq", None), ("oq", op)):
        if function is not None:
            node = call.add(function, node)
        if place == "iq" and not enabled:
            continue
        config = Config(call.config.layer, call.config.class_name, confs, call.config.keras).inner(place)
        quantizer = read(call, config, f"{part}_table/{place}/quantizer", rank)
        node = node if quantizer is None else quantizer.add(call, node)
    return node


def softmax(call: LayerCall) -> Node:
    """exp(max - x) and 1 / sum as tables between quantizers, and their product; every step a layer of its own type."""
    x, axes = quantized_input(call), _axes(call)
    source, count = x.input, math.prod(call.shape[axis] for axis in axes)
    stable, scaler = call.config.flag("stable", True), call.config.number("input_scaler", 1.0)
    if stable:
        most = call.add(Reduce("max", axes, count, keepdims=True), source)
        source = call.add(Merge("subtract"), most, source)
    factor = float(np.float32(scaler)) * (-1 if stable else 1)
    exponential = _exponential(call, source, factor, stable)
    total = call.add(Reduce("sum", axes, count, keepdims=True), exponential)
    inverse = _table(call, total, "inv", Lut("inverse", (_EPSILON,)), enabled=True)
    return quantized_output(call, call.add(Merge("multiply"), exponential, inverse))


def _exponential(call: LayerCall, source: Node, factor: float, quantized: bool) -> Node:
    return _table(call, source, "exp", Lut("scaled_exp", (factor,)), quantized)


NOTE = "HGQ2: kif and kbi quantizers of every rounding and overflow mode but WRAP_SM"
_BUILDS: dict[str, Callable[[LayerCall], Node]] = {
    "QDense": _contraction(core.dense),
    "QBatchNormDense": _folded_dense,
    "QEinsumDense": _contraction(_plain_einsum),
    "QEinsumDenseBatchnorm": _folded_einsum,
    **{f"QConv{n}D": _contraction(channels_last(convolution.PLAIN[f"Conv{n}D"])) for n in (1, 2, 3)},
    "QBatchNormalization": _batch_normalization,
    "QUnaryFunctionLUT": _unary_function,
    "QAffinedUnaryFunctionLUT": _affined_function,
    "QSoftmax": softmax,
    **{
        f"Q{name}": _several(merge.HANDLERS[name].build)
        for name in ("Add", "Subtract", "Multiply", "Maximum", "Minimum")
    },
    "QAveragePow2": _several(_average_po2),
    "QEinsum": _several(_einsum),
    "QDot": _several(product.HANDLERS["Dot"].build),
    "QSum": _single(_sum),
    "QMeanPow2": _single(_sum),
    **{f"Q{name}": _single(pooling.HANDLERS[name].build) for name in pooling.PLAIN},
}


def _alone(call: LayerCall) -> Node:
    """A quantizer as a layer."""
    quantizer = quantizer_of(call, "config", "quantizer", len(call.shape))
    return quantizer.add(call, call.input) if quantizer is not None else call.input


_BUILDS["Quantizer"] = _alone


HANDLERS = {f"hgq>{name}": Handler(fitting(build), NOTE, lambda config: ALL) for name, build in _BUILDS.items()}
