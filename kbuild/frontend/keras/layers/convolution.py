"""Convolutions: plain, in groups, depthwise, separable, transposed; over one, two or three spatial axes."""

from __future__ import annotations

import math
import re
from collections.abc import Callable

import numpy as np

from kbuild.fixed import FloatArray
from kbuild.frontend.keras.config import Config
from kbuild.frontend.keras.handler import Handler, LayerCall
from kbuild.frontend.keras.layers.activation import add_activation
from kbuild.frontend.keras.layout import Build, channels_last
from kbuild.frontend.keras.safety import MAX_ELEMENTS
from kbuild.ir import Node, Tensor
from kbuild.ops.conv import Conv
from kbuild.ops.windows import Pairs

Sizes = tuple[int, ...]


def spatial_shape(call: LayerCall, rank: int) -> Sizes:
    """Sizes of the spatial axes of a channels-last input, of which the layer needs `rank`."""
    if len(call.shape) != rank + 1:
        raise call.error(f"has an input of shape {call.shape}; it needs {rank + 1} axes beside the batch")
    return call.shape[:-1]


def same_padding(length: int, size: int, stride: int) -> tuple[int, int]:
    """Zeros before and after for ceil(length / stride) windows of `size`; an odd one is after (Keras, TensorFlow)."""
    total = max((-(-length // stride) - 1) * stride + size - length, 0)
    return total // 2, total - total // 2


def padding_of(call: LayerCall, lengths: Sizes, sizes: Sizes, strides: Sizes) -> Pairs:
    """Zeros around the input for `padding` valid, same or causal and windows of these sizes (dilation included)."""
    padding = call.config.text("padding", "valid").lower()
    if padding == "same":
        found = tuple(same_padding(*axis) for axis in zip(lengths, sizes, strides, strict=True))
    elif padding == "causal" and len(lengths) == 1:
        found = ((sizes[0] - 1, 0),)
    elif padding == "valid":
        found = ((0, 0),) * len(lengths)
    else:
        raise call.error(f"padding is {padding[:20]!r}; write valid or same, or causal for one spatial axis")
    check_size(call, lengths, found)
    return found


def check_size(call: LayerCall, lengths: Sizes, padding: Pairs) -> None:
    """Refuse an input that, with its padding, no memory would hold."""
    size = math.prod(n + low + high for n, (low, high) in zip(lengths, padding, strict=True)) * call.shape[-1]
    if size > MAX_ELEMENTS:
        raise call.error(f"its input has {size} values with its padding; kbuild takes up to {MAX_ELEMENTS}")


def _bias(call: LayerCall, outputs: int) -> Tensor | None:
    return call.constant(call.weight("bias", (outputs,))) if call.config.flag("use_bias", True) else None


def _extent(kernel: Sizes, dilation: Sizes) -> Sizes:
    return tuple((n - 1) * d + 1 for n, d in zip(kernel, dilation, strict=True))


def _add_conv(call: LayerCall, kernel: Sizes, weight: FloatArray, bias: Tensor | None, groups: int) -> Node:
    """The convolution with the layer's strides, padding and dilation."""
    rank = len(kernel)
    strides, dilation = call.config.sizes("strides", rank, 1), call.config.sizes("dilation_rate", rank, 1)
    padding = padding_of(call, spatial_shape(call, rank), _extent(kernel, dilation), strides)
    return call.add(
        Conv(
            call.constant(weight),
            bias,
            strides=strides,
            padding=padding,
            dilation=dilation,
            input_dilation=(1,) * rank,
            groups=groups,
        )
    )


def _conv(rank: int) -> Build:
    """kernel [*size, Cin / groups, filters]."""

    def build(call: LayerCall) -> Node:
        spatial_shape(call, rank)
        filters, groups = call.config.integer("filters"), call.config.integer("groups", 1)
        if groups < 1 or call.shape[-1] % groups or filters % groups:
            raise call.error(
                f"groups is {groups}, which does not divide {call.shape[-1]} channels and {filters} filters"
            )
        kernel = call.config.sizes("kernel_size", rank)
        weight = call.weight("kernel", (*kernel, call.shape[-1] // groups, filters))
        return _add_conv(call, kernel, weight, _bias(call, filters), groups)

    return build


def _depthwise_kernel(call: LayerCall, kernel: Sizes) -> FloatArray:
    """[*size, Cin, multiplier] as [*size, 1, Cin * multiplier]: the outputs of a channel are neighbours."""
    channels, multiplier = call.shape[-1], call.config.integer("depth_multiplier", 1)
    weight = call.weight("depthwise_kernel", (*kernel, channels, multiplier))
    return weight.reshape(*kernel, 1, channels * multiplier)


def _depthwise(rank: int) -> Build:
    def build(call: LayerCall) -> Node:
        spatial_shape(call, rank)
        kernel = call.config.sizes("kernel_size", rank)
        weight = _depthwise_kernel(call, kernel)
        return _add_conv(call, kernel, weight, _bias(call, weight.shape[-1]), call.shape[-1])

    return build


def _separable(rank: int) -> Build:
    """A depthwise convolution without bias, a layer of its own called `<name>_depthwise`, then one of size 1."""

    def build(call: LayerCall) -> Node:
        spatial_shape(call, rank)
        kernel, filters = call.config.sizes("kernel_size", rank), call.config.integer("filters")
        first = _depthwise_kernel(call, kernel)
        between = _add_conv(call.part("depthwise", f"DepthwiseConv{rank}D"), kernel, first, None, call.shape[-1])
        ones = (1,) * rank
        weight = call.weight("pointwise_kernel", (*ones, first.shape[-1], filters))
        pointwise = Conv(
            call.constant(weight),
            _bias(call, filters),
            strides=ones,
            padding=((0, 0),) * rank,
            dilation=ones,
            input_dilation=ones,
        )
        return call.add(pointwise, between)

    return build


def _transposed(rank: int) -> Build:
    """kernel [*size, filters, Cin], mirrored; strides become zeros between the inputs."""

    def build(call: LayerCall) -> Node:
        config, lengths = call.config, spatial_shape(call, rank)
        filters, kernel = config.integer("filters"), config.sizes("kernel_size", rank)
        if config.integer("groups", 1) != 1:
            raise call.error("has groups; a transposed convolution has one")
        strides, dilation = config.sizes("strides", rank, 1), config.sizes("dilation_rate", rank, 1)
        weight = call.weight("kernel", (*kernel, filters, call.shape[-1]))
        mirrored = np.flip(weight, tuple(range(rank))).swapaxes(-1, -2)
        padding = _transposed_padding(call, _extent(kernel, dilation), strides)
        check_size(call, tuple((n - 1) * s + 1 for n, s in zip(lengths, strides, strict=True)), padding)
        return call.add(
            Conv(
                call.constant(mirrored),
                _bias(call, filters),
                strides=(1,) * rank,
                padding=padding,
                dilation=dilation,
                input_dilation=strides,
            )
        )

    return build


def _transposed_padding(call: LayerCall, sizes: Sizes, strides: Sizes) -> Pairs:
    """Zeros around the spread input, so that the convolution is the transpose of one with the layer's padding.

    The output has L * stride elements with `same`, (L - 1) * stride + max(size, stride) with `valid`; with an
    `output_padding`, (L - 1) * stride + size % 2 + it, or (L - 1) * stride + size + it.
    """
    rank, padding = len(sizes), call.config.text("padding", "valid").lower()
    if padding not in ("valid", "same"):
        raise call.error(f"padding is {padding[:20]!r}; a transposed convolution has valid or same")
    extra: list[int | None] = [None] * rank
    if call.config.has("output_padding"):
        value = call.config.raw("output_padding")
        numbers = [value] * rank if isinstance(value, int) else list(call.config.integers("output_padding"))
        if len(numbers) != rank or not all(
            isinstance(n, int) and 0 <= n < s for n, s in zip(numbers, strides, strict=False)
        ):
            raise call.error("output_padding is not a number from 0 to strides - 1 for each spatial axis")
        extra = list(numbers)
    return tuple(_transposed_pair(*axis, padding == "same") for axis in zip(sizes, strides, extra, strict=True))


def _transposed_pair(size: int, stride: int, extra: int | None, same: bool) -> tuple[int, int]:
    if not same:
        return size - 1, size - 1 + (max(stride - size, 0) if extra is None else extra)
    total = stride + size - 2 if extra is None else size + size % 2 - 2 + extra
    low = min(total - total // 2, size - 1)
    return low, total - low


# What makes a layer of a kind over so many spatial axes of a channels-last value
KINDS: dict[str, Callable[[int], Build]] = {
    "Conv": _conv,
    "DepthwiseConv": _depthwise,
    "SeparableConv": _separable,
    "ConvTranspose": _transposed,
}


def _activated(build: Build) -> Build:
    """The layer and then its activation, which sees the layout that the model has."""
    inner = channels_last(build)
    return lambda call: add_activation(call, inner(call))


def kernel_weights(*kernels: str) -> Callable[[Config], tuple[str, ...]]:
    return lambda config: (*kernels, "bias") if config.flag("use_bias", True) else kernels


_NOTES = {
    "Conv": "strides, padding, dilation, groups, either data_format",
    "DepthwiseConv": "depth_multiplier, strides, padding, dilation, either data_format",
    "SeparableConv": "depth_multiplier, strides, padding, dilation, either data_format; two layers",
    "ConvTranspose": "strides, padding, output_padding, dilation, either data_format",
}

# Without the activation, on channels-last values.
PLAIN: dict[str, Build] = {
    **{f"Conv{n}D": _conv(n) for n in (1, 2, 3)},
    **{f"DepthwiseConv{n}D": _depthwise(n) for n in (1, 2)},
    **{f"SeparableConv{n}D": _separable(n) for n in (1, 2)},
    **{f"Conv{n}DTranspose": _transposed(n) for n in (1, 2, 3)},
}
KERNELS: dict[str, tuple[str, ...]] = {
    "Conv": ("kernel",),
    "DepthwiseConv": ("depthwise_kernel",),
    "SeparableConv": ("depthwise_kernel", "pointwise_kernel"),
    "ConvTranspose": ("kernel",),
}


def family_of(name: str) -> str:
    """The class of a convolution without the number of its axes."""
    return re.sub("[123]D", "", name)


HANDLERS = {
    name: Handler(_activated(build), _NOTES[family_of(name)], kernel_weights(*KERNELS[family_of(name)]))
    for name, build in PLAIN.items()
}
# Keras' other names of the same classes
HANDLERS |= {name.replace("Conv", "Convolution"): HANDLERS[name] for name in ("Conv1D", "Conv2D", "Conv3D")}
HANDLERS |= {f"Convolution{n}DTranspose": HANDLERS[f"Conv{n}DTranspose"] for n in (1, 2, 3)}
HANDLERS |= {f"SeparableConvolution{n}D": HANDLERS[f"SeparableConv{n}D"] for n in (1, 2)}
