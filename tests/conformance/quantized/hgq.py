"""HGQ: its layers with trained widths, as they are and as proxy models, and proxy models of every quantizer by hand."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from conformance.quantized.script import SINGLE, Grid, QuantizedScript, Redraw, added, chain, sum_grid, with_more
from conformance.script import OMIT, Code, Value

Settings = dict[str, object]
ROUNDINGS = ("TRN", "RND", "RND_CONV", "TRN_ZERO", "RND_ZERO", "RND_INF", "RND_MIN_INF")
OVERFLOWS = ("WRAP", "SAT", "SAT_SYM", "SAT_ZERO")
STRATEGIES: tuple[object, ...] = ("standard_round", "floor", "auto", "stochastic_round",
                                 "fast_uniform_noise_injection", 0, 3)  # fmt: skip
SIGNATURE = ("keep_negative", "bits", "int_bits")
FILES = ("h5", "json", "keras")  # of layers in training; HGQ does not read proxy models and signatures from the last
FUNCTIONS = ("tanh", "sigmoid", "softplus", "elu")


# ---- layers of HGQ


def widths(s: QuantizedScript, dims: Sequence[str], roundings: Sequence[object]) -> Code:
    """The configuration of a quantizer; the widths themselves are drawn when the layer is there."""
    regularizer = s.one("None", "None", "None", "MonoL1(1e-6)")
    return Code(
        f"dict(init_bw=2, skip_dims={s.one(*dims)!r}, rnd_strategy={s.one(*roundings)!r}, exact_q_value=True, "
        f"dtype=None, bw_clip={s.one((-23, 23), (-23, 23), (0, 4))}, trainable={s.chance(0.85)}, "
        f"regularizer={regularizer}, minmax_record=True)"
    )


def own(s: QuantizedScript, class_name: str, x: Value | Sequence[Value], **settings: object) -> Value:
    """A layer of HGQ with random weights and widths of fraction bits, of which some leave nothing."""
    if class_name.startswith("H"):
        rule = widths(s, ["all", "batch", "batch", "except_last"], STRATEGIES)
        settings = {**settings, "paq_conf": rule, "beta": 0.0, "trainable": s.maybe(False, 0.1)}
        if class_name.startswith(("HDense", "HConv", "HBatch")):
            dims = ["all", "none", "none", "except_last"]
            settings["kq_conf"] = widths(s, dims, [name for name in STRATEGIES if name != "auto"])
    name, y = s.called_layer(class_name, x, settings)
    layer = s.scope[name]
    for variable in getattr(layer, "weights", []):
        variable.assign(_drawn(s, variable.name, tuple(variable.shape), variable.numpy()))
    words = {"record_minmax": True} if class_name.startswith("H") else {}
    return s.known(y, np.asarray(layer(s.of(x), training=False, **words)))


def _drawn(s: QuantizedScript, name: str, shape: tuple[int, ...], old: Any) -> Any:
    name = name.rpartition("/")[2]
    if "bw" in name:
        low = s.one(-2, 0, 1)
        found = s.draw.integers(low, 5, shape) + s.draw.uniform(-0.4, 0.4, shape)
        pruned = s.draw.random(shape) < s.one(0.0, 0.0, 0.3)
        return np.asarray(np.where(pruned, -9, found), np.float32)
    if "variance" in name:
        return np.asarray(s.draw.uniform(0.3, 2.0, shape), np.float32)
    if any(word in name for word in ("kernel", "bias", "gamma", "beta", "mean")):
        return np.asarray(s.draw.normal(0, 0.8, shape), np.float32)
    return old


def dense(s: QuantizedScript, x: Value, class_name: str = "HDense") -> Value:
    more = normalizing(s) if class_name.endswith("Norm") else {}
    use_bias = s.maybe(False, 0.3) if not more else OMIT
    return own(s, class_name, x, units=s.size(1, 4), use_bias=use_bias, activation=s.maybe("relu"), **more)


def normalizing(s: QuantizedScript) -> dict[str, object]:
    """What HGQ does not save: its defaults where the model is to be read back."""
    if s.formats:
        return {}
    neither = {"scale": False, "center": False}
    return s.one({"epsilon": s.one(1e-3, 0.01)}, {"scale": False}, {"center": False}, neither)


def convolution(class_name: str) -> Callable[..., Value]:
    def build(s: QuantizedScript, x: Value) -> Value:
        settings: Settings = {"filters": s.size(1, 3), "kernel_size": tuple(s.size(1, min(3, n)) for n in x.shape[:-1]),
                              "padding": s.maybe("same"), "activation": s.maybe("relu")}  # fmt: skip
        more = normalizing(s) if class_name.endswith("Norm") else {}
        settings |= more or {"use_bias": s.maybe(False, 0.3)}
        return own(s, class_name, x, **settings)

    return build


def activation(s: QuantizedScript, x: Value) -> Value:
    return own(s, "HActivation", x, activation=s.one("relu", "linear", *FUNCTIONS))


def sum_of_two(s: QuantizedScript, x: Value) -> Value:
    return own(s, "HAdd", [own(s, "HQuantize", x), own(s, "HActivation", x, activation="relu")])


def moved(class_name: str) -> Callable[..., Value]:
    """Layers without quantizers; averages of 2 or 4, which are exact."""

    def build(s: QuantizedScript, x: Value) -> Value:
        settings: Settings = {}
        if "Pooling1D" in class_name:
            settings = {"pool_size": min(2, x.shape[0])}
        if "Pooling2D" in class_name:
            settings = {"pool_size": (min(2, x.shape[0]), min(2, x.shape[1]))}
        if class_name == "PReshape":
            settings = {"target_shape": s.one(x.shape[::-1], (math.prod(x.shape),))}
        if class_name == "PPermute":
            settings = {"dims": s.one(*([(2, 1)] if x.rank == 2 else [(2, 1, 3), (3, 1, 2)]))}
        if class_name == "PDropout":
            settings = {"rate": 0.5}
        if class_name == "PConcatenate":
            return own(s, class_name, [x, own(s, "HActivation", x, activation="relu")])
        return own(s, class_name, x, **settings)

    return build


def signature(s: QuantizedScript, x: Value) -> Value:
    """The type of an input, one for all elements or for each; it holds every sample."""
    samples = s.samples[x.name]
    fraction, whole = Grid.of(samples).fraction, int(np.ceil(np.log2(np.abs(samples).max() + 1)))
    shape = s.one((), (1, *x.shape))
    more = [s.draw.integers(0, 3, shape) for _ in range(2)]
    integers = 1 + whole + more[0]
    arrays = (np.ones(shape, int), integers + max(fraction, 0) + more[1], integers)
    words = {key: Code(repr(array.tolist())) for key, array in zip(SIGNATURE, arrays, strict=True)}
    return own(s, "Signature", x, **words)


RANKS: dict[str, Sequence[int]] = {
    "HConv1D": (2,), "HConv1DBatchNorm": (2,), "HConv2D": (3,), "HConv2DBatchNorm": (3,), "PMaxPooling1D": (2,),
    "PAveragePooling1D": (2,), "PMaxPooling2D": (3,), "PAveragePooling2D": (3,), "PReshape": (2, 3), "PPermute": (2, 3),
    "PFlatten": (2, 3), "HDenseBatchNorm": (1,),
}  # fmt: skip
LAYERS: dict[str, Callable[..., Value]] = {
    "HQuantize": lambda s, x: own(s, "HQuantize", x),
    "HDense": dense,
    "HDenseBatchNorm": lambda s, x: dense(s, x, "HDenseBatchNorm"),
    **{name: convolution(name) for name in ("HConv1D", "HConv1DBatchNorm", "HConv2D", "HConv2DBatchNorm")},
    "HActivation": activation,
    "HAdd": sum_of_two,
    **{name: moved(name) for name in ("PMaxPooling1D", "PAveragePooling1D", "PMaxPooling2D", "PAveragePooling2D",
                                      "PReshape", "PFlatten", "PPermute", "PConcatenate", "PDropout")},
}  # fmt: skip


def choices(x: Value) -> Sequence[Callable[..., Value]]:
    """Layers for a value of some rank."""
    return [build for name, build in LAYERS.items() if x.rank in RANKS.get(name, (1, 2, 3))]


TRAINED = {
    **LAYERS,
    "HBatchNormalization": lambda s, x: own(s, "HBatchNormalization", x, **normalizing(s)),
    "Signature": signature,
}


def case(name: str, proxy: bool) -> Callable[[QuantizedScript], list[Value]]:
    """A model about one layer of HGQ, as it is trained or as its proxy."""

    def model(s: QuantizedScript) -> list[Value]:
        if not proxy and not s.live:
            s.formats = FILES
        shape = {1: (s.size(2, 5),), 2: (s.size(3, 4), s.size(2, 3)), 3: (s.size(3, 4), s.size(2, 3), s.size(1, 2))}
        x = s.grid_input(shape[s.one(*RANKS.get(name, (1, 2, 3)))])
        if name != "Signature":
            x = own(s, "HQuantize", x)
            x = chain(s, x, s.size(0, 1), lambda v: [LAYERS["HDense"], LAYERS["HActivation"], LAYERS["HAdd"]])
        before = set(s.scope)
        y = TRAINED[name](s, x)
        s.subject = [key for key in s.scope if key not in before and key.startswith("l")]
        return (proxied if proxy else trained)(s, chain(s, y, s.size(0, 2), choices))

    return model


def trained(s: QuantizedScript, y: Value) -> list[Value]:
    """The model itself; whether ranges were traced changes nothing."""
    found = with_more(s, y)
    s.run(f"model = keras.Model({s.inputs[0]}, [{', '.join(map(str, found))}])")
    if s.chance(0.3):
        s.scope["data"] = s.samples[s.inputs[0].name]
        s.run("trace_minmax(model, data, verbose=False)")
    audit(s, s.scope["model"], s.inputs, _audit_own)
    return found


def proxied(s: QuantizedScript, y: Value) -> list[Value]:
    """The proxy of the model; its integer bits are those of some of the samples, so that others may overflow."""
    s.run(f"trained = keras.Model({s.inputs[0]}, {y})")
    some = len(s.kept) if s.chance(0.6) else len(s.kept) // 4
    s.scope["data"] = s.samples[s.inputs[0].name][:some]
    s.run("trace_minmax(trained, data, verbose=False)")
    table = s.one(-1, -1, 1024)
    s.run(f"model = to_proxy_model(trained, aggressive={s.chance(0.6)}, unary_lut_max_table_size={table})")
    audit(s, s.scope["model"], s.inputs)
    return [s.known(y, np.asarray(s.scope["model"](s.samples[s.inputs[0].name], training=False)))]


# ---- what float32 rounds in a proxy model


def audit(s: QuantizedScript, model: Any, inputs: Sequence[Value], of_layer: Callable[..., None] | None = None) -> None:
    """Leave out samples for which float32 decides; Redraw where it rounds otherwise."""
    keras = s.keras
    values: dict[int, np.ndarray] = {}
    tensors = {id(layer.output): layer.output for layer in model.layers}
    everything = keras.Model(model.inputs, list(tensors.values()))
    given = [s.samples[x.name] for x in inputs]
    found = everything(given if len(given) > 1 else given[0], training=False)
    found = found if isinstance(found, list) else [found]
    values = {key: np.asarray(value) for key, value in zip(tensors, found, strict=True)}
    for layer in model.layers:
        if layer.__class__.__name__ == "InputLayer":
            continue
        read = layer.input if isinstance(layer.input, list) else [layer.input]
        (of_layer or _audit_layer)(s, layer, [values[id(x)] for x in read])


def _audit_layer(s: QuantizedScript, layer: Any, read: list[np.ndarray]) -> None:
    kind, grids = layer.__class__.__name__, [Grid.of(x) for x in read]
    if kind in ("Dense", "Conv1D", "Conv2D"):
        kernel = layer.kernel.numpy()
        bias = Grid.of(layer.bias.numpy()) if layer.bias is not None else None
        if not sum_grid(grids[0], Grid.of(kernel), bias, kernel.size // kernel.shape[-1]).fits:
            raise Redraw("a sum of products is wider than float32")
    elif kind == "Add" and not Grid(max(g.fraction for g in grids), sum(g.most for g in grids)).fits:
        raise Redraw("a sum is wider than float32")
    elif "Average" in kind and not Grid(grids[0].fraction + 2, grids[0].most * 4).fits:
        raise Redraw("an average is wider than float32")
    elif kind == "FixedPointQuantizer":
        before = layer.input._keras_history.layer
        function = getattr(getattr(before, "activation", None), "__name__", "linear")
        if before.__class__.__name__ == "Activation" and function not in ("relu", "linear"):
            step = 2.0 ** (layer.integers.numpy().astype(float) - layer.bits.numpy())
            used = np.broadcast_to(layer.bits.numpy() > 0, read[0].shape)
            step = np.where(used, np.broadcast_to(step, read[0].shape), 2.0**20)
            s.near(read[0], step, 0.0 if layer.RND.startswith("TRN") else 0.5, 8 * SINGLE * max(grids[0].most, 1.0))


# ---- and in layers in training


def _audit_own(s: QuantizedScript, layer: Any, read: list[np.ndarray]) -> None:
    kind, grids = layer.__class__.__name__, [Grid.of(x) for x in read]
    if "Average" in kind and not Grid(grids[0].fraction + 2, grids[0].most * 4).fits:
        raise Redraw("an average is wider than float32")
    if not kind.startswith("H"):
        return
    before = added(*grids)
    if kind.startswith(("HDense", "HConv")):
        kernel, bias = _steady_weights(layer)
        of_bias = None if bias is None else Grid.of(bias)
        before = sum_grid(grids[0], Grid.of(kernel), of_bias, kernel.size // kernel.shape[-1])
    elif kind == "HBatchNormalization":
        before = sum_grid(grids[0], *(Grid.of(values) for values in _steady_line(layer)), 1)
    elif kind == "HActivation" and layer.activation.__name__ not in ("relu", "linear"):
        values, step = np.asarray(layer.activation(read[0])), 2.0 ** -_fractions(layer.paq)
        s.near(values, step, _half(layer.paq), 8 * SINGLE * max(float(np.abs(values).max()), 1.0))
        return
    if not Grid(max(before.fraction, int(_fractions(layer.paq).max()) + 1), before.most).fits:
        raise Redraw("a value that is rounded is wider than float32")


def _fractions(quantizer: Any) -> np.ndarray:
    return np.round(quantizer.fbw.numpy())


def _half(quantizer: Any) -> float:
    return 0.0 if quantizer.rnd_strategy == 3 else 0.5


def _steady(values: np.ndarray, error: np.ndarray, fraction: np.ndarray, half: float) -> None:
    """Redraw where an error before the rounding could change a weight."""
    scaled = values * 2.0**fraction + half
    if (np.abs(scaled - np.round(scaled)) <= error * 2.0**fraction).any():
        raise Redraw("a weight is near a step")


def _steady_weights(layer: Any) -> tuple[np.ndarray, np.ndarray | None]:
    """The quantized kernel and bias."""
    kernel = layer.kq(layer.fused_kernel, training=False).numpy()
    bias = layer.paq.bias_forward(layer.fused_bias, False).numpy() if layer.use_bias else None
    if hasattr(layer, "bn_gamma"):
        factor = _factor(layer)
        folded = layer.kernel.numpy() * (factor if layer.scale else 1.0)
        _steady(folded, 16 * SINGLE * np.abs(folded), _fractions(layer.kq), _half(layer.kq))
        if bias is not None and layer.center:
            parts = [layer.bias.numpy().astype(float), -layer.moving_mean.numpy() * factor, layer.bn_beta.numpy()]
            widths = _fractions(layer.paq)
            finest = widths.reshape(-1, widths.shape[-1]).max(axis=0)
            _steady(sum(parts), 16 * SINGLE * sum(map(np.abs, parts)), finest, _half(layer.paq))
    return kernel, bias


def _factor(layer: Any) -> np.ndarray:
    variance = layer.moving_variance.numpy().astype(float) + float(layer.epsilon)
    return np.asarray(layer.bn_gamma.numpy() / np.sqrt(variance))


def _steady_line(layer: Any) -> tuple[np.ndarray, np.ndarray]:
    """The quantized scale and offset of an HBatchNormalization."""
    factor = _factor(layer)
    quotient = layer.moving_mean.numpy() / factor
    offset = layer.bn_beta.numpy() - quotient
    _steady(factor, 16 * SINGLE * np.abs(factor), _fractions(layer.kq), _half(layer.kq))
    error = 16 * SINGLE * (np.abs(layer.bn_beta.numpy()) + np.abs(quotient))
    _steady(offset, error, _fractions(layer.paq), _half(layer.paq))
    made = [quantizer(np.asarray(values, np.float32), training=False).numpy()
            for quantizer, values in ((layer.kq, factor), (layer.paq, offset))]  # fmt: skip
    return made[0], made[1]


# ---- proxy models by hand: quantizers of every mode, each element of its own type


def quantizer(s: QuantizedScript, x: Value, rounding: str | None = None, overflow: str | None = None) -> Value:
    """A quantizer whose widths differ along some axes; some are zero."""
    shape = s.one((1,), (1, *(n if s.chance(0.6) else 1 for n in x.shape)))
    seed = s.size(0, 10**6)
    draw = np.random.default_rng(seed)
    bits = draw.integers(0, 8, shape).astype(np.int8)
    if s.chance(0.5):
        bits = np.maximum(bits, 1)
    arrays = [draw.integers(0, 2, shape) * (bits > 0), bits, draw.integers(-1, 5, shape)]
    texts = [Code(f"np.array({array.tolist()}, 'int8')") for array in arrays]
    rounding, overflow = rounding or s.one(*ROUNDINGS), overflow or s.one(*OVERFLOWS)
    return s.plain("FixedPointQuantizer", x, keep_negative=texts[0], bits=texts[1], integers=texts[2], RND=rounding,
                   SAT=overflow)  # fmt: skip


def table(s: QuantizedScript, x: Value) -> Value:
    """A table of any numbers on a grid, over all values of a type."""
    k, i, f = s.size(0, 1), s.size(0, 2), s.size(1, 4)
    one = {"keep_negative": k, "bits": k + i + f, "integers": k + i}
    words = {key: Code(f"np.array([{n}], 'int8')") for key, n in one.items()}
    x = s.plain("FixedPointQuantizer", x, **words, RND="TRN", SAT="WRAP")
    values = Code(f"np.random.default_rng({s.size(0, 10**6)}).normal(0, 1, {2 ** (k + i + f)}).astype('float32')")
    return s.plain("UnaryLUT", x, kif_in=(k, i, f), kif_out=(1, 2, s.size(2, 6)), RND="RND", SAT="SAT", table=values)


def plain(s: QuantizedScript, x: Value) -> Value:
    """A layer of Keras with weights on a grid."""
    class_name = {1: "Dense", 2: s.one("Dense", "Conv1D"), 3: s.one("Dense", "Conv2D")}[x.rank]
    settings: Settings = {"units" if class_name == "Dense" else "filters": s.size(1, 4)}
    if class_name != "Dense":
        settings |= {"kernel_size": tuple(s.size(1, min(2, n)) for n in x.shape[:-1]), "padding": s.maybe("same")}
    name, y = s.called_layer(f"layers.{class_name}", x, settings)
    layer = s.scope[name]
    layer.set_weights([np.round(s.draw.normal(0, 1, w.shape) * 8) / 8 for w in layer.get_weights()])
    return s.known(y, s.run_layer(name, x))


def merged(s: QuantizedScript, x: Value) -> Value:
    return s.plain(f"layers.{s.one('Add', 'Concatenate')}", [quantizer(s, x), s.plain("layers.ReLU", x)])


def by_hand(build: Callable[..., Value]) -> Callable[[QuantizedScript], list[Value]]:
    def model(s: QuantizedScript) -> list[Value]:
        rank = s.size(1, 3)
        x = s.grid_input({1: (s.size(2, 6),), 2: (3, s.size(2, 4)), 3: (3, s.size(2, 3), 2)}[rank], s.size(2, 6))
        around = [plain, quantizer, merged, table]
        x = chain(s, quantizer(s, x), s.size(0, 1), lambda v: around)
        before = set(s.scope)
        y = build(s, x)
        s.subject = [key for key in s.scope if key not in before and key.startswith("l")]
        y = quantizer(s, y) if s.chance(0.3) else y
        y = chain(s, y, s.size(0, 1), lambda v: around)
        s.run(f"model = keras.Model({s.inputs[0]}, {y})")
        audit(s, s.scope["model"], s.inputs)
        return [y]

    return model


def _of_mode(rounding: str | None = None, overflow: str | None = None) -> Callable[[QuantizedScript], list[Value]]:
    return by_hand(lambda s, x: quantizer(s, plain(s, x), rounding, overflow))


HGQ_CASES = {
    **{name: case(name, proxy=False) for name in TRAINED},
    **{f"proxy {name}": case(name, proxy=True) for name in LAYERS},
    "FixedPointQuantizer": by_hand(quantizer),
    **{f"FixedPointQuantizer {mode}": _of_mode(rounding=mode) for mode in ROUNDINGS},
    **{f"FixedPointQuantizer {mode}": _of_mode(overflow=mode) for mode in OVERFLOWS},
    "UnaryLUT": by_hand(table),
}
