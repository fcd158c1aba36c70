"""QKeras: layers with quantized weights, and models about each quantizer of values and of kernels."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from conformance.quantized.qkeras_parts import narrowed, quantized_weight, quantizer, randomize, settled
from conformance.quantized.qkeras_quantizers import (
    GRIDS,
    Settings,
    Text,
    bias,
    common,
    kernel,
    power_decides,
)
from conformance.quantized.qkeras_recurrent import CELLS, bidirectional, recurrent
from conformance.quantized.script import (
    SINGLE,
    Grid,
    QuantizedScript,
    Redraw,
    chain,
    sum_grid,
    with_more,
)
from conformance.script import OMIT, Code, Value


def as_object(s: QuantizedScript, text: str) -> object:
    """A quantizer as its text, or as an object."""
    return Code(text) if "[" in text or s.chance(0.3) else text


# ---- layers


def linear(
    s: QuantizedScript, class_name: str, x: Value, kernels: Sequence[tuple[str, int]], **settings: object
) -> Value:
    """A layer of sums of products, one after the other; kernels: each with the number of products of a sum."""
    x = narrowed(s, x)
    name, y = s.called_layer(class_name, x, settings)
    randomize(s, name, powers=not power_decides(str(settings)))
    layer = s.scope[name]
    before, fine = Grid.of(s.samples[x.name]), True
    offset, fits = quantized_weight(layer, "bias") if settings.get("use_bias") is not False else (None, True)
    exact = fits
    for number, (weight, count) in enumerate(kernels):
        of, fine = quantized_weight(layer, weight)
        before = sum_grid(before, of, offset if number == len(kernels) - 1 else None, count)
        exact = exact and fine and before.fits
    text = str(settings.get("activation"))
    if "ulaw" in text or power_decides(text):
        raise Redraw("its activation is no grid")
    off = 0.0 if exact else 2 * (sum(count for _, count in kernels) + 8) * SINGLE * before.most
    if off and settings.get("activation") not in (None, OMIT):
        raise Redraw("its activation would read what is not exact")
    return settled(s, s.known(y, s.run_layer(name, x), off))


def weights(s: QuantizedScript, keys: Sequence[str], outputs: int = 0, name: str | None = None) -> Settings:
    """Quantizers of kernels and bias, and an activation."""
    found: Settings = {f"{key}_quantizer": as_object(s, kernel(s, name, outputs)) for key in keys}
    found["use_bias"] = s.chance(0.7)
    if found["use_bias"]:
        found["bias_quantizer"] = as_object(s, bias(s))
    if s.chance(0.4):
        text = s.one("relu", common(s), common(s))
        # A function by name is not read back, and of quantized_relu not every setting is saved.
        found["activation"] = text if "(" in text and "clip" not in text and "qnoise" not in text else "relu"
    return found


def dense(s: QuantizedScript, x: Value, name: str | None = None) -> Value:
    units = s.size(1, 5)
    return linear(s, "QDense", x, [("kernel", x.shape[-1])], units=units, **weights(s, ["kernel"], units, name))


def _window(s: QuantizedScript, x: Value) -> tuple[int, ...]:
    return tuple(s.size(1, min(3, n)) for n in x.shape[:-1])


def convolution(class_name: str) -> Callable[..., Value]:
    def build(s: QuantizedScript, x: Value, name: str | None = None) -> Value:
        window, filters = _window(s, x), s.size(1, 4)
        settings: Settings = {"filters": filters, "kernel_size": window, "padding": s.maybe("same")}
        if s.chance(0.4) and "Transpose" not in class_name:
            settings["strides"] = (s.size(1, 2),) * len(window)
        elif s.chance(0.2) and "Transpose" not in class_name:
            settings["dilation_rate"] = (2,) * len(window)
        outputs = 0 if "Transpose" in class_name else filters
        settings |= weights(s, ["kernel"], outputs, name)
        if class_name.endswith("Batchnorm"):
            settings = {k: v for k, v in settings.items() if k != "dilation_rate"}
            settings |= folded(s)
        return linear(s, class_name, x, [("kernel", math.prod(window) * x.shape[-1])], **settings)

    return build


def folded(s: QuantizedScript) -> Settings:
    """Of a layer that folds its BatchNormalization: it has a bias in any case."""
    return {"use_bias": True, "bias_quantizer": bias(s), "scale": s.chance(0.8), "center": True}


def depthwise(class_name: str) -> Callable[..., Value]:
    def build(s: QuantizedScript, x: Value, name: str | None = None) -> Value:
        window = _window(s, x)
        settings: Settings = {"kernel_size": window, "padding": s.maybe("same"), **weights(s, ["depthwise"], 0, name)}
        if class_name == "QDepthwiseConv2D":
            settings["depth_multiplier"] = s.maybe(s.size(1, 2))
        else:
            settings |= folded(s)
        return linear(s, class_name, x, [("depthwise_kernel", math.prod(window))], **settings)

    return build


def separable(class_name: str) -> Callable[..., Value]:
    def build(s: QuantizedScript, x: Value, name: str | None = None) -> Value:
        window = _window(s, x)
        settings: Settings = {"filters": s.size(1, 3), "kernel_size": window, "padding": s.maybe("same"),
                              **weights(s, ["depthwise", "pointwise"], 0, name)}  # fmt: skip
        products = [("depthwise_kernel", math.prod(window)), ("pointwise_kernel", x.shape[-1])]
        return linear(s, class_name, x, products, **settings)

    return build


def pooled(class_name: str) -> Callable[..., Value]:
    """Pooling with a quantized factor."""

    def build(s: QuantizedScript, x: Value) -> Value:
        x = narrowed(s, x)
        settings: Settings = {"average_quantizer": s.one(
            f"quantized_bits({s.size(4, 8)},0,1,alpha=1)", f"quantized_bits({s.size(4, 8)},0,0,alpha=1)",
            "quantized_po2(4)")}  # fmt: skip
        size = (x.shape[0], x.shape[1])
        if class_name == "QAveragePooling2D":
            size = (s.size(1, min(2, x.shape[0])), s.size(1, min(4, x.shape[1])))
            settings |= {"pool_size": size, "padding": s.maybe("same"), "strides": s.maybe((1, 2), 0.3)}
        name, y = s.called_layer(class_name, x, settings)
        found, before = s.run_layer(name, x), Grid.of(s.samples[x.name])
        counted = math.prod(size)
        total = Grid(before.fraction + 9, counted * before.most)
        exact = counted in (1, 2, 4, 8, 16) and settings.get("padding") is OMIT and total.fits
        return settled(s, s.known(y, found, 0.0 if exact else 8 * SINGLE * max(total.most, 1.0)))

    return build


def normalized(class_name: str) -> Callable[..., Value]:
    """A normalization: its factor is no multiple of a power of two, so that a quantizer has to follow."""

    def build(s: QuantizedScript, x: Value) -> Value:
        x = narrowed(s, x)
        settings: Settings = {"epsilon": s.maybe(s.one(1e-2, 1e-5)), "center": s.maybe(False, 0.2),
                              "scale": s.maybe(False, 0.2)}  # fmt: skip
        if class_name == "QBatchNormalization" and s.chance(0.5):
            settings |= {f"{part}_quantizer": s.one("quantized_bits(6,1,1,alpha=1)", "quantized_po2(4)")
                         for part in ("beta", "mean")}  # fmt: skip
            settings["gamma_quantizer"] = s.one("quantized_relu_po2(4,2)", "quantized_bits(6,1,1,alpha=1)")
        name, y = s.called_layer(class_name, x, settings)
        randomize(s, name)
        found = s.run_layer(name, x)
        most = max(np.abs(found).max(), np.abs(s.samples[x.name]).max() * 4, 4.0)
        return settled(s, s.known(y, found, 64 * SINGLE * float(most)))

    return build


def table(s: QuantizedScript, x: Value) -> Value:
    """A real function of Keras and the quantizer that reads it."""
    x = narrowed(s, x)
    name, y = s.called_layer(
        "layers.Activation", x, {"activation": s.one("tanh", "sigmoid", "softplus", "elu", "selu")}
    )
    return settled(s, s.known(y, s.run_layer(name, x), 16 * SINGLE * 4))


def plain_relu(s: QuantizedScript, x: Value) -> Value:
    return s.plain("layers.ReLU", settled(s, x))


def moved(s: QuantizedScript, x: Value) -> Value:
    """Pooling, padding and the like: no quantizers of their own."""
    if x.rank == 1:
        return s.plain("layers.Reshape", x, target_shape=(x.shape[0], 1))
    if x.rank == 2:
        return s.one(
            lambda: s.plain("layers.MaxPooling1D", x, pool_size=min(2, x.shape[0])),
            lambda: s.plain("layers.ZeroPadding1D", x, padding=1),
            lambda: s.plain("layers.Flatten", x),
        )()
    return s.one(
        lambda: s.plain("layers.MaxPooling2D", x, pool_size=(min(2, x.shape[0]), min(2, x.shape[1]))),
        lambda: s.plain("layers.UpSampling2D", x, size=2) if math.prod(x.shape) < 40 else s.plain("layers.Flatten", x),
        lambda: s.plain("layers.Flatten", x),
    )()


def branched(s: QuantizedScript, x: Value) -> Value:
    """Two branches that meet: a sum, a product, or side by side."""
    x = narrowed(s, x)
    a, b = quantizer(s, x), quantizer(s, x)
    a, b = narrowed(s, a), narrowed(s, b)
    class_name = s.one("Add", "Subtract", "Multiply", "Concatenate", "Maximum", "Minimum")
    return s.plain(f"layers.{class_name}", [a, b])


def choices(x: Value) -> Sequence[Callable[..., Value]]:
    """Layers for a value of some rank, besides quantizers."""
    by_rank: dict[int, Sequence[Callable[..., Value]]] = {
        1: (dense,),
        2: (dense, convolution("QConv1D"), moved),
        3: (convolution("QConv2D"), depthwise("QDepthwiseConv2D"), moved),
    }
    return (quantizer, quantizer, branched, table, plain_relu, normalized("BatchNormalization"),
            *by_rank.get(x.rank, ()), *by_rank.get(x.rank, ()))  # fmt: skip


RANKS = {"1D": 2, "2D": 3}


def source(s: QuantizedScript, rank: int) -> Value:
    """An input, perhaps quantized first."""
    shape = {1: (s.size(2, 6),), 2: (s.size(3, 5), s.size(1, 3)), 3: (s.size(3, 4), s.size(2, 4), s.size(1, 3))}[rank]
    x = s.grid_input(shape)
    return (
        quantizer(s, x, s.one("quantized_bits(6,2,0,alpha=1)", "quantized_relu(4,1)", common(s)))
        if s.chance(0.6)
        else x
    )


def case(build: Callable[..., Value], rank: int | None = None) -> Callable[[QuantizedScript], list[Value]]:
    """A model about one layer: something before it and something after."""

    def model(s: QuantizedScript) -> list[Value]:
        wanted = rank or s.size(1, 3)
        x = chain(s, source(s, wanted), s.size(0, 2), choices)
        if x.rank != wanted:
            x = source(s, wanted)
        before = set(s.scope)
        y = build(s, x)
        s.subject = [name for name in s.scope if name not in before and name.startswith("l")]
        y = chain(s, y, s.size(0, 2), choices)
        return with_more(s, settled(s, y))

    return model


def of_values(text: Text) -> Callable[[QuantizedScript], list[Value]]:
    return case(lambda s, x: quantizer(s, settled(s, x), text(s)))


def of_kernels(name: str) -> Callable[[QuantizedScript], list[Value]]:
    """A quantizer of the kernel of any layer that has one."""

    def build(s: QuantizedScript, x: Value) -> Value:
        layers = {1: [dense], 2: [dense, convolution("QConv1D"), separable("QSeparableConv1D")],
                  3: [convolution("QConv2D"), depthwise("QDepthwiseConv2D"),
                      separable("QSeparableConv2D")]}  # fmt: skip
        return s.rng.choice(layers[x.rank])(s, x, name)

    return case(build)


QKERAS_CASES = {
    "QDense": case(dense),
    "QConv1D": case(convolution("QConv1D"), 2),
    "QConv2D": case(convolution("QConv2D"), 3),
    "QConv2DTranspose": case(convolution("QConv2DTranspose"), 3),
    "QDepthwiseConv2D": case(depthwise("QDepthwiseConv2D"), 3),
    "QSeparableConv1D": case(separable("QSeparableConv1D"), 2),
    "QSeparableConv2D": case(separable("QSeparableConv2D"), 3),
    "QConv2DBatchnorm": case(convolution("QConv2DBatchnorm"), 3),
    "QDepthwiseConv2DBatchnorm": case(depthwise("QDepthwiseConv2DBatchnorm"), 3),
    "QBatchNormalization": case(normalized("QBatchNormalization")),
    "QAveragePooling2D": case(pooled("QAveragePooling2D"), 3),
    "QGlobalAveragePooling2D": case(pooled("QGlobalAveragePooling2D"), 3),
    "QActivation": case(quantizer),
    **{name: case(recurrent(name), 2) for name in CELLS},
    "QBidirectional": case(bidirectional, 2),
    **{f"quantizer {name}": of_values(text) for name, text in GRIDS.items()},
    **{f"kernel {name}": of_kernels(name) for name in
       ("quantized_bits", "quantized_po2", "quantized_relu_po2", "quantized_relu", "quantized_tanh",
        "quantized_sigmoid")},
}  # fmt: skip
