"""QKeras: layers with quantized weights, and quantizers as activations. Its recurrent layers are another file's."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np

from kbuild.dataclass import dataclass, replace
from kbuild.fixed import FloatArray
from kbuild.frontend.keras.config import Config
from kbuild.frontend.keras.handler import Handler, LayerCall
from kbuild.frontend.keras.layers import convolution, core, normalization, pooling
from kbuild.frontend.keras.layers.activation import add_activation
from kbuild.frontend.keras.layout import Build, channels_last
from kbuild.frontend.keras.quantizers.base import Quantizer
from kbuild.frontend.keras.quantizers.exact import exact_tensor
from kbuild.frontend.keras.quantizers.qkeras import FUNCTIONS, QUANTIZERS, read_activation, read_quantizer
from kbuild.ir import Node
from kbuild.ops.affine import Affine
from kbuild.ops.conv import Conv
from kbuild.ops.reduce import Reduce

Weights = Callable[[Config], tuple[str, ...]]


def add_quantized_activation(call: LayerCall, source: Node) -> Node:
    """As `add_activation`, for a layer in which names mean QKeras' functions first."""
    found = read_activation(call.config)
    if found is None:
        return add_activation(call, source)
    name, function = found
    alone = source is call.input
    return function.add(call if alone else call.fused(name), source)


@dataclass(frozen=True)
class Quantized:
    """Quantized weights: those that the layer is built with, and the factors of its outputs, None where they are 1."""

    weights: Mapping[str, FloatArray]
    scale: FloatArray | None


def quantizer_key(weight: str) -> str:
    """The key of the quantizer of a weight: that of `depthwise_kernel` is `depthwise_quantizer`."""
    return f"{weight if weight == 'kernel' else weight.removesuffix('_kernel')}_quantizer"


def quantized(call: LayerCall, name: str, quantizer: Quantizer, values: FloatArray) -> tuple[FloatArray, FloatArray]:
    """The values and the scale that a quantizer makes of a weight. Raises UnsupportedModel."""
    try:
        found, scale = quantizer.scaled(values)
        np.broadcast_shapes(scale.shape, found.shape)
    except ValueError as error:
        raise call.error(f"{name}: {quantizer.name}: {error}") from error
    return found, scale


def _is_po2(scale: FloatArray) -> bool:
    mantissa = np.abs(np.frexp(scale)[0])
    return bool(((mantissa == 0.5) | (scale == 0)).all())


def _outputs_scale(scale: FloatArray, kernel: FloatArray, class_name: str) -> FloatArray | None:
    """The factor of each output, where the scale of a kernel is one; None where it is not."""
    full = np.broadcast_to(scale, kernel.shape)
    if class_name.endswith("Transpose"):  # its outputs are the axis before the last
        full = np.swapaxes(full, -1, -2)
    columns = math.prod(full.shape[-2:]) if "Depthwise" in class_name else full.shape[-1]
    full = full.reshape(-1, columns)
    return full[0] if (full == full[0]).all() else None


def _quantized_kernel(call: LayerCall, name: str, separate: bool) -> tuple[FloatArray, FloatArray | None]:
    """A quantized kernel and the factor of each output; with a scale of its own only where `separate`.

    Scales that are powers of two are part of the weights. So is every other, rounded to float32 as in QKeras, where it
    is no factor of outputs.
    """
    quantizer, kernel = read_quantizer(call.config, quantizer_key(name)), call.weights[name]
    if quantizer is None:
        return kernel, None
    values, scale = quantized(call, name, quantizer.trained(), kernel)
    if _is_po2(scale):
        return values * scale, None
    factor = _outputs_scale(scale, values, call.config.class_name) if separate else None
    if factor is None:
        return (values.astype(np.float32) * scale.astype(np.float32)).astype(np.float64), None
    return values, factor


def _check_kernel(call: LayerCall, name: str) -> None:
    """A kernel has axes for inputs and outputs; the layer itself checks their sizes."""
    shape = call.weights[name].shape
    if len(shape) < 2:
        raise call.error(f"the weight {name} has shape {shape}; are these the weights of this model?")


def _bias(call: LayerCall) -> FloatArray | None:
    if not call.config.flag("use_bias", True):
        return None
    bias, quantizer = call.weights.get("bias"), read_quantizer(call.config, "bias_quantizer")
    if bias is None or quantizer is None:
        return bias
    values, scale = quantized(call, "bias", quantizer, bias)
    return np.asarray(values * scale)


def quantized_weights(call: LayerCall, kernels: tuple[str, ...], separate: bool) -> Quantized:
    """All weights of a layer as its quantizers make them. Raises UnsupportedModel."""
    weights, scale = dict(call.weights), None
    for name in kernels:
        _check_kernel(call, name)
        weights[name], scale = _quantized_kernel(call, name, separate)
    bias = _bias(call)
    return Quantized(weights if bias is None else weights | {"bias": bias}, scale)


