"""HGQ2: layers that quantize their inputs, weights and outputs, each element by its own type.

A layer is an entry of `LAYERS`: it draws its settings, and says of what it computes how wide float32 has to be.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from conformance.quantized.hgq2_attention import attention
from conformance.quantized.hgq2_parts import (
    FUNCTIONS,
    KINDS,
    OVERFLOWS,
    ROUNDINGS,
    Settings,
    array,
    config,
    exact,
    made,
    quantizer,
    quantizers,
    read,
    step,
    weights_of,
)
from conformance.quantized.hgq2_recurrent import recurrent
from conformance.quantized.script import Grid, QuantizedScript, Redraw, chain, sum_grid, with_more
from conformance.script import OMIT, Code, Value


def contraction(class_name: str) -> Callable[..., Value]:
    """A layer of a kernel and a bias."""

    def build(s: QuantizedScript, x: Value, **given: object) -> Value:
        units = s.size(1, 4)
        settings: Settings = {**quantizers(s, "iq", "kq", "bq"), "activation": s.maybe("relu", 0.4)}
        if class_name.startswith("QEinsumDense"):
            equation, shape, bias_axes = _equation(s, x, units)
            settings |= {"equation": equation, "output_shape": shape, "bias_axes": bias_axes}
        elif class_name in ("QDense", "QBatchNormDense"):
            settings["units"] = units
        else:
            settings |= {"filters": units, "kernel_size": tuple(s.size(1, min(3, n)) for n in x.shape[:-1]),
                         "padding": s.maybe("same"), "strides": s.maybe(2, 0.2)}  # fmt: skip
        if class_name == "QEinsumDenseBatchnorm":
            settings["bias_axes"] = "e" if bias_axes is OMIT else bias_axes
        elif class_name == "QBatchNormDense":
            settings["scale"] = s.maybe(False, 0.2)
        elif class_name != "QEinsumDense":
            settings["use_bias"] = s.maybe(False, 0.3)
        settings = {**settings, **{key: value for key, value in given.items() if value is not OMIT}}
        layer, y = made(s, class_name, x, settings)
        kernel, bias = array(layer.qkernel), layer.qbias
        count = kernel.size // (kernel.shape[-1] if not class_name.startswith("QEinsum") else 1)
        offset = None if bias is None else Grid.of(array(bias))
        return exact(s, layer, y, x, sum_grid(Grid.of(read(layer, s.of(x))), Grid.of(kernel), offset, count))

    return build


def _equation(s: QuantizedScript, x: Value, units: int) -> tuple[str, object, object]:
    letters = "bcd"[: x.rank]
    more = s.chance(0.3)
    out = f"a{letters[:-1]}{'fe' if more else 'e'}"
    shape = (*x.shape[:-1], *((2,) if more else ()), units)
    equation = f"a{letters},{letters[-1]}{'fe' if more else 'e'}->{out}"
    return equation, shape, s.one(OMIT, "e", *(["fe"] if more else []))


def normalized(s: QuantizedScript, x: Value) -> Value:
    settings: Settings = {**quantizers(s, "iq", "kq", "bq"), "axis": s.one(-1, 1), "scale": s.maybe(False, 0.2),
                          "center": s.maybe(False, 0.2)}  # fmt: skip
    layer, y = made(s, "QBatchNormalization", x, settings)
    scale, offset = layer.qscaler_and_qoffset
    widths = sum_grid(Grid.of(read(layer, s.of(x))), Grid.of(array(scale)), Grid.of(array(offset)), 1)
    return exact(s, layer, y, x, widths)


def function(s: QuantizedScript, x: Value) -> Value:
    """A table; where the input is 0, and of a relu, float32 rounds nothing."""
    name = s.one("relu", *FUNCTIONS)
    settings: Settings = {"activation": name, "iq_conf": config(s, "datalane"), "oq_conf": config(s, "table"),
                          "allow_heterogeneous_table": s.maybe(False)}  # fmt: skip
    layer, y = made(s, "QUnaryFunctionLUT", x, settings)
    inner = read(layer, s.of(x))
    if name != "relu":
        values = array(layer.activation(inner))
        step(s, layer.oq, values, (inner == 0) & (name != "softplus"))
    return exact(s, layer, y, x, Grid(0, 1.0))


def affined(s: QuantizedScript, x: Value) -> Value:
    """A table of `activation(scale * x + bias)`."""
    settings: Settings = {"activation": s.one("relu", *FUNCTIONS), "iq_conf": config(s, "datalane"),
                          "oq_conf": config(s, "table"), "allow_heterogeneous_table": s.maybe(False)}  # fmt: skip
    layer, y = made(s, "QAffinedUnaryFunctionLUT", x, settings)
    before = read(layer, s.of(x)) * array(layer.scale) + array(layer.bias)
    step(s, layer.oq, array(layer.activation(before)), np.zeros(before.shape, bool))
    return exact(s, layer, y, x, Grid(0, 1.0))


def softmax(s: QuantizedScript, x: Value) -> Value:
    settings: Settings = {
        "axis": s.one(-1, OMIT), "iq_conf": config(s, "datalane"), "enable_iq": True, "stable": s.maybe(False, 0.2),
        "exp_iq_conf": config(s, "datalane"), "exp_oq_conf": config(s, "table"), "inv_iq_conf": config(s, "datalane"),
        "inv_oq_conf": config(s, "table"), "input_scaler": s.maybe(s.one(0.5, 2.0)),
    }  # fmt: skip
    layer, y = made(s, "QSoftmax", x, settings)
    return exact(s, layer, y, x, weights_of(s, layer, read(layer, s.of(x))))


def summed(class_name: str) -> Callable[..., Value]:
    def build(s: QuantizedScript, x: Value) -> Value:
        axes = s.one(-1, 1, *([(1, 2)] if x.rank > 2 else []))
        settings: Settings = {**quantizers(s, "iq"), "axes": axes, "keepdims": s.chance(0.5) or x.rank == 1}
        if class_name == "QSum":
            settings["scale"] = s.maybe(s.one(0.5, 4.0))
        layer, y = made(s, class_name, x, settings)
        widths = Grid.of(read(layer, s.of(x)))
        return exact(s, layer, y, x, Grid(widths.fraction, widths.most * math.prod(x.shape)))

    return build


def einsum(s: QuantizedScript, x: Value) -> Value:
    """A sum of products of up to three values, each with its own axes in any order."""
    sizes = dict(zip("bcd", x.shape, strict=False)) | {"e": s.size(1, 3)}
    values, words = [x], ["".join(list(sizes)[: x.rank])]
    for _ in range(s.one(0, 1, 1, 1, 2)):
        same = s.chance(0.3)
        word = words[0] if same else "".join(s.rng.sample(list(sizes), s.size(1, min(3, len(sizes)))))
        values.append(x if same and s.chance(0.3) else s.grid_input([sizes[letter] for letter in word]))
        words.append(word)
    used = sorted({*"".join(words)})
    output = s.rng.sample(used, s.size(1, min(3, len(used))))
    batch = s.one("a", "a", "...")
    equation = f"{','.join(batch + word for word in words)}->{batch}{''.join(output)}"
    settings: Settings = {"equation": equation, **quantizers(s)}
    settings["iq_confs"] = Code(f"[{', '.join(config(s, 'datalane').text for _ in values)}]")
    layer, y = made(s, "QEinsum", values, settings)
    total = Grid(0, float(math.prod(sizes[letter] for letter in used if letter not in output)))
    for part in layer.iq([s.samples[value.name] for value in values]):
        total = sum_grid(total, _at_least_one(Grid.of(array(part))), None, 1)
    return exact(s, layer, y, values, total)


def _at_least_one(grid: Grid) -> Grid:
    """Widths of which no product is narrower than its other factor."""
    return Grid(max(grid.fraction, 0), max(grid.most, 1.0))


def pooled(class_name: str) -> Callable[..., Value]:
    """Pooling; averages of 2 and 4, which are exact."""

    def build(s: QuantizedScript, x: Value) -> Value:
        average = "Average" in class_name
        settings: Settings = quantizers(s, "iq")
        if "Global" not in class_name:
            sizes = tuple(min(s.size(1, 2), n) for n in x.shape[:-1])
            settings |= {"pool_size": sizes, "strides": s.maybe(1), "padding": OMIT if average else s.maybe("same")}
        layer, y = made(s, class_name, x, settings)
        counted = math.prod(x.shape[:-1]) if "Global" in class_name else 4
        if average and counted & (counted - 1):
            raise Redraw("an average has no finite form")
        widths = Grid.of(read(layer, s.of(x)))
        return exact(s, layer, y, x, Grid(widths.fraction + 4, widths.most * counted))

    return build


def merge(class_name: str) -> Callable[..., Value]:
    """Two values or more; a product of two or three."""

    def build(s: QuantizedScript, x: Value) -> Value:
        count = 2 if class_name in ("QSubtract", "QDot", "QMultiply") else s.size(2, 4)
        values = [
            x,
            *(s.one(lambda: x, lambda: s.grid_input(x.shape), lambda: quantizer(s, x))() for _ in range(count - 1)),
        ]
        settings: Settings = quantizers(s)
        settings["iq_confs"] = Code(f"[{', '.join(config(s, 'datalane').text for _ in values)}]")
        if class_name == "QDot":
            settings["axes"] = x.rank if x.rank < 3 else s.one(1, 3)
        layer, y = made(s, class_name, values, settings)
        parts = [Grid.of(array(part)) for part in layer.iq([s.samples[v.name] for v in values])]
        widths = Grid(max(part.fraction for part in parts) + 2, sum(part.most for part in parts))
        if class_name in ("QDot", "QMultiply"):
            widths = sum_grid(parts[0], parts[1], None, x.shape[-1] * x.shape[0])
        return exact(s, layer, y, values, widths)

    return build


def moved(s: QuantizedScript, x: Value) -> Value:
    """Layers of Keras that only move or compare."""
    return s.one(lambda: s.plain("layers.ReLU", x), lambda: s.plain("layers.Flatten", x),
                 lambda: s.plain("layers.Concatenate", [x, quantizer(s, x)]))()  # fmt: skip


LAYERS: dict[str, Callable[..., Value]] = {
    **{name: contraction(name) for name in ("QDense", "QConv1D", "QConv2D", "QConv3D", "QEinsumDense",
                                            "QBatchNormDense", "QEinsumDenseBatchnorm")},
    "QBatchNormalization": normalized,
    "QUnaryFunctionLUT": function,
    "QAffinedUnaryFunctionLUT": affined,
    "QSoftmax": softmax,
    "QSum": summed("QSum"),
    "QMeanPow2": summed("QMeanPow2"),
    **{name: merge(name) for name in ("QAdd", "QSubtract", "QMultiply", "QMaximum", "QMinimum", "QAveragePow2",
                                      "QDot")},
    **{f"Q{of}Pooling{n}D": pooled(f"Q{of}Pooling{n}D") for n in (1, 2, 3)
       for of in ("Max", "Average", "GlobalMax", "GlobalAverage")},
    "Quantizer": quantizer,
    "QEinsum": einsum,
    "QMultiHeadAttention": attention("QMultiHeadAttention"),
    "QLinformerAttention": attention("QLinformerAttention"),
    **{name: recurrent(name) for name in ("QSimpleRNN", "QGRU")},
}  # fmt: skip
RANKS: dict[str, Sequence[int]] = {
    "QConv1D": (2,), "QConv2D": (3,), "QConv3D": (4,), "QBatchNormDense": (1,), "QDot": (2, 3), "QEinsumDense": (2, 3),
    "QEinsumDenseBatchnorm": (2, 3), "QMultiHeadAttention": (2, 2, 3), "QLinformerAttention": (2, 2, 3),
    "QSimpleRNN": (2,), "QGRU": (2,),
    **{name: (2,) for name in LAYERS if name.endswith("Pooling1D")},
    **{name: (3,) for name in LAYERS if name.endswith("Pooling2D")},
    **{name: (4,) for name in LAYERS if name.endswith("Pooling3D")},
}  # fmt: skip
AROUND = ("QDense", "QDense", "QConv1D", "QConv2D", "QAdd", "QMultiply", "QUnaryFunctionLUT", "Quantizer", "QSum")


def choices(x: Value) -> Sequence[Callable[..., Value]]:
    """Layers for a value of some rank."""
    return [moved, *(LAYERS[name] for name in AROUND if x.rank in RANKS.get(name, (1, 2, 3)))]


def case(build: Callable[..., Value], ranks: Sequence[int]) -> Callable[[QuantizedScript], list[Value]]:
    """A model about one layer: something before it and something after."""

    def model(s: QuantizedScript) -> list[Value]:
        rank = s.one(*ranks)
        shape = {1: (s.size(2, 5),), 2: (s.size(2, 4), s.size(1, 4)), 3: (s.size(2, 4), s.size(2, 4), s.size(1, 2)),
                 4: (2, s.size(2, 3), s.size(2, 3), s.size(1, 2))}[rank]  # fmt: skip
        x = s.grid_input(shape)
        while s.chance(0.4) or x.rank != rank:
            x = chain(s, x if x.rank == rank else s.grid_input(shape), 1, choices)
        before = set(s.scope)
        y = build(s, x)
        s.subject = [name for name in s.scope if name not in before and name.startswith("l") and name != "layers"]
        return with_more(s, chain(s, y, s.size(0, 2), choices))

    return model


def _of_inputs(**given: object) -> Callable[[QuantizedScript], list[Value]]:
    return case(
        lambda s, x: quantizer(s, contraction("QDense")(s, x, iq_conf=config(s, "datalane", **given)), **given), (1, 2)
    )


def _of_weights(kind: str) -> Callable[[QuantizedScript], list[Value]]:
    def build(s: QuantizedScript, x: Value) -> Value:
        words = {"kq_conf": config(s, "weight", q_type=kind), "bq_conf": config(s, "bias", q_type=kind)}
        return contraction(s.one("QDense", "QDense", "QEinsumDense" if x.rank > 1 else "QDense"))(s, x, **words)

    return case(build, (1, 2))


HGQ2_CASES = {
    **{f"hgq>{name}": case(build, RANKS.get(name, (1, 2, 3))) for name, build in LAYERS.items()},
    **{f"quantizer {kind}": _of_inputs(q_type=kind) for kind in KINDS},
    **{f"kernel {kind}": _of_weights(kind) for kind in KINDS},
    **{f"quantizer {mode}": _of_inputs(round_mode=mode) for mode in ROUNDINGS},
    **{f"quantizer {mode}": _of_inputs(overflow_mode=mode) for mode in OVERFLOWS},
}
