"""HGQ2: layers that quantize their inputs, weights and outputs, each element by its own type.

A layer is an entry of `LAYERS`: it draws its settings, and says of what it computes how wide float32 has to be.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from conformance.quantized.script import SINGLE, Grid, QuantizedScript, Redraw, chain, sum_grid, with_more
from conformance.script import OMIT, Code, Value, arguments

Settings = dict[str, object]
KINDS = ("kif", "kbi")
ROUNDINGS = ("TRN", "RND", "RND_CONV", "S_RND", "S_RND_CONV")
OVERFLOWS = ("WRAP", "SAT", "SAT_SYM")
FUNCTIONS = ("tanh", "sigmoid", "softplus", "elu", "silu")


def config(s: QuantizedScript, place: str, **given: object) -> Code:
    """A quantizer of any kind: settings that are given, and others drawn."""
    axes = s.one({}, {}, {"homogeneous_axis": None, "heterogeneous_axis": ()})
    settings = {
        "round_mode": s.one(*ROUNDINGS), "overflow_mode": s.one(*OVERFLOWS),
        "trainable": s.maybe(False, 0.15) if place == "weight" else OMIT, **axes, **given,
    }  # fmt: skip
    kind = settings.pop("q_type", s.one(*KINDS))
    return Code(f"QuantizerConfig({arguments(settings, repr(kind), repr(place))})")


def quantizers(s: QuantizedScript, *places: str) -> Settings:
    """`iq`, `kq` and `bq` configurations, and now and then an output quantizer."""
    rules = {"iq": "datalane", "kq": "weight", "bq": "bias"}
    found: Settings = {f"{key}_conf": config(s, rules[key]) for key in places}
    if s.chance(0.4):
        found |= {"enable_oq": True, "oq_conf": config(s, "datalane")}
    return found


def made(s: QuantizedScript, class_name: str, x: Value | Sequence[Value], settings: Settings) -> tuple[Any, Value]:
    """A layer with random weights and widths."""
    name, y = s.called_layer(class_name, x, settings)
    layer = s.scope[name]
    jitter = s.one(0.0, 0.45)
    for variable in layer.variables:
        found = _drawn(s, variable.path.rpartition("/")[2], tuple(variable.shape), jitter)
        if found is not None:
            variable.assign(found)
    return layer, y


def _drawn(s: QuantizedScript, name: str, shape: tuple[int, ...], jitter: float) -> np.ndarray | None:
    draw = s.draw
    if name in ("i", "f", "b"):
        low, high = {"i": (-1, 4), "f": (-1, 5), "b": (0, 6)}[name]
        return np.asarray(draw.integers(low, high, shape) + draw.uniform(-jitter, jitter, shape), np.float32)
    if name == "k":
        return draw.integers(0, 2, shape).astype(np.uint8) if s.chance(0.5) else None
    if "variance" in name:
        return draw.uniform(0.3, 2.0, shape).astype(np.float32)
    if any(word in name for word in ("kernel", "bias", "gamma", "beta", "mean")):
        return draw.normal(0, 0.8, shape).astype(np.float32)
    return None


def exact(s: QuantizedScript, layer: Any, y: Value, x: Value | Sequence[Value], widths: Grid) -> Value:
    """The value of a layer in which float32 holds numbers of these widths."""
    if not widths.fits:
        raise Redraw("a result is wider than float32")
    if s.errors(x):
        raise Redraw("its input is not exact")
    return s.known(y, np.asarray(layer(s.of(x), training=False)))


def read(s: QuantizedScript, layer: Any, x: Value) -> np.ndarray:
    """The input of a layer as its quantizer makes it."""
    return np.asarray(layer.iq(s.samples[x.name])) if layer.enable_iq else s.samples[x.name]


def _array(tensor: Any) -> np.ndarray:
    return np.asarray(tensor)


def contraction(class_name: str) -> Callable[..., Value]:
    """A layer of a kernel and a bias."""

    def build(s: QuantizedScript, x: Value, **given: object) -> Value:
        units = s.size(1, 4)
        settings: Settings = {**quantizers(s, "iq", "kq", "bq"), "activation": s.maybe("relu", 0.4)}
        if class_name == "QEinsumDense":
            equation, shape, bias_axes = _equation(s, x, units)
            settings |= {"equation": equation, "output_shape": shape, "bias_axes": bias_axes}
        elif class_name in ("QDense", "QBatchNormDense"):
            settings["units"] = units
        else:
            settings |= {"filters": units, "kernel_size": tuple(s.size(1, min(3, n)) for n in x.shape[:-1]),
                         "padding": s.maybe("same"), "strides": s.maybe(2, 0.2)}  # fmt: skip
        if class_name == "QBatchNormDense":
            settings["scale"] = s.maybe(False, 0.2)
        elif class_name != "QEinsumDense":
            settings["use_bias"] = s.maybe(False, 0.3)
        settings = {**settings, **{key: value for key, value in given.items() if value is not OMIT}}
        layer, y = made(s, class_name, x, settings)
        kernel, bias = _array(layer.qkernel), layer.qbias
        count = kernel.size // (kernel.shape[-1] if class_name != "QEinsumDense" else 1)
        offset = None if bias is None else Grid.of(_array(bias))
        return exact(s, layer, y, x, sum_grid(Grid.of(read(s, layer, x)), Grid.of(kernel), offset, count))

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
    widths = sum_grid(Grid.of(read(s, layer, x)), Grid.of(_array(scale)), Grid.of(_array(offset)), 1)
    return exact(s, layer, y, x, widths)


def _step(s: QuantizedScript, quantizer: Any, values: np.ndarray, skip: np.ndarray) -> None:
    """A quantizer reads real values: leave out samples that are near to where it changes."""
    inner = quantizer.quantizer
    k, i, f = (np.broadcast_to(_array(inner.bw_mapper.bw_to_x(w, values.shape)), values.shape) for w in inner.kif)
    step = np.where(skip | (k + i + f <= 0), 2.0**20, 2.0**-f)
    tie = 0.0 if inner.round_mode == "TRN" else 0.5
    s.near(np.where(skip, 2.0**18, values), step, tie, 8 * SINGLE * max(float(np.abs(values).max()), 1.0))


def function(s: QuantizedScript, x: Value) -> Value:
    """A table; where the input is 0, and of a relu, float32 rounds nothing."""
    name = s.one("relu", *FUNCTIONS)
    settings: Settings = {"activation": name, "iq_conf": config(s, "datalane"), "oq_conf": config(s, "table"),
                          "allow_heterogeneous_table": s.maybe(False)}  # fmt: skip
    layer, y = made(s, "QUnaryFunctionLUT", x, settings)
    inner = read(s, layer, x)
    if name != "relu":
        values = _array(layer.activation(inner))
        _step(s, layer.oq, values, (inner == 0) & (name != "softplus"))
    return exact(s, layer, y, x, Grid(0, 1.0))


def softmax(s: QuantizedScript, x: Value) -> Value:
    settings: Settings = {
        "axis": s.one(-1, OMIT), "iq_conf": config(s, "datalane"), "enable_iq": True, "stable": s.maybe(False, 0.2),
        "exp_iq_conf": config(s, "datalane"), "exp_oq_conf": config(s, "table"), "inv_iq_conf": config(s, "datalane"),
        "inv_oq_conf": config(s, "table"), "input_scaler": s.maybe(s.one(0.5, 2.0)),
    }  # fmt: skip
    layer, y = made(s, "QSoftmax", x, settings)
    inner = read(s, layer, x)
    if layer.stable:
        inner = inner.max(axis=layer.axes, keepdims=True) - inner
    read_by = _array(layer.exp_table.iq(inner)) if layer.stable else inner
    _step(s, layer.exp_table.oq, _array(layer.exp_table.activation(read_by)), read_by == 0)
    powers = _array(layer.exp_table(inner, training=False))
    total = powers.sum(axis=layer.axes, keepdims=True)
    counted = _array(layer.inv_table.iq(total))
    _step(s, layer.inv_table.oq, _array(layer.inv_table.activation(counted)), np.zeros(counted.shape, bool))
    inverse = _array(layer.inv_table(total, training=False))
    return exact(s, layer, y, x, sum_grid(Grid.of(powers), Grid.of(inverse), None, 1))


def summed(class_name: str) -> Callable[..., Value]:
    def build(s: QuantizedScript, x: Value) -> Value:
        axes = s.one(-1, 1, *([(1, 2)] if x.rank > 2 else []))
        settings: Settings = {**quantizers(s, "iq"), "axes": axes, "keepdims": s.chance(0.5) or x.rank == 1}
        if class_name == "QSum":
            settings["scale"] = s.maybe(s.one(0.5, 4.0))
        layer, y = made(s, class_name, x, settings)
        widths = Grid.of(read(s, layer, x))
        return exact(s, layer, y, x, Grid(widths.fraction, widths.most * math.prod(x.shape)))

    return build


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
        widths = Grid.of(read(s, layer, x))
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
        parts = [Grid.of(_array(part)) for part in layer.iq([s.samples[v.name] for v in values])]
        widths = Grid(max(part.fraction for part in parts) + 2, sum(part.most for part in parts))
        if class_name in ("QDot", "QMultiply"):
            widths = sum_grid(parts[0], parts[1], None, x.shape[-1] * x.shape[0])
        return exact(s, layer, y, values, widths)

    return build


def quantizer(s: QuantizedScript, x: Value, **given: object) -> Value:
    """A quantizer as a layer."""
    layer, y = made(s, "Quantizer", x, {"config": config(s, "datalane", **given)})
    return exact(s, layer, y, x, Grid(0, 1.0))


def moved(s: QuantizedScript, x: Value) -> Value:
    """Layers of Keras that only move or compare."""
    return s.one(lambda: s.plain("layers.ReLU", x), lambda: s.plain("layers.Flatten", x),
                 lambda: s.plain("layers.Concatenate", [x, quantizer(s, x)]))()  # fmt: skip


LAYERS: dict[str, Callable[..., Value]] = {
    **{name: contraction(name) for name in ("QDense", "QConv1D", "QConv2D", "QEinsumDense", "QBatchNormDense")},
    "QBatchNormalization": normalized,
    "QUnaryFunctionLUT": function,
    "QSoftmax": softmax,
    "QSum": summed("QSum"),
    "QMeanPow2": summed("QMeanPow2"),
    **{name: merge(name) for name in ("QAdd", "QSubtract", "QMultiply", "QMaximum", "QMinimum", "QAveragePow2",
                                      "QDot")},
    **{f"Q{of}Pooling{n}D": pooled(f"Q{of}Pooling{n}D") for n in (1, 2)
       for of in ("Max", "Average", "GlobalMax", "GlobalAverage")},
    "Quantizer": quantizer,
}  # fmt: skip
RANKS: dict[str, Sequence[int]] = {
    "QConv1D": (2,), "QConv2D": (3,), "QBatchNormDense": (1,), "QDot": (2, 3), "QEinsumDense": (2, 3),
    **{name: (2,) for name in LAYERS if name.endswith("Pooling1D")},
    **{name: (3,) for name in LAYERS if name.endswith("Pooling2D")},
}  # fmt: skip
AROUND = ("QDense", "QDense", "QConv1D", "QConv2D", "QAdd", "QMultiply", "QUnaryFunctionLUT", "Quantizer", "QSum")


def choices(x: Value) -> Sequence[Callable[..., Value]]:
    """Layers for a value of some rank."""
    return [moved, *(LAYERS[name] for name in AROUND if x.rank in RANKS.get(name, (1, 2, 3)))]


def case(build: Callable[..., Value], ranks: Sequence[int]) -> Callable[[QuantizedScript], list[Value]]:
    """A model about one layer: something before it and something after."""

    def model(s: QuantizedScript) -> list[Value]:
        rank = s.one(*ranks)
        shape = {1: (s.size(2, 5),), 2: (s.size(2, 4), s.size(1, 4)), 3: (s.size(2, 4), s.size(2, 4), s.size(1, 2))}[
            rank
        ]
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