def _with_settings(call: LayerCall, **values: object) -> LayerCall:
    config = call.config
    return call.configured(Config(config.layer, config.class_name, {**config.values, **values}, config.keras))


def with_quantized(call: LayerCall, made: Quantized, exact: bool, inner: Build) -> Node:
    """The layer on its quantized weights; factors of outputs are a layer of their own after it, then the bias."""
    call = replace(call, weights=made.weights, exact=exact)
    if made.scale is None:
        return inner(call)
    node = inner(_with_settings(call, use_bias=False))
    bias = made.weights["bias"] if call.config.flag("use_bias", True) else np.zeros(1)
    shape = (1,) * (len(node.shape) - 1)
    scale = exact_tensor(made.scale.reshape(*shape, -1))
    return call.part("alpha", "ApplyAlpha").add(Affine(scale, exact_tensor(bias.reshape(*shape, -1))), node)


def quantizes(config: Config, kernels: tuple[str, ...]) -> bool:
    """Whether every kernel has a quantizer."""
    return all(config.has(quantizer_key(name)) for name in kernels)


def _layer(inner: Build, kernels: tuple[str, ...]) -> Build:
    """A layer of Keras on quantized weights, with its activation."""

    def build(call: LayerCall) -> Node:
        if call.config.has("mask"):
            raise call.error("mask is not supported; multiply the kernel by it")
        made = quantized_weights(call, kernels, separate=len(kernels) == 1)
        return with_quantized(call, made, quantizes(call.config, kernels), inner)

    laid_out = channels_last(build)
    return lambda call: add_quantized_activation(call, laid_out(call))


# Layers that fold their BatchNormalization


def _folded_weights(kernel: str) -> Weights:
    def names(config: Config) -> tuple[str, ...]:
        bias = ("bias",) if config.flag("use_bias", True) else ()
        gamma = ("batchnorm/gamma",) if config.flag("scale", True) else ()
        beta = ("batchnorm/beta",) if config.flag("center", True) else ()
        return (kernel, *bias, *gamma, *beta, "iteration", "batchnorm/moving_mean", "batchnorm/moving_variance")

    return names


def _folded(inner: Build, kernel: str) -> Build:
    """The kernel and bias with the BatchNormalization folded in, in float32 as in QKeras, and then quantized."""

    def build(call: LayerCall) -> Node:
        _check_kernel(call, kernel)
        depthwise = kernel == "depthwise_kernel"
        values = call.weights[kernel].astype(np.float32)
        outputs = math.prod(values.shape[-2:]) if depthwise else values.shape[-1]
        shape = values.shape[-2:] if depthwise else values.shape[-1:]

        def vector(name: str, used: bool, default: float) -> FloatArray:
            found = call.weight(name, (outputs,)) if used else np.full(outputs, default)
            return found.astype(np.float32)

        epsilon = np.float32(call.config.number("epsilon", 1e-3))
        with np.errstate(divide="ignore", invalid="ignore"):
            factor = np.float32(1) / np.sqrt(vector("batchnorm/moving_variance", True, 1.0) + epsilon)
        if not np.isfinite(factor).all():
            raise call.error("moving_variance + epsilon is not positive everywhere; train the model again")
        factor = factor * vector("batchnorm/gamma", call.config.flag("scale", True), 1.0)
        bias = vector("bias", call.config.flag("use_bias", True), 0.0)
        beta = vector("batchnorm/beta", call.config.flag("center", True), 0.0)
        bias = factor * (bias - vector("batchnorm/moving_mean", True, 0.0)) + beta
        weights = {kernel: (values * factor.reshape(shape)).astype(np.float64), "bias": bias.astype(np.float64)}
        call = _with_settings(replace(call, weights=weights), use_bias=True)
        made = quantized_weights(call, (kernel,), separate=True)
        return with_quantized(call, made, quantizes(call.config, (kernel,)), inner)

    laid_out = channels_last(build)
    return lambda call: add_quantized_activation(call, laid_out(call))


# Activations, normalization, pooling


def _activation(call: LayerCall) -> Node:
    return add_quantized_activation(call, call.input)


_BATCH_DEFAULTS = {
    "gamma": "quantized_relu_po2(6, 2048)",
    "beta": "quantized_po2(5)",
    "mean": "quantized_po2(5)",
    "variance": "quantized_relu_po2(6, quadratic_approximation=True)",
}


