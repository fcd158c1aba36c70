"""HGQ's own layers, as they are trained: kernels, biases and results rounded to fraction bits of their own.

A layer computes what HGQ predicts with it, so that nothing wraps. What its normalizing layers do not save (epsilon,
center, scale) is Keras' default in a file, which is what HGQ reads back; of a live model it is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from kbuild.dataclass import replace
from kbuild.fixed import FloatArray, IntArray
from kbuild.frontend.keras.config import Config
from kbuild.frontend.keras.handler import Handler, LayerCall, fitting
from kbuild.frontend.keras.layers import convolution, core, merge, pooling, reshaping
from kbuild.frontend.keras.layers.activation import add_activation
from kbuild.frontend.keras.layout import Build, channels_last
from kbuild.frontend.keras.quantizers.exact import exact_tensor
from kbuild.frontend.keras.quantizers.hgq import Rounding, is_automatic, read
from kbuild.frontend.keras.quantizers.types import quantize_by_arrays
from kbuild.frontend.keras.safety import quoted
from kbuild.ir import Node
from kbuild.ops.affine import Affine

_EPSILON = 1e-3
_UNUSED = "Variable"  # what HGQ calls the variable in place of those that center or scale would have


# Variables, in the order of the file


def _trainable(config: Config, key: str) -> bool:
    conf = config.raw(key)
    own = conf.get("trainable", True) if isinstance(conf, Mapping) else True
    return bool(own) and config.raw("trainable") is not False


def _variables(config: Config, own: tuple[str, ...], kernel: bool, norm: bool = False) -> tuple[str, ...]:
    """Those that are trained come first; widths are among them unless the layer or their quantizer is frozen."""
    widths = [("kernel_bw", "kq_conf")] * kernel + [("activation_bw", "paq_conf")]
    trained = tuple(name for name, key in widths if _trainable(config, key))
    frozen = tuple(name for name, _ in widths if name not in trained)
    vectors: tuple[str, ...] = ()
    moving: tuple[str, ...] = ()
    if norm:
        centred, scaled = _is_centred(config), config.flag("scale", True)
        vectors = (*(("bn_beta",) * centred), *(("bn_gamma",) * scaled))
        moving = ("moving_mean" if centred else _UNUSED, "moving_variance" if scaled else _UNUSED)
    counter = ("step_counter",) if config.class_name == "HBatchNormalization" else ()
    return (*own, *trained, *vectors, "beta", *counter, *frozen, "bops", *moving)


def _is_centred(config: Config) -> bool:
    return config.flag("center", True) and config.flag("use_bias", True)


def _kernel_variables(norm: bool) -> Callable[[Config], tuple[str, ...]]:
    return lambda config: _variables(config, core.dense_weights(config), kernel=True, norm=norm)


# Layers with a kernel


def _result_rounding(call: LayerCall, bias: FloatArray | None) -> Rounding:
    """The quantizer of the result. An automatic one rounds to nearest where a bias could take the half, else down."""
    made = read(call, "paq_conf", "activation_bw")
    shape = made.fraction.shape
    if len(shape) < 2 or shape[0] != 1:
        raise call.error(f"activation_bw has the shape {shape}, which has no batch axis")
    made = replace(made, fraction=made.fraction.reshape(shape[1:]))
    if not is_automatic(call, "paq_conf"):
        return made
    last = call.config.raw("data_format") != "channels_first"
    of_channels = bias is not None and last and (made.fraction.size, *bias.shape) == (shape[-1], shape[-1])
    return replace(made, nearest=of_channels or (bias is not None and made.fraction.size == 1))


def _bias_fractions(call: LayerCall, fraction: IntArray, bias: FloatArray) -> IntArray:
    """The finest of each channel; of channels_first, too, HGQ takes the last axis for that of the channels."""
    finest = fraction.reshape(-1, fraction.shape[-1]).max(axis=0)
    if finest.shape not in ((1,), bias.shape):
        raise call.error(f"activation_bw has {fraction.shape[-1]} widths in the last axis for {bias.size} biases")
    return finest


def _kernel_layer(inner: Build, norm: bool) -> Build:
    """`inner` on the quantized kernel and bias, then the quantizer of the result, then the activation."""

    def build(call: LayerCall) -> Node:
        kernel, bias = call.weights["kernel"], call.weights.get("bias")
        if norm:
            kernel, bias = _folded(call, kernel, bias)
        of_kernel, of_result = read(call, "kq_conf", "kernel_bw"), _result_rounding(call, bias)
        weights = {"kernel": of_kernel.of(kernel)}
        if bias is not None:
            weights["bias"] = of_result.of(bias, _bias_fractions(call, of_result.fraction, bias))
        node = inner(replace(call, weights=weights, exact=True))
        return add_activation(call, of_result.add(call, node))

    return fitting(build)


def _factor(call: LayerCall) -> FloatArray:
    """gamma / sqrt(variance + epsilon), in float32 as in HGQ; where there is no scale, both are 1."""
    config, one = call.config, np.ones(1)
    scaled = config.flag("scale", True)
    gamma, variance = (call.weights[name] if scaled else one for name in ("bn_gamma", "moving_variance"))
    with np.errstate(divide="ignore", invalid="ignore"):
        root = np.sqrt(variance.astype(np.float32) + np.float32(config.number("epsilon", _EPSILON)))
        factor = gamma.astype(np.float32) * (np.float32(1) / root)
    if not np.isfinite(factor).all():
        raise call.error("moving_variance + epsilon is not positive everywhere; train the model again")
    return factor


def _folded(call: LayerCall, kernel: FloatArray, bias: FloatArray | None) -> tuple[FloatArray, FloatArray | None]:
    """The kernel and the bias with the normalization in them."""
    factor = _factor(call)
    made = (kernel.astype(np.float32) * factor).astype(np.float64) if call.config.flag("scale", True) else kernel
    if bias is None or not _is_centred(call.config):
        return made, bias
    mean, beta = (call.weights[name].astype(np.float32) for name in ("moving_mean", "bn_beta"))
    return made, (bias.astype(np.float32) - mean * factor + beta).astype(np.float64)


def _batch_normalization(call: LayerCall) -> Node:
    """kq(factor) * x + paq(beta - mean / factor), and that rounded by paq: HGQ divides, where Keras multiplies."""
    config = call.config
    of_kernel, of_result = read(call, "kq_conf", "kernel_bw"), _result_rounding(call, None)
    factor, zero = _factor(call), np.zeros(1)
    centred = config.flag("center", True)
    mean, beta = (call.weights[name] if centred else zero for name in ("moving_mean", "bn_beta"))
    with np.errstate(divide="ignore", invalid="ignore"):
        offset = beta.astype(np.float32) - mean.astype(np.float32) / factor
    if not np.isfinite(offset).all():
        raise call.error("bn_gamma is 0 somewhere, by which HGQ divides; train the model again")
    # all have the batch axis, of one element
    scale = of_kernel.of(factor.astype(np.float64))
    shift = of_result.of(offset.astype(np.float64), of_result.fraction[np.newaxis])
    tensors = [exact_tensor(values.reshape(values.shape[-len(call.shape):])) for values in (scale, shift)]
    return of_result.add(call, call.add(Affine(*tensors), call.input))


# Layers without a kernel


def _after(inner: Build) -> Build:
    """What `inner` makes, rounded."""
    return fitting(lambda call: _result_rounding(call, None).add(call, inner(call)))


def _quantize(call: LayerCall) -> Node:
    return _result_rounding(call, None).add(call, call.input)


def _signature(call: LayerCall) -> Node:
    """The type that inputs have, as in HGQ's proxy model. The layer itself lets everything pass."""
    arrays = []
    for name in ("keep_negative", "bits", "int_bits"):
        try:
            values = np.asarray(call.config.raw(name), dtype=np.float64)
        except (TypeError, ValueError):
            values = np.asarray(np.nan)
        if not (np.abs(values) <= 127).all() or (values != np.floor(values)).any():
            raise call.error(f"{name} is {quoted(call.config.raw(name))[1:-1]}, which are no numbers of bits")
        shape = values.shape[1:] if values.ndim > len(call.shape) else values.shape
        arrays.append(values.reshape(shape).astype(np.int64))
    signed, bits, integers = np.broadcast_arrays(*arrays)
    return call.add(quantize_by_arrays(call, signed, bits, integers, ("TRN", "WRAP")), call.input)


