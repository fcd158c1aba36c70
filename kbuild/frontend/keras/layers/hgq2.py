"""HGQ2 (Keras 3): layers that quantize their inputs, weights and outputs, each element by its own type."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np

from kbuild.dataclass import replace
from kbuild.errors import UnsupportedModel
from kbuild.fixed import FloatArray
from kbuild.frontend.keras.config import Config
from kbuild.frontend.keras.handler import ALL, Handler, LayerCall
from kbuild.frontend.keras.layers import convolution, core, merge, pooling, product
from kbuild.frontend.keras.layers.activation import add_activation
from kbuild.frontend.keras.layers.hgq import quantizer as quantizer_of_types
from kbuild.frontend.keras.layout import Build, channels_last
from kbuild.frontend.keras.quantizers.exact import exact_tensor
from kbuild.frontend.keras.safety import quoted
from kbuild.ir import Node
from kbuild.ops.affine import Affine
from kbuild.ops.lut import Lut
from kbuild.ops.merge import Merge
from kbuild.ops.quantize import Quantize
from kbuild.ops.reduce import Reduce

# Variables of a quantizer in the order of the file: those that are trained come first.
_ORDERS = {("kif", True): "fki", ("kif", False): "ifk", ("kbi", True): "bki", ("kbi", False): "bik"}
_UNLIMITED = 40  # integer bits that no weight has
_EPSILON = 1e-7  # of Keras, which QSoftmax adds to what it inverts


def _quantizer(call: LayerCall, key: str, path: str, value_rank: int, conf: Config | None = None) -> Quantize | None:
    """The quantizer of a configuration `key` and of the variables under a path; None where there is none.

    value_rank: axes of what it quantizes; variables may have one more, that of the batch.
    """
    if conf is None and not call.config.has(key):
        return None
    conf = conf or call.config.inner(key)
    kind = conf.text("q_type", "kbi")
    if kind == "dummy":
        return None
    for name in ("scaler", "affine"):
        if conf.has(name):
            raise call.error(f"{key} has a {name}, which is not supported; train without it")
    rounding, overflow = conf.text("round_mode", "RND").removeprefix("S_"), conf.text("overflow_mode", "WRAP")
    order = _ORDERS.get((kind, overflow == "WRAP"))
    if order is None:
        raise call.error(f"{key} is a quantizer of the type {quoted(kind)}; there are kif and kbi")
    found = {letter: _widths(call, f"{path}/{place}", value_rank) for place, letter in enumerate(order)}
    k, i = found["k"], np.round(found["i"])
    f = np.round(found["f"]) if kind == "kif" else np.round(found["b"]) - i
    i = np.maximum(i, -f)
    signed, integers, fraction = (np.asarray(v, dtype=np.int64) for v in np.broadcast_arrays(k, i, f))
    bits = signed + integers + fraction
    # A weight in training is rounded and never wrapped, and so it stays.
    if overflow == "WRAP" and conf.flag("is_weight", False) and conf.flag("trainable", True):
        free = kind == "kif" or conf.text("round_mode", "RND") == "RND"
        more = np.where((bits > 0) | (kind == "kif"), _UNLIMITED * free, 0)
        bits, integers = bits + more, integers + more
    return quantizer_of_types(call, signed, bits, integers + signed, (rounding, overflow))


def _widths(call: LayerCall, name: str, value_rank: int) -> FloatArray:
    if name not in call.weights:
        raise call.error(f"the variable {name} of its quantizer is missing")
    values = call.weights[name]
    if not np.isfinite(values).all() or (np.abs(values) > 100).any():
        raise call.error(f"the variable {name} holds values that are no numbers of bits")
    if values.ndim == value_rank + 1 and values.shape[0] == 1:
        values = values.reshape(values.shape[1:])
    if values.ndim > value_rank:
        raise call.error(f"the variable {name} has the shape {values.shape}, of more axes than what it quantizes")
    return np.asarray(values, dtype=np.float64)


def _input(call: LayerCall) -> LayerCall:
    """The call on its quantized input."""
    op = _quantizer(call, "iq_conf", "iq/quantizer", len(call.shape)) if _enabled(call, "enable_iq") else None
    return call if op is None else call.on(call.add(op, call.input))


def _enabled(call: LayerCall, key: str) -> bool:
    return bool(call.config.raw(key))


def _output(call: LayerCall, node: Node) -> Node:
    """The quantized output."""
    op = _quantizer(call, "oq_conf", "oq/quantizer", len(node.shape)) if _enabled(call, "enable_oq") else None
    return node if op is None else call.add(op, node)


def _weight(call: LayerCall, values: FloatArray, key: str, path: str) -> FloatArray:
    """A weight as its quantizer makes it."""
    op = _quantizer(call, key, path, values.ndim)
    return values if op is None else op.eval_float([values[np.newaxis]])[0]


def _own(call: LayerCall, number: int) -> FloatArray:
    if str(number) not in call.weights:
        raise call.error(f"its variable number {number} is missing")
    return np.asarray(call.weights[str(number)], dtype=np.float64)


def _with_bias(call: LayerCall) -> bool:
    if call.config.has("equation"):
        return call.config.has("bias_axes")
    return call.config.flag("use_bias", True)


def _contraction(inner: Build) -> Build:
    """A layer of a kernel and a bias; `inner` builds that of Keras, without its activation where it has one."""

    def build(call: LayerCall) -> Node:
        weights: dict[str, FloatArray] = {"kernel": _weight(call, _own(call, 0), "kq_conf", "kq/quantizer")}
        if _with_bias(call):
            weights["bias"] = _weight(call, _own(call, 1), "bq_conf", "bq/quantizer")
        return _finished(call, weights, inner)

    return build


def _finished(call: LayerCall, weights: Mapping[str, FloatArray], inner: Build) -> Node:
    x = _input(call)
    made = inner(replace(x, weights=weights, exact=True))
    return _output(call, add_activation(x, made))


def _plain_einsum(call: LayerCall) -> Node:
    """EinsumDense adds its activation itself."""
    values = {**call.config.values, "activation": None}
    return product.HANDLERS["EinsumDense"].build(
        call.configured(Config(call.config.layer, call.config.class_name, values, call.config.keras))
    )


def _folded_dense(call: LayerCall) -> Node:
    """QBatchNormDense: scale of each input in the kernel, and the mean in the bias, in float32 as there."""
    kernel, bias = _own(call, 0).astype(np.float32), _own(call, 1).astype(np.float32)
    scaled = call.config.flag("scale", True)
    gamma = _own(call, 2).astype(np.float32) if scaled else np.float32(1)
    first = 2 + scaled + 2 * _enabled(call, "enable_ebops")
    mean, variance = (_own(call, first + n).astype(np.float32) for n in (0, 1))
    factor = gamma / np.sqrt(variance + np.float32(call.config.number("epsilon", 1e-3)))
    weights = {
        "kernel": _weight(call, (factor[:, None] * kernel).astype(np.float64), "kq_conf", "kq/quantizer"),
        "bias": _weight(call, (bias - mean @ kernel).astype(np.float64), "bq_conf", "bq/quantizer"),
    }
    return _finished(call, weights, core.dense)


def _batch_normalization(call: LayerCall) -> Node:
    """x * kq(gamma / sqrt(variance + epsilon)) + bq(beta - mean * that); without a beta there is a 1, as in HGQ2."""
    config = call.config
    axis = call.axis(config.integer("axis", -1))
    scaled, centred = config.flag("scale", True), config.flag("center", True)
    gamma = _own(call, 0).astype(np.float32) if scaled else np.float32(1)
    beta = _own(call, int(scaled)).astype(np.float32) if centred else np.float32(1)
    mean, variance = (_own(call, scaled + centred + n).astype(np.float32) for n in (0, 1))
    scale = gamma / np.sqrt(variance + np.float32(config.number("epsilon", 1e-3)))
    offset = np.asarray(beta - mean * scale)
    shape = tuple(n if at == axis else 1 for at, n in enumerate(call.shape))
    tensors = [
        exact_tensor(_weight(call, values.astype(np.float64), f"{kind}_conf", f"{kind}/quantizer").reshape(shape))
        for kind, values in (("kq", scale), ("bq", offset))
    ]
    x = _input(call)
    return _output(call, x.add(Affine(*tensors), x.input))


def _unary_function(call: LayerCall) -> Node:
    x = _input(call)
    return _output(call, add_activation(x, x.input))


def _single(inner: Build) -> Build:
    """A layer of Keras on a quantized input."""

    def build(call: LayerCall) -> Node:
        return _output(call, inner(_input(call)))

    return build


def _quantized_inputs(call: LayerCall) -> LayerCall:
    """The call on its inputs, each quantized by its own."""
    if not _enabled(call, "enable_iq"):
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
        op = _quantizer(call, "iq_confs", path, len(source.shape), config)
        found.append(source if op is None else call.add(op, source))
    return call.on(*found)


def _several(inner: Build) -> Build:
    def build(call: LayerCall) -> Node:
        return _output(call, inner(_quantized_inputs(call)))

    return build


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
        quantize = _quantizer(call, f"{part}_{place}_conf", f"{part}_table/{place}/quantizer", rank, config)
        node = node if quantize is None else call.add(quantize, node)
    return node


def _softmax(call: LayerCall) -> Node:
    """exp(max - x) and 1 / sum as tables between quantizers, and their product; every step a layer of its own type."""
    x, axes = _input(call), _axes(call)
    source, count = x.input, math.prod(call.shape[axis] for axis in axes)
    stable, scaler = call.config.flag("stable", True), call.config.number("input_scaler", 1.0)
    if stable:
        most = call.add(Reduce("max", axes, count, keepdims=True), source)
        source = call.add(Merge("subtract"), most, source)
    factor = float(np.float32(scaler)) * (-1 if stable else 1)
    exponential = _exponential(call, source, factor, stable)
    total = call.add(Reduce("sum", axes, count, keepdims=True), exponential)
    inverse = _table(call, total, "inv", Lut("inverse", (_EPSILON,)), enabled=True)
    return _output(call, call.add(Merge("multiply"), exponential, inverse))


def _exponential(call: LayerCall, source: Node, factor: float, quantized: bool) -> Node:
    return _table(call, source, "exp", Lut("scaled_exp", (factor,)), quantized)


_NOTE = "HGQ2: kif and kbi quantizers of every rounding and overflow mode but WRAP_SM"
_BUILDS: dict[str, Callable[[LayerCall], Node]] = {
    "QDense": _contraction(core.dense),
    "QBatchNormDense": _folded_dense,
    "QEinsumDense": _contraction(_plain_einsum),
    **{f"QConv{n}D": _contraction(channels_last(convolution.PLAIN[f"Conv{n}D"])) for n in (1, 2)},
    "QBatchNormalization": _batch_normalization,
    "QUnaryFunctionLUT": _unary_function,
    "QSoftmax": _softmax,
    **{
        f"Q{name}": _several(merge.HANDLERS[name].build)
        for name in ("Add", "Subtract", "Multiply", "Maximum", "Minimum")
    },
    "QAveragePow2": _several(_average_po2),
    "QDot": _several(product.HANDLERS["Dot"].build),
    "QSum": _single(_sum),
    "QMeanPow2": _single(_sum),
    **{f"Q{name}": _single(pooling.HANDLERS[name].build) for name in pooling.PLAIN},
}


def _alone(call: LayerCall) -> Node:
    """A quantizer as a layer."""
    op = _quantizer(call, "config", "quantizer", len(call.shape))
    return call.add(op, call.input) if op is not None else call.input


_BUILDS["Quantizer"] = _alone


def _fitting(build: Build) -> Build:
    """The layer's variables have no names in the file: what does not fit together is an error of the file."""

    def guarded(call: LayerCall) -> Node:
        try:
            return build(call)
        except UnsupportedModel:
            raise
        except (ValueError, IndexError) as error:
            raise call.error(f"its variables do not fit its configuration ({error}); save the model again") from error

    return guarded


HANDLERS = {f"hgq>{name}": Handler(_fitting(build), _NOTE, lambda config: ALL) for name, build in _BUILDS.items()}