def _batch_normalization(call: LayerCall) -> Node:
    """As Keras' layer, of quantized vectors. Its activation is never applied, as in QKeras."""
    weights = dict(call.weights)
    for part, default in _BATCH_DEFAULTS.items():
        name, key = part if part in ("gamma", "beta") else f"moving_{part}", f"{part}_quantizer"
        values = {key: default, **call.config.values}
        config = Config(call.config.layer, call.config.class_name, values, call.config.keras)
        quantizer = read_quantizer(config, key)
        if name in weights and quantizer is not None:
            trained = quantizer.trained() if part in ("gamma", "variance") else quantizer
            found, scale = quantized(call, name, trained, weights[name])
            weights[name] = np.asarray(found * scale)
    return normalization.batch_normalization(replace(call, weights=weights))


def _divisor(call: LayerCall, count: int) -> FloatArray | None:
    """The quantized factor that a mean of `count` elements multiplies their sum by, None for the mean itself."""
    quantizer = read_quantizer(call.config, "average_quantizer")
    if quantizer is None:
        return None
    one = np.array([1.0 / count]).astype(np.float32).astype(np.float64)
    values, scale = quantized(call, "average_quantizer", quantizer, one)
    return np.asarray(values * scale).reshape(1)


def _average_pooling(call: LayerCall) -> Node:
    """Without padding the mean is one product with each element; else Keras' mean is multiplied back."""
    size = call.config.sizes("pool_size", 2, 2)
    factor = _divisor(call, math.prod(size))
    if factor is None:
        return pooling.PLAIN["AveragePooling2D"](call)
    channels = call.shape[-1]
    lengths = convolution.spatial_shape(call, 2)
    strides = call.config.sizes("strides", 2) if call.config.has("strides") else size
    padding = convolution.padding_of(call, lengths, size, strides)
    if any(map(any, padding)):
        mean = pooling.PLAIN["AveragePooling2D"](call)
        scale = exact_tensor(factor.reshape(1, 1, 1) * math.prod(size))
        return call.add(Affine(scale, exact_tensor(np.zeros((1, 1, 1)))), mean)
    weight = exact_tensor(np.broadcast_to(factor, (*size, 1, channels)))
    ones = (1,) * 2
    op = Conv(weight, strides=strides, padding=padding, dilation=ones, input_dilation=ones, groups=channels)
    return call.add(op)


def _global_average_pooling(call: LayerCall) -> Node:
    lengths = convolution.spatial_shape(call, 2)
    factor = _divisor(call, math.prod(lengths))
    if factor is None:
        return pooling.PLAIN["GlobalAveragePooling2D"](call)
    keepdims = call.config.flag("keepdims", False)
    total = call.add(Reduce("sum", (0, 1), math.prod(lengths), keepdims))
    shape = (1,) * len(total.shape)
    return call.add(Affine(exact_tensor(factor.reshape(shape)), exact_tensor(np.zeros(shape))), total)


def _activated(inner: Build) -> Build:
    laid_out = channels_last(inner)
    return lambda call: add_quantized_activation(call, laid_out(call))


_NAMES = (*(name for name in QUANTIZERS if name != "bernoulli"), *FUNCTIONS)
_NOTE = "QKeras: every quantizer but bernoulli; alpha a number, a list, auto or auto_po2"
_CONVOLUTIONS = ("Conv1D", "Conv2D", "DepthwiseConv2D", "SeparableConv1D", "SeparableConv2D", "Conv2DTranspose")
_FOLDED = {
    "QDenseBatchnorm": _folded(core.dense, "kernel"),
    "QConv2DBatchnorm": _folded(convolution.PLAIN["Conv2D"], "kernel"),
    "QDepthwiseConv2DBatchnorm": _folded(convolution.PLAIN["DepthwiseConv2D"], "depthwise_kernel"),
}

HANDLERS = {
    "QActivation": Handler(_activation, f"QKeras: {', '.join(_NAMES)}; every activation by name"),
    "QDense": Handler(_layer(core.dense, ("kernel",)), _NOTE, core.dense_weights),
    **{
        f"Q{name}": Handler(
            _layer(convolution.PLAIN[name], convolution.KERNELS[convolution.family_of(name)]),
            _NOTE,
            convolution.kernel_weights(*convolution.KERNELS[convolution.family_of(name)]),
        )
        for name in _CONVOLUTIONS
    },
    **{
        name: Handler(build, _NOTE, _folded_weights("depthwise_kernel" if "Depthwise" in name else "kernel"))
        for name, build in _FOLDED.items()
    },
    "QBatchNormalization": Handler(_batch_normalization, "QKeras: every quantizer", normalization.batch_weights),
    "QAveragePooling2D": Handler(_activated(_average_pooling), "QKeras: average_quantizer"),
    "QGlobalAveragePooling2D": Handler(_activated(_global_average_pooling), "QKeras: average_quantizer"),
}