_NOTE = "HGQ in training: as it predicts, so that nothing wraps; a type for each weight and element"
_BUILDS: dict[str, Build] = {
    "Dense": core.dense,
    **{f"Conv{n}D": channels_last(convolution.PLAIN[f"Conv{n}D"]) for n in (1, 2)},
}
_PASSIVE = {
    **{name: core.HANDLERS[name] for name in ("Reshape", "Flatten", "Dropout")},
    "Permute": reshaping.HANDLERS["Permute"],
    "Concatenate": merge.HANDLERS["Concatenate"],
    **{f"{kind}Pooling{n}D": pooling.HANDLERS[f"{kind}Pooling{n}D"] for kind in ("Max", "Average") for n in (1, 2)},
}


def _result_variables(config: Config) -> tuple[str, ...]:
    return _variables(config, (), kernel=False)


HANDLERS = {
    **{
        f"H{name}{'BatchNorm' if norm else ''}": Handler(_kernel_layer(build, norm), _NOTE, _kernel_variables(norm))
        for name, build in _BUILDS.items()
        for norm in (False, True)
    },
    "HBatchNormalization": Handler(
        fitting(_batch_normalization), _NOTE, lambda config: _variables(config, (), kernel=True, norm=True)
    ),
    "HQuantize": Handler(fitting(_quantize), _NOTE, _result_variables),
    "HActivation": Handler(_after(lambda call: add_activation(call, call.input)), _NOTE, _result_variables),
    "HAdd": Handler(_after(merge.HANDLERS["Add"].build), _NOTE, _result_variables),
    "Signature": Handler(_signature, "HGQ: a type for each element"),
    **{f"P{name}": Handler(handler.build, f"HGQ: {handler.note}") for name, handler in _PASSIVE.items()},
}
